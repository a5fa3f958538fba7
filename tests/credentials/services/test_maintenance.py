"""The periodic duties: each does what is due, nothing else, and nothing twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import (
    AuditEvent,
    AuditSeal,
    Credential,
    IdempotencyRecord,
    Organization,
    RepositoryAccess,
    Status,
)
from credentials.providers.tokens import Kind
from credentials.services import audit_proof, maintenance, vault
from tests import builders

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
DAY = timedelta(days=1)


def give_pair(stored: Credential) -> None:
    sealed = vault.seal_secret(Secret("r"), stored.binding("refresh"))
    Credential.objects.filter(pk=stored.pk).update(refresh_envelope=sealed)


def test_an_idempotency_key_is_forgotten_after_a_day_and_not_before() -> None:
    for key, age in (("old", DAY + timedelta(seconds=1)), ("young", DAY - timedelta(seconds=1))):
        IdempotencyRecord.objects.create(caller="c", key=key, request_digest=b"", created_at=NOW - age)

    assert maintenance.drop_idempotency(now=NOW) == 1

    assert IdempotencyRecord.objects.get().key == "young"


@pytest.mark.parametrize(
    ("before", "ends_in", "after"),
    [
        (Status.VALID, -timedelta(seconds=1), Status.EXPIRED),
        (Status.VALID, timedelta(0), Status.EXPIRED),
        (Status.LIMITED, -DAY, Status.EXPIRED),
        (Status.EXPIRING, -DAY, Status.EXPIRED),
        (Status.VALID, timedelta(seconds=1), Status.VALID),
        (Status.VALID, None, Status.VALID),
        (Status.LIMITED, DAY, Status.LIMITED),
        (Status.EXPIRING, DAY, Status.EXPIRING),
        (Status.UNVERIFIED, -DAY, Status.EXPIRED),
        (Status.REJECTED, -DAY, Status.REJECTED),
        (Status.QUARANTINED, -DAY, Status.QUARANTINED),
        (Status.EXPIRED, -DAY, Status.EXPIRED),
    ],
)
def test_a_known_end_that_came_is_marked_and_recorded(
    alice: User, before: Status, ends_in: timedelta | None, after: Status
) -> None:
    ends = None if ends_in is None else NOW + ends_in
    stored = builders.credential(alice, builders.host(), status=before, expires_at=ends)

    marked = maintenance.mark_ends(now=NOW)

    stored.refresh_from_db()
    assert stored.status == after
    assert marked == (before != after)
    events = AuditEvent.objects.filter(action="credential.expired")
    assert [event.data for event in events] == [
        {"status_before": before.value, "status": after.value} for _ in range(marked)
    ]
    assert maintenance.mark_ends(now=NOW) == 0
    assert audit_proof.verify().holds


def test_what_a_clock_that_ran_ahead_marked_is_taken_back(alice: User) -> None:
    host = builders.host()
    early = builders.credential(alice, host, expires_at=NOW + timedelta(hours=20))
    told = builders.credential(
        alice, host, status=Status.EXPIRED, status_detail="token_expired", expires_at=NOW + DAY
    )

    assert maintenance.mark_ends(now=NOW + DAY) == 1
    assert maintenance.mark_ends(now=NOW) == 1

    early.refresh_from_db()
    told.refresh_from_db()
    assert early.status == Status.UNVERIFIED
    event = AuditEvent.objects.get(action="credential.unexpired")
    assert event.data == {"status_before": "expired", "status": "unverified"}
    assert not AuditEvent.objects.filter(action="credential.expiring").exists(), "nobody was warned"
    assert told.status == Status.EXPIRED, "its host said so"


@pytest.mark.parametrize(
    ("kind", "paired"), [(Kind.OAUTH, False), (Kind.OAUTH, True), (Kind.APP_TOKEN, False)]
)
def test_a_clock_that_ran_ahead_ends_no_authorization_for_good(alice: User, kind: Kind, paired: bool) -> None:
    ends: dict[str, Any] = {"refresh_ends_at" if paired else "expires_at": NOW + timedelta(hours=20)}
    early = builders.credential(alice, builders.host(), kind=kind, **ends)
    if paired:
        give_pair(early)

    assert maintenance.mark_ends(now=NOW + DAY) == 1
    early.refresh_from_db()
    assert early.status == Status.RECONNECT_REQUIRED
    assert maintenance.mark_ends(now=NOW) == 1

    early.refresh_from_db()
    assert early.status == Status.UNVERIFIED


def test_an_authorization_that_its_host_ended_stays_ended(alice: User) -> None:
    told = builders.credential(
        alice,
        builders.host(),
        kind=Kind.OAUTH,
        status=Status.RECONNECT_REQUIRED,
        status_detail="reconnect_required",
        refresh_ends_at=NOW + DAY,
    )
    give_pair(told)

    assert maintenance.mark_ends(now=NOW) == 0

    told.refresh_from_db()
    assert told.status == Status.RECONNECT_REQUIRED


@pytest.mark.parametrize(("refresh_ends_in", "after"), [(DAY, "valid"), (-DAY, "reconnect_required")])
def test_a_pair_ends_with_its_refresh_token(alice: User, refresh_ends_in: timedelta, after: str) -> None:
    stored = builders.credential(
        alice,
        builders.host(),
        kind=Kind.OAUTH,
        expires_at=NOW - timedelta(hours=1),
        refresh_ends_at=NOW + refresh_ends_in,
    )
    give_pair(stored)

    maintenance.mark_ends(now=NOW)

    stored.refresh_from_db()
    assert stored.status == after


def test_an_oauth_grant_at_its_end_asks_for_its_owner_whoever_looks_first(alice: User) -> None:
    stored = builders.credential(
        alice, builders.host(), kind=Kind.OAUTH, expires_at=NOW - timedelta(minutes=1)
    )
    maintenance.mark_ends(now=NOW)
    stored.refresh_from_db()
    assert stored.status == Status.RECONNECT_REQUIRED


def test_what_nobody_looked_at_for_a_season_is_forgotten(alice: User) -> None:
    held = builders.credential(alice, builders.host())
    kept = builders.access(held, "acme").organization
    old, fresh = NOW - timedelta(days=101), NOW - DAY
    Organization.objects.filter(pk=kept.pk).update(first_seen_at=old)
    for key, seen, named in (("gone", old, old), ("asked", old, fresh), ("new", fresh, None)):
        Organization.objects.create(
            host=held.host, key=key, name=key, first_seen_at=seen, last_named_at=named
        )
    for key, checked in (("a/old", old), ("a/new", fresh)):
        RepositoryAccess.objects.create(credential=held, key=key, verdict="ok", checked_at=checked)

    assert maintenance.drop_memories(now=NOW) == 2
    assert set(Organization.objects.values_list("key", flat=True)) == {"acme", "asked", "new"}
    assert RepositoryAccess.objects.get().key == "a/new"


def test_marking_an_end_keeps_the_secret(alice: User) -> None:
    stored = builders.credential(alice, builders.host(), expires_at=NOW - DAY)
    before = bytes(stored.access_envelope or b"")
    maintenance.mark_ends(now=NOW)
    stored.refresh_from_db()
    assert bytes(stored.access_envelope or b"") == before


def test_the_trail_is_sealed_inside_and_outside_the_database(settings: Any, tmp_path: Path) -> None:
    builders.host()

    assert maintenance.seal(now=NOW) == 1
    assert maintenance.seal(now=NOW) == 0

    anchor = tmp_path / "audit-anchor"
    assert AuditSeal.objects.get().mac.hex() in anchor.read_text("ascii")
    assert anchor.stat().st_mode & 0o777 == 0o600
    assert audit_proof.verify(anchor=anchor).holds


@pytest.mark.django_db(transaction=True)
def test_duties_that_two_workers_carry_out_at_once_are_done_once(alice: User) -> None:
    host = builders.host()
    for number in range(6):
        builders.credential(alice, host, token=f"ghp_{number:036d}", expires_at=NOW - DAY)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            maintenance.mark_ends(now=NOW)
            maintenance.seal(now=NOW)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert AuditEvent.objects.filter(action="credential.expired").count() == 6
    assert set(Credential.objects.values_list("status", flat=True)) == {Status.EXPIRED}
    assert audit_proof.verify().holds
