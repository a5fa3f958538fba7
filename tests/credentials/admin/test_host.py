"""Hosts in the admin: saved by the service, refused on the form, and a client secret that never returns."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import AuditEvent, Host
from credentials.services import vault
from tests import builders
from tests.credentials.admin.desk import Stock, act, browser, page, read, staff

pytestmark = pytest.mark.django_db

SECRET = "client-secret-canary-0123456789"
CORP = {
    "slug": "corp",
    "provider": "gitlab",
    "name": "Corp",
    "web_url": "https://git.example.org",
    "api_url": "",
    "client_id": "app",
    "client_secret": SECRET,
    "oauth_scopes": "read_user\nread_repository",
}


def add(client: Client, **changes: str) -> Any:
    return client.post(page(Host, "add"), {**CORP, **changes})


def test_a_host_is_registered_by_the_service_and_recorded(desk: Client, admin: User) -> None:
    assert add(desk).status_code == 302

    host = Host.objects.get()
    assert (host.slug, host.api_url, host.offers_oauth) == ("corp", "https://git.example.org/api/v4", True)
    assert host.oauth_scopes == ["read_user", "read_repository"]
    assert vault.open_client_secret(host, record=lambda: None).reveal() == SECRET
    event = AuditEvent.objects.get(action="host.added")
    assert (event.actor_kind, event.actor_name, event.subject_name) == ("user", "admin", "Corp")
    assert "client_secret" in event.data["changed"]


def test_the_client_secret_never_comes_back(desk: Client) -> None:
    add(desk)
    host = Host.objects.get()

    for answer in (
        desk.get(page(Host, "change", host.pk)),
        desk.get(page(Host, "changelist")),
        add(desk, slug="corp"),
        add(desk, slug="other", web_url="nonsense"),
    ):
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()


def test_what_the_service_refuses_is_an_error_of_the_form_and_nothing_is_kept(desk: Client) -> None:
    answer = add(desk, web_url="http://git.example.org")

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["web_url"] == [
        "Only https is allowed here, unless the host is on a private network."
    ]
    assert not Host.objects.exists()
    assert not AuditEvent.objects.filter(action="host.added").exists()


def test_a_slug_that_is_taken_changes_nobody_elses_host(desk: Client) -> None:
    builders.host("gitlab", name="First")

    answer = add(desk, slug="gitlab")

    assert answer.status_code == 200
    assert "slug" in answer.context["adminform"].form.errors
    assert Host.objects.get().name == "First"


def test_a_private_name_without_a_dot_is_accepted(desk: Client) -> None:
    answer = add(desk, web_url="http://gitea:3000", provider="gitea", allow_private_network="on")

    assert answer.status_code == 302
    assert Host.objects.get().web_url == "http://gitea:3000"


def test_a_client_secret_without_a_client_id_is_refused(desk: Client) -> None:
    assert "client_id" in add(desk, client_id="").context["adminform"].form.errors


def test_addresses_are_fixed_once_a_secret_is_bound_to_them(desk: Client, stocked: Stock) -> None:
    address = page(Host, "change", stocked.host.pk)

    answer = desk.post(
        address,
        {
            "name": "Renamed",
            "provider": "gitlab",
            "web_url": "https://evil.example.org",
            "api_url": "https://evil.example.org/api",
            "client_id": "app",
            "allow_private_network": "on",
        },
    )

    assert answer.status_code == 302
    host = Host.objects.get()
    assert (host.name, host.web_url, host.provider) == ("Renamed", "http://127.0.0.1:9", "github")
    fields = desk.get(address).context["adminform"].form.fields
    assert not {"slug", "provider", "web_url", "api_url"} & set(fields)


def test_a_credential_that_comes_while_the_form_is_open_still_fixes_the_address(
    desk: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = builders.host("gitlab")
    builders.credential(alice, host)
    # The form was opened before the credential came, so its addresses are still fields.
    monkeypatch.setattr("credentials.admin.host.HostAdmin.get_readonly_fields", lambda *_: HOST_READONLY)

    answer = desk.post(
        page(Host, "change", host.pk),
        {
            **CORP,
            "slug": "gitlab",
            "web_url": "https://evil.example.org",
            "client_id": "",
            "client_secret": "",
        },
    )

    assert answer.status_code == 200
    assert "Register the new address as another host." in str(
        answer.context["adminform"].form.non_field_errors()
    )
    assert Host.objects.get().web_url == "http://127.0.0.1:9/gitlab"


HOST_READONLY = ("state", "oauth", "connected", "created", "changed")


def test_addresses_can_change_while_nothing_is_bound_to_them(desk: Client) -> None:
    host = builders.host("gitlab")

    answer = desk.post(
        page(Host, "change", host.pk),
        {"name": "Moved", "web_url": "https://new.example.org", "api_url": "", "client_id": ""},
    )

    assert answer.status_code == 302
    assert Host.objects.get().web_url == "https://new.example.org"


def test_an_empty_client_secret_keeps_the_stored_one_and_an_empty_client_id_destroys_it(desk: Client) -> None:
    add(desk)
    host = Host.objects.get()
    stored = bytes(host.client_secret_envelope or b"")
    address = page(Host, "change", host.pk)

    desk.post(address, {"name": "Corp", "client_id": "app", "client_secret": "", "oauth_scopes": ""})
    host.refresh_from_db()
    assert bytes(host.client_secret_envelope or b"") == stored
    assert host.oauth_scopes == []

    desk.post(address, {"name": "Corp", "client_id": "", "client_secret": "", "oauth_scopes": ""})
    host.refresh_from_db()
    assert (host.client_secret_envelope, host.offers_oauth) == (None, False)
    last = AuditEvent.objects.filter(action="host.changed").first()
    assert last is not None
    assert sorted(last.data["changed"]) == ["client_id", "client_secret"]


def test_hosts_are_closed_and_opened_by_actions(desk: Client) -> None:
    host = builders.host()

    assert "1 host is disabled now." in read(act(desk, Host, "disable", host))
    assert not Host.objects.get().is_enabled
    answer = act(desk, Host, "enable", host, from_page="yes")
    assert Host.objects.get().is_enabled
    assert answer.redirect_chain[-1][0] == page(Host, "change", host.pk)
    actions = AuditEvent.objects.filter(subject_id=str(host.pk)).values_list("action", flat=True)
    assert list(actions) == ["host.enabled", "host.disabled", "host.added"]


def test_a_viewer_neither_closes_nor_changes_a_host() -> None:
    host = builders.host()
    viewer = browser(staff("dora", "view_host"))

    act(viewer, Host, "disable", host)
    answer = viewer.post(page(Host, "change", host.pk), {"name": "X"})

    assert answer.status_code == 403
    assert Host.objects.get().is_enabled


def test_the_request_and_the_address_of_the_person_are_in_the_event(desk: Client) -> None:
    desk.post(page(Host, "add"), CORP, HTTP_X_REQUEST_ID="request-0001", REMOTE_ADDR="127.0.0.7")

    event = AuditEvent.objects.get(action="host.added")
    assert (event.request_id, event.address) == ("request-0001", "127.0.0.7")
