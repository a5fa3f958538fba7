"""The questions of the help page, each lived through at the emulated GitHub and answered by the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from credentials.models import Credential, Host
from tests import builders
from tests.browser.chromium import DESK, PHONE, Scheme, Watched, browsing, sign_in
from tests.credentials.web.account import by_oauth, by_token
from tests.sandbox import RunningSandbox

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS: tuple[tuple[int, Scheme], ...] = (
    (DESK, "light"),
    (DESK, "dark"),
    (PHONE, "light"),
    (PHONE, "dark"),
)


@pytest.fixture
def github(sandbox: RunningSandbox, live_server: Any) -> Host:
    """The emulated GitHub, which knows where the product runs."""
    sandbox.control("github", "POST", "settings", {"redirect_bases": [live_server.url]})
    return builders.sandbox_host(sandbox, "github")


@pytest.fixture
def window(chromium: Browser, live_server: Any, alice: User) -> Iterator[Watched]:
    """alice, signed in. Whatever the story is, no page of ours may have a fault."""
    with browsing(chromium, live_server.url) as watched:
        sign_in(watched.page, "alice")
        yield watched
        watched.strangers.clear()
        assert watched.faults() == []


def connect(page: Page, host: Host) -> None:
    page.goto(reverse("connect", kwargs={"slug": host.slug}))
    page.get_by_role("button", name=f"Continue to {host.name}").click()
    page.wait_for_url(f"{host.web_url}/**")
    page.get_by_role("button", name="octo-alice").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/connect/confirm/**")
    page.get_by_role("button", name="Yes, link them").click()
    page.wait_for_url("**/credentials/**")


def diagnose(page: Page, host: Host, repository: str) -> None:
    page.get_by_role("link", name="Diagnose").click()
    page.get_by_label("Address of the repository").fill(f"{host.web_url}/{repository}")
    page.get_by_role("button", name="Check").click()


def verdict(page: Page, title: str) -> None:
    heading = page.get_by_role("heading", level=2, name=title)
    expect(heading).to_be_visible()
    expect(heading).to_be_focused()


def test_why_can_i_not_access_my_personal_repository_after_authorizing(window: Watched, github: Host) -> None:
    page = window.page
    connect(page, github)
    diagnose(page, github, "octo-alice/private-cases.git")
    verdict(page, "It works")
    expect(page.locator("main")).to_contain_text("default branch main")


def test_why_can_i_not_access_the_organizations_repository_and_what_if_the_page_does_not_grant_it(
    window: Watched, github: Host, sandbox: RunningSandbox
) -> None:
    page = window.page
    connect(page, github)
    diagnose(page, github, "assxxx/ABC.git")
    verdict(page, "assxxx has not approved this app")
    window.strangers.clear()
    assert window.faults() == []

    page.get_by_role("button", name="Request access").click()
    page.wait_for_url(f"{github.web_url}/settings/connections/applications/**")
    page.get_by_role("button", name="Request access to assxxx").click()
    expect(page.locator("body")).to_contain_text("assxxx: requested")

    page.goto(reverse("diagnose"))
    diagnose(page, github, "assxxx/ABC.git")
    verdict(page, "Waiting for an owner of assxxx")
    message = page.get_by_label("Message to an owner of assxxx").input_value()
    approve = next(line for line in message.splitlines() if line.startswith(github.web_url))
    window.strangers.clear()
    assert window.faults() == []

    # The owner follows the address in the message.
    page.goto(approve)
    page.get_by_role("button", name="Approve access").click()
    expect(page.locator("body")).to_contain_text("approved")

    page.goto(reverse("credential", kwargs={"credential_id": Credential.objects.get().pk}))
    page.get_by_role("button", name="Check organizations now").click()
    expect(page.locator("main")).to_contain_text("assxxx: accessible.")
    page.get_by_role("link", name="Connected accounts").first.click()
    expect(page.get_by_role("region", name="News")).to_contain_text("assxxx now lets your connection")
    window.strangers.clear()
    assert window.faults() == []
    page.get_by_role("button", name="Got it").click()
    expect(page.get_by_role("region", name="News")).to_have_count(0)
    diagnose(page, github, "assxxx/ABC.git")
    verdict(page, "It works")


def test_why_can_i_not_access_the_repository_after_authorizing_with_a_personal_token(
    window: Watched, github: Host, alice: User, sandbox: RunningSandbox
) -> None:
    page = window.page
    by_token(alice, sandbox, scopes=("read:org",))
    diagnose(page, github, "octo-alice/private-cases")
    verdict(page, "The token may not read repositories")
    expect(page.get_by_role("link", name="Open the page")).to_have_attribute(
        "href", f"{github.web_url}/settings/tokens/new?scopes=repo%2Cread%3Aorg&description=Forgekey"
    )
    window.strangers.clear()
    assert window.faults() == []

    better = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    page.get_by_role("link", name="Put it in the place of this one").click()
    page.get_by_label("Token", exact=True).fill(better.token)
    page.get_by_role("button", name="Check and store").click()
    page.wait_for_url("**/credentials/*/")
    diagnose(page, github, "octo-alice/private-cases")
    verdict(page, "It works")


def test_single_sign_on_is_mended_by_the_one_link_and_tried_again(
    window: Watched, github: Host, alice: User, sandbox: RunningSandbox
) -> None:
    page = window.page
    by_token(alice, sandbox)
    diagnose(page, github, "sso-corp/cases")
    verdict(page, "sso-corp asks for single sign-on")
    window.strangers.clear()
    assert window.faults() == []
    link = page.get_by_role("link", name="Or follow the link that GitHub gave for it")
    page.goto(str(link.get_attribute("href")))
    page.get_by_role("button", name="Sign in and authorize the token").click()
    page.goto(f"{reverse('diagnose')}?repository_url={github.web_url}/sso-corp/cases")
    page.get_by_role("button", name="Check").click()
    verdict(page, "It works")


def test_a_ban_on_classic_tokens_leads_to_the_other_way_to_connect(
    window: Watched, github: Host, alice: User, sandbox: RunningSandbox
) -> None:
    page = window.page
    by_token(alice, sandbox)
    diagnose(page, github, "locked-corp/cases")
    verdict(page, "locked-corp forbids this kind of token")
    window.strangers.clear()
    assert window.faults() == []
    page.get_by_role("link", name="Connect an account").click()
    page.get_by_role("button", name=f"Continue to {github.name}").click()
    page.wait_for_url(f"{github.web_url}/**")
    page.get_by_role("button", name="octo-alice").click()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("button", name="Yes, link them").click()
    page.wait_for_url("**/credentials/**")
    diagnose(page, github, "locked-corp/cases")
    verdict(page, "It works")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_diagnosis_board_and_picker_have_no_fault_in_any_look(
    chromium: Browser,
    live_server: Any,
    alice: User,
    github: Host,
    sandbox: RunningSandbox,
    width: int,
    scheme: Scheme,
) -> None:
    held = by_oauth(alice, sandbox)
    pages = {
        "organizations": reverse("credential", kwargs={"credential_id": held.pk}),
        "repositories": reverse("repositories", kwargs={"credential_id": held.pk}),
        "connections": "/",
    }
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(f"{reverse('diagnose')}?repository_url={github.web_url}/assxxx/ABC")
        window.picture(f"diagnose-form-{width}-{scheme}")
        found = window.faults()
        page.get_by_role("button", name="Check").click()
        verdict(page, "assxxx has not approved this app")
        window.picture(f"diagnose-{width}-{scheme}")
        window.unfold()
        found += window.faults()
        window.picture(f"diagnose-open-{width}-{scheme}")
        page.get_by_label("Address of the repository").fill("nonsense")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("main")).to_contain_text("This is not the address of a repository")
        found += window.faults()
        window.picture(f"diagnose-wrong-{width}-{scheme}")
        for name, address in pages.items():
            page.goto(address)
            window.picture(f"{name}-{width}-{scheme}")
            window.unfold()
            found += window.faults()
            window.picture(f"{name}-open-{width}-{scheme}")
    assert found == []


def test_the_message_to_an_owner_is_copied_by_a_button(
    chromium: Browser, live_server: Any, alice: User, github: Host, sandbox: RunningSandbox
) -> None:
    by_oauth(alice, sandbox)
    with browsing(chromium, live_server.url) as window:
        page = window.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        sign_in(page, "alice")
        diagnose(page, github, "assxxx/ABC")
        page.get_by_role("button", name="Copy the message").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.get_by_label("Message to an owner of assxxx").input_value()
        assert window.faults() == []


def test_a_diagnosis_needs_no_javascript(
    chromium: Browser, live_server: Any, alice: User, github: Host, sandbox: RunningSandbox
) -> None:
    held = by_oauth(alice, sandbox)
    with browsing(chromium, live_server.url, javascript=False) as window:
        page = window.page
        sign_in(page, "alice")
        page.goto(reverse("repositories", kwargs={"credential_id": held.pk}))
        page.get_by_label("Part of the name").fill("private-cases")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Check octo-alice/private-cases").click()
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("heading", name="It works")).to_be_visible()
        page.get_by_label("Address of the repository").fill(f"{github.web_url}/assxxx/ABC")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Copy the message")).to_have_count(0)
        page.get_by_role("button", name="Request access").click()
        page.wait_for_url(f"{github.web_url}/settings/connections/applications/**")
