"""Service clients in the admin: a key is shown exactly once, and what a client may do never changes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from credentials.errors import NotAuthenticated
from credentials.models import AuditEvent, Scope, ServiceClient
from credentials.services import clients
from tests import builders
from tests.credentials.admin.desk import act, addresses, browser, page, read, staff

pytestmark = pytest.mark.django_db

KEY = re.compile(r"fk_[a-z2-7]{16}_[\w-]{43}[0-9a-f]{8}")


def add(client: Client, **changes: Any) -> Any:
    values = {
        "name": "importer",
        "scopes": [Scope.CREDENTIALS_LEND.value, Scope.CREDENTIALS_READ.value],
        "hosts": ["github"],
        "allowed_networks": "10.0.0.0/8\n127.0.0.0/8\n",
    }
    return client.post(page(ServiceClient, "add"), {**values, **changes})


def key_on(answer: Any) -> str:
    (key,) = set(KEY.findall(answer.content.decode()))
    return str(key)


def opens(key: str) -> bool:
    try:
        clients.authenticate(clients.parse_key(key), address="127.0.0.1", now=timezone.now())
    except NotAuthenticated:
        return False
    return True


@pytest.fixture(autouse=True)
def github(db: None) -> None:
    builders.host()


def test_a_new_client_has_what_was_ticked_and_its_key_works(desk: Client) -> None:
    answer = add(desk)

    made = ServiceClient.objects.get()
    assert made.scopes == ["credentials:lend", "credentials:read"]
    assert (made.hosts, made.allowed_networks) == (["github"], ["10.0.0.0/8", "127.0.0.0/8"])
    assert opens(key_on(answer))
    event = AuditEvent.objects.get(action="client.created")
    assert (event.actor_name, event.subject_name) == ("admin", "importer")


def test_the_page_of_a_key_is_not_stored_and_its_field_is_labelled(desk: Client) -> None:
    answer = add(desk)

    assert "no-store" in answer["Cache-Control"]
    field = re.search(r'<input id="shown-once"[^>]*>', answer.content.decode())
    assert field is not None
    assert "readonly" in field[0]
    assert 'autocomplete="off"' in field[0]
    assert '<label for="shown-once">' in answer.content.decode()
    assert answer.content.decode().count(key_on(answer)) == 1


def test_the_key_is_on_no_other_page_in_no_session_message_or_log(
    desk: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        answer = add(desk)
    key = key_on(answer)
    secret = key.rsplit("_", 1)[1]

    assert secret not in desk.get(page(ServiceClient, "add")).content.decode()
    for address in addresses():
        assert secret not in desk.get(address, follow=True).content.decode(), address
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert all(secret not in str(entry.__dict__) for entry in LogEntry.objects.all())
    assert all(secret not in str(event.__dict__) for event in AuditEvent.objects.all())
    assert secret not in str(desk.cookies)
    assert secret not in caplog.text
    assert secret.encode() not in bytes(ServiceClient.objects.get().key_hash)


def test_sending_the_form_again_makes_no_second_client_and_shows_no_key(desk: Client) -> None:
    add(desk)

    again = add(desk)

    assert KEY.findall(again.content.decode()) == []
    assert "name" in again.context["adminform"].form.errors
    assert ServiceClient.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"hosts": ["elsewhere"]}, "hosts"),
        ({"allowed_networks": "10.0.0.1/8"}, "allowed_networks"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "expires_at"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    desk: Client, changes: dict[str, Any], field: str
) -> None:
    answer = add(desk, **changes)

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not ServiceClient.objects.exists()
    assert not AuditEvent.objects.filter(action="client.created").exists()


def test_an_end_is_kept(desk: Client) -> None:
    ends = (timezone.now() + timedelta(days=30)).replace(second=0, microsecond=0)

    add(desk, expires_at_0=ends.strftime("%Y-%m-%d"), expires_at_1=ends.strftime("%H:%M"))

    assert ServiceClient.objects.get().expires_at == ends


def test_what_a_client_may_do_is_never_changed(desk: Client) -> None:
    made, _key = builders.client(scopes=[Scope.CREDENTIALS_READ])

    answer = desk.post(page(ServiceClient, "change", made.pk), {"name": "x", "scopes": Scope.values})

    assert answer.status_code == 403
    assert ServiceClient.objects.get().scopes == ["credentials:read"]
    assert desk.get(page(ServiceClient, "change", made.pk)).status_code == 200


def test_renewing_asks_first_and_then_shows_the_new_key_once(desk: Client) -> None:
    made, old = builders.client()

    asked = act(desk, ServiceClient, "renew_key", made)
    assert "Renew the key of backend?" in read(asked)
    assert opens(old.reveal())

    answer = act(desk, ServiceClient, "renew_key", made, confirmed="yes", public_id=made.public_id)
    new = key_on(answer)
    assert "no-store" in answer["Cache-Control"]
    assert opens(new)
    assert not opens(old.reveal())
    assert AuditEvent.objects.filter(action="client.key_renewed", actor_name="admin").count() == 1


def test_a_reloaded_renewal_makes_no_third_key(desk: Client) -> None:
    made, _old = builders.client()
    confirmation = {"confirmed": "yes", "public_id": made.public_id}
    new = key_on(act(desk, ServiceClient, "renew_key", made, **confirmation))

    again = act(desk, ServiceClient, "renew_key", made, **confirmation)

    assert KEY.findall(again.content.decode()) == []
    assert "was renewed already" in read(again)
    assert opens(new)


def test_only_one_key_is_renewed_at_a_time_and_never_a_revoked_one(desk: Client) -> None:
    first, _ = builders.client("first")
    second, _ = builders.client("second")
    clients.revoke(actor=builders.SYSTEM, client=second, now=timezone.now())

    for chosen in ([first, second], [second]):
        assert "Please choose exactly one client" in read(
            act(desk, ServiceClient, "renew_key", *chosen, confirmed="yes", public_id=first.public_id)
        )
    assert not AuditEvent.objects.filter(action="client.key_renewed").exists()


def test_revoking_asks_first_and_then_ends_the_key(desk: Client) -> None:
    made, key = builders.client()

    assert "Revoke service clients?" in read(act(desk, ServiceClient, "revoke", made))
    assert opens(key.reveal())
    answer = act(desk, ServiceClient, "revoke", made, confirmed="yes", from_page="yes")

    assert "1 client is revoked." in read(answer)
    assert answer.redirect_chain[-1][0] == page(ServiceClient, "change", made.pk)
    assert answer.context["page_actions"] == []
    assert not opens(key.reveal())


@pytest.mark.parametrize(
    ("permissions", "made", "renewed", "revoked"),
    [
        (("view_serviceclient",), 0, 0, 0),
        (("view_serviceclient", "add_serviceclient"), 1, 0, 0),
        (("view_serviceclient", "change_serviceclient"), 0, 1, 0),
        (("view_serviceclient", "delete_serviceclient"), 0, 0, 1),
    ],
)
def test_each_verb_needs_its_permission(
    admin: User, permissions: tuple[str, ...], made: int, renewed: int, revoked: int
) -> None:
    row, _key = builders.client()
    dora = browser(staff("dora", *permissions))

    add(dora)
    act(dora, ServiceClient, "renew_key", row, confirmed="yes", public_id=row.public_id)
    act(dora, ServiceClient, "revoke", row, confirmed="yes")

    def count(action: str) -> int:
        return AuditEvent.objects.filter(action=action, actor_name="dora").count()

    assert (count("client.created"), count("client.key_renewed"), count("client.revoked")) == (
        made,
        renewed,
        revoked,
    )
