"""The admin looks and never holds: no page of it shows a secret, to anyone."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.test import Client

from credentials.models import (
    AuditEvent,
    Credential,
    Duty,
    Host,
    HostHealth,
    Import,
    Lease,
    Library,
    Organization,
    Revocation,
    ServiceClient,
    Snapshot,
    WebhookDelivery,
    WebhookEndpoint,
)
from tests.credentials.admin.desk import Stock, addresses, browser, found_in, page, staff

pytestmark = pytest.mark.django_db


def links_of(answer: bytes) -> set[str]:
    return {
        part.split('"')[0].replace("&amp;", "&")
        for part in answer.decode().split('href="')[1:]
        if part.startswith(("?", "/admin/"))
    }


def test_no_page_shows_a_superuser_a_secret_in_any_form(desk: Client, stocked: Stock) -> None:
    seen = 0
    for address in addresses():
        answer = desk.get(address, follow=True)
        assert answer.status_code in {200, 403, 404}, address
        seen += answer.status_code == 200
        assert found_in(answer.content, stocked.secrets) == [], address
    assert seen > 150


def test_no_filter_on_any_list_leads_to_a_secret(desk: Client, few: Stock) -> None:
    seen = 0
    for model in site._registry:
        listing = page(model, "changelist")
        for link in links_of(desk.get(listing).content):
            if link.startswith("?"):
                answer = desk.get(f"{listing}{link}", follow=True)
                seen += 1
                assert answer.status_code == 200, link
                assert found_in(answer.content, few.secrets) == [], link
    assert seen > 60


def test_the_crawl_would_notice_a_secret_on_a_page(desk: Client, stocked: Stock) -> None:
    chosen = stocked.credentials[3]
    Credential.objects.filter(pk=chosen.pk).update(label=stocked.secrets["token 3"].hex())

    answer = desk.get(page(Credential, "change", chosen.pk))

    assert found_in(answer.content, stocked.secrets) == ["token 3"]


def test_staff_without_permissions_get_nothing_but_the_empty_index(few: Stock) -> None:
    dora = browser(staff("dora"))

    assert {dora.get(address).status_code for address in addresses() if "/admin/credentials/" in address} <= {
        403,
        404,
    }
    assert dora.get("/admin/").status_code == 200
    assert b"/admin/credentials/" not in dora.get("/admin/").content


@pytest.mark.parametrize("name", ["alice", "charlie"])
def test_people_who_are_no_staff_get_nothing(few: Stock, alice: User, charlie: User, name: str) -> None:
    visitor = browser({"alice": alice, "charlie": charlie}[name])

    for address in addresses():
        answer = visitor.get(address)
        assert answer.status_code in {302, 403}, address
        assert found_in(answer.content, few.secrets) == []


def test_strangers_are_sent_to_the_sign_in_page(few: Stock) -> None:
    for address in addresses():
        answer = Client().get(address, follow=True)
        assert answer.redirect_chain[-1][0].startswith("/accounts/login/"), address


@pytest.mark.parametrize("model", [AuditEvent, Lease, Credential, WebhookDelivery, Library, Snapshot, Import])
def test_nobody_adds_changes_or_deletes_these_superusers_included(
    desk: Client, stocked: Stock, model: type[AuditEvent]
) -> None:
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    before = model._default_manager.count()

    assert desk.get(page(model, "change", row.pk)).status_code == 200
    for address in (page(model, "add"), page(model, "change", row.pk), page(model, "delete", row.pk)):
        assert desk.post(address, {"post": "yes", "purpose": "other", "label": "x"}).status_code == 403
    assert model._default_manager.count() == before


@pytest.mark.parametrize("model", [Host, ServiceClient, WebhookEndpoint])
def test_hosts_clients_and_endpoints_are_never_deleted(
    desk: Client, stocked: Stock, model: type[Host]
) -> None:
    row = model._default_manager.get()

    assert desk.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    desk.post(
        page(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )
    assert model._default_manager.filter(pk=row.pk).exists()


def test_only_pages_that_were_thought_about_exist() -> None:
    ours = {Host, HostHealth, Organization, Credential, ServiceClient, Lease, AuditEvent, Revocation}
    told = {Duty, WebhookEndpoint, WebhookDelivery, Library, Snapshot, Import}
    assert set(site._registry) == {*ours, *told, User, Group}


def test_the_desk_is_titled_calmly(desk: Client) -> None:
    assert b"Forgekey administration" in desk.get("/admin/").content
