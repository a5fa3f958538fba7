"""Service keys: made once, kept as a digest, and refused the moment they are revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import InputInvalid, NotAuthenticated, PermissionRefused
from credentials.models import AuditEvent, PurposeKey, Scope, ServiceClient
from credentials.services import clients, vault
from tests import builders

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def enter(key: Secret, *, address: str = "10.1.2.3", now: Any = NOW) -> ServiceClient:
    return clients.authenticate(clients.parse_key(key.reveal()), address=address, now=now)


def test_a_new_key_authenticates_its_client() -> None:
    client, key = builders.client()
    assert enter(key) == client
    assert clients.KEY_SHAPE.fullmatch(key.reveal())


def test_two_keys_are_never_alike() -> None:
    keys = {builders.client(f"client {number}")[1].reveal() for number in range(50)}
    assert len(keys) == 50


def test_the_key_itself_is_stored_nowhere() -> None:
    _, key = builders.client()
    secret = key.reveal().split("_", 2)[2]
    stored = repr(list(ServiceClient.objects.values()) + list(AuditEvent.objects.values()))
    assert secret not in stored
    assert secret[:20] not in stored


def test_the_digest_depends_on_a_key_that_the_database_holds_sealed_only() -> None:
    client, key = builders.client()
    PurposeKey.objects.filter(purpose=vault.API_KEY_PEPPER).delete()
    vault.forget()
    with pytest.raises(NotAuthenticated):
        enter(key)
    assert ServiceClient.objects.get() == client


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: "",
        lambda key: "fk_",
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key + "\n",
        lambda key: " " + key,
        lambda key: key.upper(),
        lambda key: key[:25] + ("A" if key[25] != "A" else "B") + key[26:],
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: "gh" + key[2:],
        lambda key: key * 100,
    ],
)
def test_a_key_that_was_copied_badly_is_refused_before_the_database_is_asked(
    django_assert_num_queries: Any, spoil: Any
) -> None:
    _, key = builders.client()
    text = spoil(key.reveal())
    with django_assert_num_queries(0), pytest.raises(NotAuthenticated, match="Copy the whole key") as refusal:
        clients.parse_key(text)
    assert key.reveal()[4:20] not in str(refusal.value)


def test_a_well_formed_key_that_nobody_has_gets_the_same_answer_as_one_with_another_secret() -> None:
    client, key = builders.client()
    _, stranger = clients._new_key()
    with pytest.raises(NotAuthenticated) as unknown:
        enter(stranger)
    renewed = clients.renew_key(actor=builders.SYSTEM, client=client)
    ServiceClient.objects.update(public_id=clients.parse_key(key.reveal()).public_id)
    with pytest.raises(NotAuthenticated) as wrong:
        enter(key)
    assert str(unknown.value) == str(wrong.value)
    assert renewed.reveal() != key.reveal()


def test_a_renewed_key_works_and_the_old_one_is_refused_at_once() -> None:
    client, old = builders.client()

    new = clients.renew_key(actor=builders.SYSTEM, client=client)

    assert enter(new) == client
    with pytest.raises(NotAuthenticated):
        enter(old)
    assert AuditEvent.objects.latest("seq").action == "client.key_renewed"


def test_a_revoked_key_is_refused_and_revoking_again_changes_nothing() -> None:
    client, key = builders.client()

    clients.revoke(actor=builders.SYSTEM, client=client, now=NOW)
    clients.revoke(actor=builders.SYSTEM, client=client, now=NOW + timedelta(days=1))

    with pytest.raises(NotAuthenticated, match="revoked or has expired"):
        enter(key)
    client.refresh_from_db()
    assert client.revoked_at == NOW
    assert AuditEvent.objects.filter(action="client.revoked").count() == 1


def test_a_key_works_until_its_end_and_not_at_it() -> None:
    client, key = builders.client(expires_at=NOW)
    assert enter(key, now=NOW - timedelta(seconds=1)) == client
    with pytest.raises(NotAuthenticated):
        enter(key, now=NOW)


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        ([], "203.0.113.9", True),
        (["10.1.0.0/16"], "10.1.255.255", True),
        (["10.1.0.0/16"], "10.2.0.0", False),
        (["10.1.0.0/16"], "::ffff:10.1.2.3", True),
        (["10.1.0.0/16"], "::ffff:10.2.2.3", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "10.1.2.3", False),
        (["10.1.0.0/16", "192.168.0.0/24"], "192.168.0.7", True),
        (["10.1.0.0/16"], "", False),
        (["10.1.0.0/16"], "unix:", False),
    ],
)
def test_a_client_that_is_confined_to_networks_calls_from_there_only(
    networks: list[str], address: str, admitted: bool
) -> None:
    client, key = builders.client(allowed_networks=networks)
    if admitted:
        assert enter(key, address=address) == client
    else:
        with pytest.raises(PermissionRefused, match="network address"):
            enter(key, address=address)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "taken"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["credentials:lend", "everything"]}, "scopes"),
        ({"hosts": ["nowhere"]}, "hosts"),
        ({"allowed_networks": ["10.1.0.0/16", "10.1.2.3/16"]}, "allowed_networks"),
        ({"allowed_networks": ["everywhere"]}, "allowed_networks"),
    ],
)
def test_a_client_with_a_wrong_field_is_refused_by_the_name_of_the_field(
    fields: dict[str, Any], field: str
) -> None:
    builders.client("taken")
    events = AuditEvent.objects.count()
    with pytest.raises(InputInvalid) as refusal:
        builders.client(**{"name": "new", **fields})
    assert refusal.value.field == field
    assert ServiceClient.objects.count() == 1
    assert AuditEvent.objects.count() == events


def test_making_a_client_is_recorded_with_its_scopes() -> None:
    client, _ = builders.client(scopes=[Scope.IMPORTS_READ, Scope.CREDENTIALS_LEND, Scope.IMPORTS_READ])
    event = AuditEvent.objects.get(action="client.created")
    assert (event.subject_id, event.data) == (str(client.pk), {"scopes": client.scopes})
    assert client.scopes == ["credentials:lend", "imports:read"]


def test_a_scope_or_host_that_a_client_lacks_is_named() -> None:
    builders.host()
    client, _ = builders.client(scopes=[Scope.CREDENTIALS_READ], hosts=["github"])
    clients.require_scope(client, Scope.CREDENTIALS_READ)
    clients.require_host(client, "github")
    with pytest.raises(PermissionRefused, match="credentials:lend"):
        clients.require_scope(client, Scope.CREDENTIALS_LEND)
    with pytest.raises(PermissionRefused, match="this host"):
        clients.require_host(client, "gitlab")
    free, _ = builders.client("free")
    clients.require_host(free, "gitlab")
