"""The pages in a real browser: what axe finds, what the console says, and how wide they are."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, expect

from credentials.crypto.secret import Secret
from credentials.models import AccessState, Credential, Lease, Status
from credentials.providers.tokens import Kind
from credentials.services import disconnect, notices
from credentials.web import reauthentication
from tests import builders
from tests.browser.chromium import DESK, PHONE, Scheme, browsing, sign_in
from tests.credentials.web.visitor import sandbox_host
from tests.sandbox import RunningSandbox

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ALLAUTH = (
    "account_change_password",
    "account_email",
    "account_logout",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "usersessions_list",
    "socialaccount_connections",
)
LOOKS: tuple[tuple[int, Scheme], ...] = ((DESK, "light"), (PHONE, "dark"), (PHONE, "light"))


@pytest.fixture
def full_house(alice: User) -> list[Credential]:
    """One credential in each state that looks different."""
    now = timezone.now()
    client = {"client_id": "client-of-forgekey", "client_secret": Secret("s" * 40)}
    github, gitlab = builders.host("github", **client), builders.host("gitlab", **client)
    bitbucket = builders.host("bitbucket")
    builders.host("gitea")
    granted = builders.credential(
        alice,
        github,
        kind=Kind.OAUTH,
        token="gho_" + "b" * 36,
        account_id="4711",
        account_name="octo-alice",
        scopes=["repo", "read:org"],
    )
    for state in AccessState.values:
        access = builders.access(
            granted,
            f"the-{state}-corp",
            state=state,
            mend_url=github.web_url,
            evidence=f"GET /{'x' * 90} 403",
        )
    notices.about_organization(access, notices.Code.ORGANIZATION_OPENED, now=now)
    limited = builders.credential(
        alice,
        github,
        account_name="octo-alice-with-a-name-that-is-as-long-as-names-may-become-there",
        scopes=["read:org"],
        missing_scopes=["repo"],
        status=Status.LIMITED,
        status_detail="scope_missing",
        expires_at=now + timedelta(days=6),
    )
    unknown = builders.credential(alice, gitlab, token="glpat-" + "c" * 20, scopes=["read_repository"])
    rejected = builders.credential(
        alice, bitbucket, kind=Kind.API_TOKEN, status=Status.REJECTED, status_detail="token_rejected"
    )
    lender, _key = builders.client()
    Lease.objects.create(
        client=lender,
        credential=granted,
        repository_url="https://example.org/acme/cases",
        purpose="nightly import",
        chosen_because="only_one",
        created_at=now - timedelta(hours=3),
        expires_at=now,
    )
    return [granted, limited, unknown, rejected]


def addresses(held: list[Credential]) -> list[str]:
    ours = [
        reverse("connections"),
        reverse("connect_choose"),
        reverse("connect", kwargs={"slug": "github"}),
        reverse("token", kwargs={"slug": "bitbucket"}),
        reverse("diagnose"),
        reverse("repositories", kwargs={"credential_id": held[0].pk}),
        reverse("help_index"),
        reverse("help", kwargs={"topic": "organization-not-approved"}),
        reverse("help", kwargs={"topic": "conflict"}),
    ]
    for one in held:
        ours.append(reverse("credential", kwargs={"credential_id": one.pk}))
    ours.append(reverse("credential_replace", kwargs={"credential_id": held[1].pk}))
    ours.append(reverse("credential_disconnect", kwargs={"credential_id": held[1].pk}))
    return [*ours, *map(reverse, ALLAUTH)]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_no_page_has_a_fault(
    chromium: Browser, live_server: Any, full_house: list[Credential], width: int, scheme: Scheme
) -> None:
    found: list[str] = []
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as window:
        page = window.page
        page.goto("/accounts/login/")
        found += window.faults()
        sign_in(page, "alice")
        found += window.faults()
        page.goto(reverse("account_reauthenticate"))
        page.get_by_label("Password", exact=True).fill("alice-demo")
        page.get_by_role("button", name="Confirm").click()
        for address in addresses(full_house):
            page.goto(address)
            assert page.url == f"{live_server.url}{address}", "led elsewhere, so this page was not looked at"
            window.unfold()
            found += window.faults()
        page.goto(reverse("token", kwargs={"slug": "gitlab"}))
        page.locator("#id_token").fill("ghp_" + "k" * 36)
        page.get_by_role("button", name="Check and store").click()
        expect(page.get_by_role("alert")).to_contain_text("another provider")
        expect(page.locator("#id_token")).to_have_value("")
        found += window.faults()
    assert found == []


def test_an_empty_house_has_no_fault(chromium: Browser, live_server: Any, alice: User) -> None:
    builders.host("github")
    with browsing(chromium, live_server.url, width=PHONE) as window:
        sign_in(window.page, "alice")
        window.page.goto("/")
        assert window.faults() == []
        expect(window.page.get_by_role("link", name="Connect an account")).to_be_visible()


def test_the_result_of_a_test_appears_on_the_page(
    chromium: Browser, live_server: Any, full_house: list[Credential]
) -> None:
    with browsing(chromium, live_server.url) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(reverse("credential", kwargs={"credential_id": full_house[0].pk}))
        page.get_by_role("button", name="Test").click()
        expect(page.locator("#test-result")).to_contain_text("does not answer")
        assert window.faults() == []


def test_a_test_after_the_session_ended_leads_to_the_sign_in(
    chromium: Browser, live_server: Any, full_house: list[Credential]
) -> None:
    with browsing(chromium, live_server.url) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(reverse("credential", kwargs={"credential_id": full_house[0].pk}))
        page.context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Test").click()
        page.wait_for_url("**/accounts/login/**")


def test_the_keyboard_reaches_the_content_first(chromium: Browser, live_server: Any, alice: User) -> None:
    with browsing(chromium, live_server.url) as window:
        page = window.page
        page.goto("/accounts/login/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_an_account_is_connected_by_oauth_and_its_page_shows_what_was_learned(
    chromium: Browser, live_server: Any, alice: User, sandbox: RunningSandbox
) -> None:
    host = sandbox_host(sandbox, "github")
    sandbox.control("github", "POST", "settings", {"redirect_bases": [live_server.url]})
    with browsing(chromium, live_server.url) as window:
        page = window.page
        sign_in(page, "alice")
        page.get_by_role("link", name="Connect an account").click()
        page.get_by_role("link", name=host.name).click()
        page.get_by_role("button", name=f"Continue to {host.name}").click()
        page.wait_for_url(f"{host.web_url}/**")
        page.get_by_role("button", name="octo-alice").click()
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url("**/connect/confirm/**")
        expect(page.get_by_role("heading", level=1)).to_contain_text("octo-alice to alice")
        not_yet = page.locator("dl.facts > div").filter(has_text="Do not let it in yet")
        expect(not_yet).to_contain_text("assxxx")
        expect(not_yet).to_contain_text("not approved yet")
        window.strangers.clear()
        assert window.faults() == []
        assert not Credential.objects.exists()
        page.get_by_role("button", name="Yes, link them").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("octo-alice")
        expect(page.get_by_role("region", name="Organizations")).to_contain_text("assxxx")
        window.strangers.clear()
        assert window.faults() == []
    assert Credential.objects.get().owner == alice


def test_everything_works_without_javascript(
    chromium: Browser, live_server: Any, alice: User, sandbox: RunningSandbox
) -> None:
    host = sandbox_host(sandbox, "gitlab")
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_repository"])
    with browsing(chromium, live_server.url, javascript=False) as window:
        page = window.page
        sign_in(page, "alice")
        page.get_by_role("link", name="Connect an account").click()
        page.get_by_role("link", name=host.name).click()
        page.get_by_role("link", name="Paste a token").click()
        page.locator("#id_token").fill(minted.token)
        page.get_by_role("button", name="Check and store").click()
        expect(page.locator("main")).to_contain_text("not readable with these scopes")
        page.get_by_role("button", name="Test").click()
        expect(page.locator("main")).to_contain_text("It works")
        page.get_by_label("Name", exact=True).fill("at work")
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("at work")
        page.get_by_role("link", name="Disconnect").click()
        page.get_by_role("button", name="Disconnect").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("is disconnected")
        assert minted.token not in page.content()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_token_left_to_its_owner_is_a_reminder_without_a_fault(
    chromium: Browser, live_server: Any, alice: User, width: int, scheme: Scheme
) -> None:
    for slug in ("gitea", "github"):
        held = builders.credential(alice, builders.host(slug), account_name=f"octo-alice-{slug}")
        disconnect.disconnect(actor=builders.SYSTEM, credential=held)
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(reverse("connections"))
        expect(page.get_by_role("heading", name="Still to be revoked")).to_be_visible()
        assert window.faults() == []
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text("octo-alice-gitea")).to_have_count(0)
        expect(page.get_by_role("link", name="Revoke it at Github")).to_be_visible()


def test_a_stale_sign_in_is_proved_again_and_leads_back(
    chromium: Browser, live_server: Any, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.host("github")
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 2
    monkeypatch.setattr(reauthentication, "OPEN_FOR", timedelta(seconds=2))
    with browsing(chromium, live_server.url) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(reverse("token", kwargs={"slug": "github"}))
        page.locator("#id_token").fill("ghp_" + "k" * 36)
        time.sleep(2)
        page.get_by_role("button", name="Check and store").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Is it still you?")
        assert window.faults() == []
        page.get_by_label("Password", exact=True).fill("alice-demo")
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator("main")).to_contain_text("please enter it again")
        expect(page.locator("#id_token")).to_have_value("")
