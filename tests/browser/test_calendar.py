"""The page of what ends when, in a real browser: wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, expect

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Status
from credentials.providers.tokens import Kind
from credentials.services import calendar, vault
from tests import builders
from tests.browser.chromium import DESK, PHONE, Scheme, browsing, sign_in
from tests.credentials.admin.desk import page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS: tuple[tuple[int, Scheme], ...] = (
    (DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark"),
)  # fmt: skip


def paired(owner: User, at: Host, **fields: Any) -> Credential:
    made = builders.credential(owner, at, kind=Kind.OAUTH, token=f"t-{uuid()}", **fields)
    sealed = vault.seal_secret(Secret("r"), made.binding("refresh"))
    Credential.objects.filter(pk=made.pk).update(refresh_envelope=sealed)
    return made


def uuid() -> str:
    return str(builders.uuid4())


@pytest.fixture
def full_calendar(alice: User) -> Credential:
    """An end of every kind; the credential whose date can be typed in."""
    now = timezone.now()
    client = {"client_id": "now", "client_secret": Secret("s" * 40)}
    github, gitlab = builders.host("github", **client), builders.host("gitlab", **client)
    bitbucket, gitea = builders.host("bitbucket", **client), builders.host("gitea", **client)
    builders.credential(alice, github, account_name="octo-alice", expires_at=now + timedelta(days=6))
    old = builders.credential(
        alice, github, token=uuid(), account_name="octo-alice-with-a-name-that-is-as-long-as-names-may-become"
    )
    past = now - timedelta(days=340)
    Credential.objects.filter(pk=old.pk).update(last_verified_at=past, created_at=past, sealed_at=past)
    paired(alice, gitlab, label="renewed", refresh_ends_at=now + timedelta(days=20), oauth_client_id="before")
    paired(alice, bitbucket, label="resting", sealed_at=now - timedelta(days=80))
    Host.objects.filter(pk=gitea.pk).update(client_refused_since=now)
    paired(alice, gitea, label="their own Gitea", sealed_at=now)
    builders.credential(alice, gitea, token=uuid(), label="no end")
    builders.credential(
        alice, gitlab, token=uuid(), label="dead", status=Status.EXPIRED, expires_at=now - timedelta(days=1)
    )
    typed = builders.credential(alice, bitbucket, kind=Kind.API_TOKEN, token=uuid(), label="cloud")
    calendar.warn_due(now=now)
    return typed


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_calendar_has_no_fault(
    chromium: Browser, live_server: Any, full_calendar: Credential, width: int, scheme: Scheme
) -> None:
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as window:
        sign_in(window.page, "alice")
        window.page.goto(reverse("calendar"))
        expect(window.page.get_by_role("heading", name="To come")).to_be_visible()
        window.picture(f"calendar-{width}-{scheme}")
        assert window.faults() == []
        window.page.goto(reverse("connections"))
        window.picture(f"connections-{width}-{scheme}")
        assert window.faults() == []
        window.page.goto(reverse("credential", args=[full_calendar.pk]))
        window.picture(f"credential-{width}-{scheme}")
        assert window.faults() == []


def test_a_date_is_typed_in_without_javascript(
    chromium: Browser, live_server: Any, full_calendar: Credential
) -> None:
    with browsing(chromium, live_server.url, width=PHONE, javascript=False) as window:
        tab = window.page
        sign_in(tab, "alice")
        tab.get_by_role("link", name="What ends when").first.click()
        expect(tab.get_by_text("may be older")).to_be_visible()
        tab.get_by_role("link", name="cloud", exact=True).click()
        tab.get_by_label("Ends on").fill("2040-03-01")
        tab.get_by_role("button", name="Store the date").click()
        expect(tab.get_by_role("status").filter(has_text="The date was stored")).to_be_visible()
        expect(tab.get_by_role("region", name="What ends when")).to_contain_text("March 1, 2040")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_administrators_calendar_has_no_fault(
    chromium: Browser, live_server: Any, full_calendar: Credential, admin: User, width: int, scheme: Scheme
) -> None:
    with browsing(chromium, live_server.url, width=width, scheme=scheme) as window:
        sign_in(window.page, "admin")
        window.page.goto(page(Credential, "calendar"))
        expect(window.page.get_by_role("heading", name="Any day")).to_be_visible()
        window.picture(f"admin-{width}-{scheme}")
        assert window.faults() == []
