"""A credential changes its owner: sealed anew, told to both, and only where there is something to give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import AuditUnavailable, Conflict, EnvelopeInvalid, InputInvalid
from credentials.models import AuditEvent, Credential, Lease, Notice, QuarantineReason, Status
from credentials.services import audit, handing_over, quarantine, vault
from credentials.services.calendar import warnings
from credentials.services.refresh import claim, heal
from tests import builders
from tests.credentials.services.refresh.grants import gitlab_at, pair
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def give(credential: Credential, to: User) -> Credential:
    return handing_over.hand_over(actor=builders.SYSTEM, credential=credential, to=to, now=timezone.now())


def test_both_envelopes_open_for_the_new_owner_and_not_for_the_old_one(alice: User, bob: User) -> None:
    credential = builders.credential(alice, builders.host(), token="ghp_secret")
    credential.refresh_envelope = vault.seal_secret(Secret("ghr_secret"), credential.binding("refresh"))
    credential.save()
    old = {name: credential.binding(name) for name in ("access", "refresh")}

    give(fresh(credential), bob)

    row = fresh(credential)
    blobs = {"access": row.access_envelope, "refresh": row.refresh_envelope}
    opened = [
        vault.unseal_after_audit(bytes(blob or b""), row.binding(name))  # type: ignore[arg-type]
        for name, blob in blobs.items()
    ]
    assert [token.reveal() for token in opened] == ["ghp_secret", "ghr_secret"]
    for name, blob in blobs.items():
        with pytest.raises(EnvelopeInvalid):
            vault.unseal_after_audit(bytes(blob or b""), old[name])
    event = AuditEvent.objects.get(action="credential.handed_over")
    assert (event.owner_name, event.data["to"]) == ("alice", "bob")
    assert event.data["envelope_mac"] == vault.envelope_mac(row)
    opening = AuditEvent.objects.get(action="credential.opened")
    assert (opening.purpose, opening.seq < event.seq) == ("hand over", True)


def test_both_are_told_and_what_was_lent_ends(alice: User, bob: User) -> None:
    credential = builders.credential(alice, builders.host())
    now = timezone.now()
    Lease.objects.create(
        client=builders.client()[0],
        credential=credential,
        purpose="p",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )

    give(credential, bob)

    assert {(n.user.username, n.code, n.values["person"]) for n in Notice.objects.all()} == {
        ("alice", "credential_given_away", "bob"),
        ("bob", "credential_taken_over", "alice"),
    }
    assert Lease.objects.get().ended_at is not None
    assert fresh(credential).status == Status.VALID


def _inactive(credential: Credential, bob: User) -> None:
    bob.is_active = False


def _dead(credential: Credential, bob: User) -> None:
    credential.status = Status.REJECTED


def _has_it(credential: Credential, bob: User) -> None:
    builders.credential(bob, credential.host)


def _stopped(credential: Credential, bob: User) -> None:
    credential.status, credential.quarantine_reason = Status.QUARANTINED, QuarantineReason.PANIC


def _refreshing(credential: Credential, bob: User) -> None:
    credential.refreshing_since = timezone.now()


@pytest.mark.parametrize("spoil", [_inactive, _dead, _has_it, _stopped, _refreshing])
def test_what_cannot_be_handed_over_is_not_opened(
    alice: User, bob: User, spoil: Callable[[Credential, User], None]
) -> None:
    credential = builders.credential(alice, builders.host())
    spoil(credential, bob)
    credential.save()
    bob.save()

    with pytest.raises((InputInvalid, Conflict)):
        give(fresh(credential), bob)

    assert fresh(credential).owner == alice
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_who_is_deactivated_meanwhile_gets_nothing(alice: User, bob: User) -> None:
    credential = builders.credential(alice, builders.host())
    stale = User.objects.get(pk=bob.pk)
    User.objects.filter(pk=bob.pk).update(is_active=False)

    with pytest.raises(Conflict):
        give(credential, stale)

    assert fresh(credential).owner == alice


def test_an_administrators_quarantine_is_lifted_by_a_release_only(alice: User, bob: User) -> None:
    credential = builders.credential(alice, builders.host())
    quarantine.quarantine(
        actor=builders.SYSTEM,
        credential=credential,
        reason=QuarantineReason.ADMINISTRATOR,
        now=timezone.now(),
    )

    with pytest.raises(InputInvalid):
        give(fresh(credential), bob)
    assert fresh(credential).status == Status.QUARANTINED


@pytest.mark.django_db(transaction=True)
def test_whose_refresh_was_interrupted_is_settled_by_a_release(alice: User, bob: User) -> None:
    host = gitlab_at("http://127.0.0.1:9")
    credential = pair(alice, host, token="at-1", refresh="rt-1")
    credential.refreshing_since, credential.refreshing_by = timezone.now(), claim.new_mark()
    credential.save()
    quarantine.quarantine(
        actor=builders.SYSTEM, credential=credential, reason=QuarantineReason.KEPT, now=timezone.now()
    )
    with pytest.raises(Conflict, match="release it"):
        give(fresh(credential), bob)
    assert fresh(credential).owner == alice

    quarantine.release(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    assert heal.abandoned() == [credential.pk]
    taken = claim.take(credential.pk, by=claim.new_mark(), need=None, distrust=None, now=timezone.now)
    assert isinstance(taken, claim.Claim)
    assert taken.interrupted
    claim.give_back(taken, failures=0, due_at=None)
    assert give(fresh(credential), bob).owner == bob


def test_the_new_owner_is_warned_of_ends_that_the_old_one_was_told_of(alice: User, bob: User) -> None:
    end = timezone.now() + timedelta(days=3)
    credential = builders.credential(alice, builders.host(), expires_at=end)
    warnings.warn_due(now=timezone.now())
    assert Notice.objects.filter(user=alice, code="ends").count() == 1

    give(fresh(credential), bob)
    warnings.warn_due(now=timezone.now())

    assert Notice.objects.filter(user=bob, code="ends").count() == 1


def test_nothing_is_opened_where_the_event_cannot_be_written(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = builders.credential(alice, builders.host())

    def full(*args: object, **values: object) -> None:
        raise AuditUnavailable("disk full")

    monkeypatch.setattr(audit, "record_durably", full)
    with pytest.raises(AuditUnavailable):
        give(credential, bob)
    assert fresh(credential).owner == alice
