"""The admin in a real browser: what axe finds, what the console says, and the two forms at work."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Browser, expect

from credentials.models import (
    AuditEvent,
    Credential,
    Duty,
    Host,
    HostHealth,
    Lease,
    Organization,
    ServiceClient,
    Status,
    WebhookDelivery,
    WebhookEndpoint,
)
from tests import builders
from tests.browser.chromium import DESK, PHONE, Scheme, browsing, sign_in
from tests.credentials.admin.desk import Stock, page, stock

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def plain_http(settings: Any) -> None:
    """The test server speaks plain HTTP."""
    cache.clear()
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@pytest.fixture
def looked_at(alice: User) -> Stock:
    """Rows in every state that looks different."""
    made = stock(alice, count=len(Status))
    for credential, status in zip(made.credentials, Status, strict=True):
        if status != Status.DISCONNECTED:
            Credential.objects.filter(pk=credential.pk).update(status=status)
    soon = timezone.now() + timedelta(days=5)
    Credential.objects.filter(pk=made.credentials[0].pk).update(expires_at=soon)
    builders.access(
        made.credentials[0],
        "assxxx",
        state="not_approved",
        evidence="GET /user/memberships/orgs: 403",
        mend_url="https://github.com/orgs/assxxx/policies/applications/1",
        checked_at=timezone.now() - timedelta(hours=1),
    )
    HostHealth.objects.get_or_create(
        host=made.host, defaults={"failures": 1, "last_failure": "GET /user 503"}
    )
    return made


def pages_to_see(made: Stock) -> list[str]:
    """One page of each kind."""
    event = AuditEvent.objects.filter(action="lease.created").latest("seq")
    lease = Lease.objects.latest("created_at")
    lists = [
        page(model, "changelist")
        for model in (
            *(Duty, Host, HostHealth, Organization, Credential, ServiceClient, Lease, AuditEvent, User),
            *(WebhookEndpoint, WebhookDelivery),
        )
    ]
    return [
        "/admin/",
        *lists,
        page(Host, "add"),
        page(Host, "change", made.host.pk),
        page(Credential, "change", made.credentials[0].pk),
        page(Credential, "calendar"),
        page(Organization, "change", Organization.objects.get(key="assxxx").pk),
        page(HostHealth, "change", made.host.pk),
        page(ServiceClient, "add"),
        page(ServiceClient, "change", made.client.pk),
        page(Lease, "change", lease.pk),
        page(WebhookEndpoint, "add"),
        page(WebhookEndpoint, "change", WebhookEndpoint.objects.get().pk),
        page(WebhookDelivery, "change", WebhookDelivery.objects.get().pk),
        page(AuditEvent, "change", event.pk),
        page(User, "change", made.credentials[0].owner_id),
        page(User, "delete", made.credentials[0].owner_id),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_the_policy_or_shuts_anyone_out(
    chromium: Browser, live_server: Any, admin: User, looked_at: Stock, scheme: Scheme
) -> None:
    with browsing(chromium, live_server.url, width=DESK, scheme=scheme) as watched:
        sign_in(watched.page, "admin")
        for address in pages_to_see(looked_at):
            watched.page.goto(address)
            assert watched.violations() == [], address
            assert watched.complaints == [], address
        assert watched.strangers == []


def test_a_client_is_made_and_its_key_is_there_to_copy_once(
    chromium: Browser, live_server: Any, admin: User, looked_at: Stock
) -> None:
    with browsing(chromium, live_server.url) as watched:
        sign_in(watched.page, "admin")
        watched.page.goto(page(ServiceClient, "add"))
        watched.page.get_by_label("Name:").fill("importer")
        watched.page.get_by_label("credentials:lend").check()
        watched.page.get_by_role("button", name="Save", exact=True).click()

        field = watched.page.get_by_label("Service key")
        expect(field).to_have_value(re.compile(r"fk_[a-z2-7]{16}_[\w-]{51}"))
        assert field.get_attribute("readonly") is not None
        assert watched.violations() == []
        secret = field.input_value().rsplit("_", 1)[1]

        watched.page.get_by_role("link", name="I have kept it").click()
        assert secret not in watched.page.content()
        assert watched.complaints == []
    assert ServiceClient.objects.get(name="importer").scopes == ["credentials:lend"]


def test_a_credential_is_disconnected_from_its_page_after_a_question(
    chromium: Browser, live_server: Any, admin: User, alice: User
) -> None:
    chosen = builders.credential(alice, builders.host(), account_name="octo-alice")
    with browsing(chromium, live_server.url) as watched:
        sign_in(watched.page, "admin")
        watched.page.goto(page(Credential, "change", chosen.pk))
        watched.page.get_by_role("button", name="Disconnect").click()
        expect(watched.page.get_by_role("heading", name="Disconnect credentials?")).to_be_visible()
        assert watched.violations() == []
        watched.page.get_by_role("button", name="Disconnect").click()

        expect(watched.page.get_by_text("The credential of alice at Github: disconnected;")).to_be_visible()
        expect(watched.page.get_by_role("heading", name="Revocations")).to_be_visible()
        assert watched.violations() == []
        expect(watched.page.get_by_role("button", name="Disconnect")).to_have_count(0)
        assert watched.complaints == []
    assert Credential.objects.get().status == Status.DISCONNECTED


def test_an_endpoint_is_added_and_its_secret_is_there_to_copy_once(
    chromium: Browser, live_server: Any, admin: User
) -> None:
    builders.client("importer")
    with browsing(chromium, live_server.url) as watched:
        sign_in(watched.page, "admin")
        watched.page.goto(page(WebhookEndpoint, "add"))
        watched.page.get_by_label("Client:").select_option("importer")
        watched.page.get_by_label("Address:").fill("https://receiver.example.org/hook")
        watched.page.get_by_label("credential.reconnect_required").check()
        watched.page.get_by_role("button", name="Save", exact=True).click()

        field = watched.page.get_by_label("Signing secret")
        expect(field).to_have_value(re.compile(r"whsec_[A-Za-z0-9+/]{43}="))
        assert watched.violations() == []
        secret = field.input_value().removeprefix("whsec_")

        watched.page.get_by_role("link", name="I have kept it").click()
        assert secret not in watched.page.content()
        assert watched.complaints == []
    assert WebhookEndpoint.objects.get().events == ["credential.reconnect_required"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_is_offboarded_from_their_page_with_everything_told_first(
    chromium: Browser, live_server: Any, admin: User, looked_at: Stock, bob: User, scheme: Scheme
) -> None:
    given = looked_at.credentials[1]
    with browsing(chromium, live_server.url, width=DESK, scheme=scheme) as watched:
        sign_in(watched.page, "admin")
        watched.page.goto(page(User, "change", given.owner_id))
        watched.page.get_by_role("button", name="Offboard").click()
        assert watched.violations() == []
        watched.page.get_by_label("New owner of octo-1 at Github").fill("bob")
        watched.page.get_by_label("Do not revoke anything yet").check()
        watched.page.get_by_role("button", name="Offboard").click()

        expect(watched.page.get_by_role("heading", name="alice is offboarded")).to_be_visible()
        expect(watched.page.get_by_text("handed over: bob")).to_be_visible()
        assert watched.violations() == []
        assert watched.complaints == []


def test_on_a_phone_the_page_that_offboards_shows_every_column_and_marks_the_wrong_name(
    chromium: Browser, live_server: Any, admin: User, looked_at: Stock
) -> None:
    given = looked_at.credentials[1]
    with browsing(chromium, live_server.url, width=PHONE) as watched:
        sign_in(watched.page, "admin")
        watched.page.goto(page(User, "change", given.owner_id))
        watched.page.get_by_role("button", name="Offboard").click()
        field = watched.page.get_by_label("New owner of octo-1 at Github")
        for _time in range(2):
            box = field.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE
            assert watched.overflow() == 0
            assert watched.violations() == []
            field.fill("nobody")
            watched.page.get_by_role("button", name="Offboard").click()
        expect(field).to_have_attribute("aria-invalid", "true")
        assert watched.complaints == []
