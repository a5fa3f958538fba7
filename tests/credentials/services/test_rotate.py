"""Rotation: everything moves to the first key, nothing is lost, and whoever writes meanwhile wins."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from credentials.crypto.key_file import append_entry, promote_entry
from credentials.crypto.secret import Secret
from credentials.errors import AuditUnavailable, ConfigurationError
from credentials.models import AuditEvent, Credential, Host, PendingConnection, PurposeKey, RingKey, Status
from credentials.services import audit, audit_proof, disconnect, rotate, sealed_rows, vault
from credentials.services.audit import Actor, Subject
from tests import builders
from tests.credentials.services.webhooks.receiver import endpoint

pytestmark = pytest.mark.django_db


def pending_connection(user: User, host: Host) -> PendingConnection:
    pending = PendingConnection(user=user, host=host, expires_at=timezone.now())
    pending.access_envelope = vault.seal_secret(Secret("pending access"), pending.binding("access"))
    pending.refresh_envelope = vault.seal_secret(Secret("pending refresh"), pending.binding("refresh"))
    pending.save()
    return pending


def token(number: int) -> str:
    return f"ghp_{number:036d}"


def credentials(owner: User, host: Host, count: int) -> list[Credential]:
    return [builders.credential(owner, host, token=token(number)) for number in range(count)]


def put_token(credential: Credential, text: str) -> None:
    """What replacing a token does to a row."""
    credential.generation += 1
    credential.key_id = vault.primary_key_id()
    credential.access_envelope = vault.seal_secret(Secret(text), credential.binding("access"))


def opened(credential: Credential, field: Any = "access") -> str:
    fresh = Credential.objects.select_related("host").get(pk=credential.pk)
    return vault.open_credential(fresh, field=field, record=lambda: None).reveal()


def key_ids() -> set[str]:
    return set(sealed_rows.counts())


def test_everything_that_is_stored_moves_to_the_first_key_and_opens_as_before(
    own_key_file: Path, alice: User
) -> None:
    host = builders.host(client_id="app", client_secret=Secret("client secret"))
    stored = builders.credential(alice, host)
    stored.refresh_envelope = vault.seal_secret(Secret("refresh"), stored.binding("refresh"))
    stored.save()
    pending = pending_connection(alice, host)
    listening, signing = endpoint("https://receiver.example.org/hook")
    left = builders.credential(alice, host, token=token(1))
    disconnect.close(actor=builders.SYSTEM, credential=left, now=timezone.now())
    fingerprint = vault.fingerprint(Secret("anything"))
    old = vault.primary_key_id()
    first = builders.new_first_key(own_key_file)
    assert rotate.remaining() == 5 + PurposeKey.objects.count()

    outcome = rotate.rotate()

    assert outcome.complete
    assert outcome.failures == {}
    assert outcome.rewrapped == {
        "credential": 1,
        "host": 1,
        "connection": 1,
        "webhook": 1,
        "revocation": 1,
        "purpose_key": PurposeKey.objects.count(),
    }
    assert key_ids() == sealed_rows.key_ids() == {first} != {old}
    assert (opened(stored), opened(stored, "refresh")) == ("ghp_" + "a" * 36, "refresh")
    assert vault.open_client_secret(Host.objects.get(), record=lambda: None).reveal() == "client secret"
    listening.refresh_from_db()
    sealed = bytes(listening.secret_envelope or b"")
    assert vault.unseal_after_audit(sealed, listening.secret_binding(1)).reveal() == signing
    pending.refresh_from_db()
    for field, blob in (("access", pending.access_envelope), ("refresh", pending.refresh_envelope)):
        binding = pending.binding(field)  # type: ignore[arg-type]  # one of the two names
        assert vault.unseal_after_audit(bytes(blob or b""), binding).reveal() == f"pending {field}"
    vault.forget()
    assert vault.fingerprint(Secret("anything")) == fingerprint


def test_after_rotation_the_old_entry_can_be_removed(own_key_file: Path, alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    first = builders.new_first_key(own_key_file)
    rotate.rotate()

    builders.lose_all_keys_but(own_key_file, first)

    assert opened(stored) == "ghp_" + "a" * 36
    assert sealed_rows.missing_keys() == set()


def test_each_credential_has_its_event_and_the_trail_holds(own_key_file: Path, alice: User) -> None:
    stored = credentials(alice, builders.host(), 3)
    first = builders.new_first_key(own_key_file)

    rotate.rotate()

    events = AuditEvent.objects.filter(action="credential.rewrapped")
    assert {event.subject_id for event in events} == {str(credential.pk) for credential in stored}
    for event in events:
        credential = Credential.objects.get(pk=event.subject_id)
        assert event.data == {
            "key_id": first,
            "generation": 1,
            "envelope_mac": vault.envelope_mac(credential),
        }
        assert (event.actor_name, event.owner_name, event.host) == ("rotate_keys", "alice", "github")
    assert audit_proof.verify().holds


def test_the_secret_and_its_data_key_are_not_touched(own_key_file: Path, alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    before = bytes(stored.access_envelope or b"")
    builders.new_first_key(own_key_file)

    rotate.rotate()

    stored.refresh_from_db()
    after = bytes(stored.access_envelope or b"")
    assert after[:70] != before[:70]
    assert after[70:] == before[70:]
    assert stored.generation == 1


def test_a_second_run_finds_nothing_to_do(own_key_file: Path, alice: User) -> None:
    credentials(alice, builders.host(), 2)
    builders.new_first_key(own_key_file)
    rotate.rotate()
    events = AuditEvent.objects.count()

    outcome = rotate.rotate()

    assert (outcome.rewrapped.total(), outcome.complete) == (0, True)
    assert AuditEvent.objects.count() == events


def test_pages_cover_every_row_whatever_their_size(own_key_file: Path, alice: User) -> None:
    stored = credentials(alice, builders.host(), 7)
    for size in (1, 2, 3, 7, 8):
        first = builders.new_first_key(own_key_file)
        left: list[int] = []

        def look(left: list[int] = left) -> None:
            left.append(rotate.remaining())

        outcome = rotate.rotate(batch=size, progress=look)

        assert outcome.rewrapped["credential"] == 7
        assert left == sorted(left, reverse=True)
        assert key_ids() == {first}
    assert [opened(credential) for credential in stored] == [token(number) for number in range(7)]
    assert audit_proof.verify().holds


def test_a_disconnected_credential_has_nothing_to_re_wrap(own_key_file: Path, alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    disconnect.disconnect(actor=builders.SYSTEM, credential=stored)
    builders.new_first_key(own_key_file)

    assert rotate.rotate().rewrapped["credential"] == 0


def test_a_row_that_does_not_open_is_named_and_left_and_the_rest_goes_on(
    own_key_file: Path, alice: User
) -> None:
    stored = credentials(alice, builders.host(), 3)
    damaged = stored[1]
    blob = bytearray(damaged.access_envelope or b"")
    blob[30] ^= 1
    Credential.objects.filter(pk=damaged.pk).update(access_envelope=bytes(blob))
    old = vault.primary_key_id()
    first = builders.new_first_key(own_key_file)

    outcome = rotate.rotate(batch=1)

    assert [(failure.kind, failure.id) for failure in outcome.failures.values()] == [
        ("credential", str(damaged.pk))
    ]
    assert outcome.remaining == 1
    assert not outcome.complete
    damaged.refresh_from_db()
    assert bytes(damaged.access_envelope or b"") == bytes(blob)
    assert damaged.key_id == old
    assert (opened(stored[0]), opened(stored[2])) == (token(0), token(2))
    assert sealed_rows.counts()[first]["credential"] == 2


def test_of_two_envelopes_in_a_row_none_moves_alone(own_key_file: Path, alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    # Bound to another field: as if somebody had copied the access envelope over.
    Credential.objects.filter(pk=stored.pk).update(refresh_envelope=stored.access_envelope)
    before = bytes(stored.access_envelope or b"")
    builders.new_first_key(own_key_file)

    outcome = rotate.rotate()

    assert len(outcome.failures) == 1
    stored.refresh_from_db()
    assert bytes(stored.access_envelope or b"") == before


def test_rows_under_a_key_that_is_gone_are_named_with_their_key(own_key_file: Path, alice: User) -> None:
    lost = vault.primary_key_id()
    vault.purpose_key(vault.AUDIT)
    vault.purpose_key(vault.FINGERPRINT)
    stored = builders.credential(alice, builders.host())
    first = builders.new_first_key(own_key_file)
    # The purpose keys were re-wrapped, the credential was not; then somebody dropped the old entry.
    rotate._pass(sealed_rows.STORES[0], rotate.Rotation(), batch=10, progress=lambda: None)
    builders.lose_all_keys_but(own_key_file, first)

    outcome = rotate.rotate()

    (failure,) = outcome.failures.values()
    assert failure.id == str(stored.pk)
    assert f"no key {lost}" in failure.reason
    assert sealed_rows.missing_keys() == {lost}


def test_re_wrapping_counts_against_the_nonce_budget_and_stops_at_its_end(
    own_key_file: Path, alice: User
) -> None:
    credentials(alice, builders.host(), 3)
    first = builders.new_first_key(own_key_file)
    rows = rotate.remaining()
    rotate.rotate()
    budget = RingKey.objects.filter(key_id=first)
    # Audit events need no key of the ring, so every wrap was one envelope.
    assert budget.get().wraps == rows

    first = builders.new_first_key(own_key_file)
    RingKey.objects.create(
        key_id=first, check_value=vault.ring().primary.kcv, wraps=vault.WRAP_LIMIT - rows + 1
    )
    with pytest.raises(ConfigurationError, match="Add a new first key"):
        rotate.rotate()
    assert RingKey.objects.get(key_id=first).wraps <= vault.WRAP_LIMIT


def test_a_key_that_was_appended_encrypts_nothing_until_it_is_promoted(
    own_key_file: Path, alice: User
) -> None:
    credentials(alice, builders.host(), 1)
    old = vault.primary_key_id()
    new = append_entry(own_key_file).ids[-1]
    vault.forget()
    assert rotate.remaining() == 0
    builders.credential(alice, Host.objects.get(), token=token(9))
    assert key_ids() == {old}

    promote_entry(own_key_file, new)
    vault.forget()
    rotate.rotate()

    assert key_ids() == {new}


@pytest.mark.django_db(transaction=True)
def test_a_page_whose_events_cannot_be_written_changes_nothing(own_key_file: Path, alice: User) -> None:
    credentials(alice, builders.host(), 2)
    old = vault.primary_key_id()
    builders.new_first_key(own_key_file)
    vault.purpose_key(vault.AUDIT)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_auditevent RENAME TO set_aside")
    try:
        with pytest.raises(AuditUnavailable):
            rotate.rotate()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_auditevent")

    assert key_ids() == {old}
    assert rotate.rotate().complete
    assert audit_proof.verify().holds


def test_an_envelope_that_was_replaced_since_it_was_read_is_left_alone(
    own_key_file: Path, alice: User
) -> None:
    stored = builders.credential(alice, builders.host())
    store = sealed_rows.STORES[-1]
    builders.new_first_key(own_key_file)
    page = rotate._page(store, after=None, size=10)
    put_token(stored, token(5))
    stored.save()

    assert rotate._rewrap(store, page, rotate.Rotation()) == 0

    assert opened(stored) == token(5)
    assert not AuditEvent.objects.filter(action="credential.rewrapped").exists()


@pytest.mark.django_db(transaction=True)
def test_two_runs_and_people_who_replace_tokens_at_the_same_time_lose_nothing(
    own_key_file: Path, alice: User
) -> None:
    host = builders.host()
    stored = credentials(alice, host, 24)
    builders.new_first_key(own_key_file)
    failures: list[BaseException] = []
    outcomes: list[rotate.Rotation] = []

    def run(work: Any) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    def replace() -> None:
        for number, credential in enumerate(stored[::2]):
            with transaction.atomic():
                current = Credential.objects.select_for_update().get(pk=credential.pk)
                put_token(current, token(100 + number))
                current.status = Status.VALID
                current.save()
                audit.record(
                    "credential.replaced",
                    actor=Actor.system(),
                    subject=Subject(kind="credential", id=str(current.pk), name="c"),
                    data={"envelope_mac": vault.envelope_mac(current)},
                )

    work = [replace, *[lambda: outcomes.append(rotate.rotate(batch=3))] * 2]
    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert all(outcome.complete for outcome in outcomes)
    expected = [token(100 + n // 2) if n % 2 == 0 else token(n) for n in range(24)]
    assert [opened(credential) for credential in stored] == expected
    assert rotate.remaining() == 0
    assert audit_proof.verify().holds
    rewrapped = AuditEvent.objects.filter(action="credential.rewrapped").count()
    assert rewrapped == sum(outcome.rewrapped["credential"] for outcome in outcomes)
