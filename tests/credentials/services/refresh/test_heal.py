"""What a death left behind: an answer in the journal, or a claim of somebody who is gone."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from credentials.models import AuditEvent, Credential, Revocation, RevocationReason, Status
from credentials.services import processes
from credentials.services.refresh import claim, heal, journal, perform
from credentials.services.refresh.claim import Outcome
from tests.clock import Clock
from tests.credentials.providers.loopback import Server
from tests.credentials.services.refresh.grants import (
    Rotating,
    claimed_by,
    gitlab_at,
    of_a_dead_process,
    opened,
    pair,
)
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credential(alice: User, provider: Rotating, server: Server) -> Credential:
    access, refresh = provider.first()
    return pair(alice, gitlab_at(server.url), token=access, refresh=refresh, ends=timedelta(minutes=1))


def die_before_the_database_has_it(credential: Credential, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is on the disk, and the process ends."""

    def killed(*args: Any, **kwargs: Any) -> Outcome:
        raise OperationalError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(perform, "store", killed)
        perform.refresh(credential.pk, need=None, sleep=lambda seconds: None)


def test_an_answer_in_the_journal_is_stored_by_whoever_takes_the_claim_and_nobody_asks_again(
    credential: Credential, provider: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=credential.created_at)
    die_before_the_database_has_it(credential, monkeypatch)

    assert perform.refresh(credential.pk, need=None).outcome is Outcome.REFRESHED

    row = fresh(credential)
    assert (row.status, row.refreshing_since) == (Status.VALID, None)
    assert opened(row) in provider.live
    assert list(journal.entries()) == []


def test_an_answer_in_the_journal_reaches_its_row_at_the_next_start(
    credential: Credential, provider: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=credential.created_at)
    die_before_the_database_has_it(credential, monkeypatch)
    assert fresh(credential).refreshing_since is not None

    assert heal.replay() == 1

    row = fresh(credential)
    assert (row.generation, row.refreshing_since, row.status) == (2, None, Status.VALID)
    assert opened(row) in provider.live
    assert list(journal.folder().iterdir()) == []
    assert heal.replay() == 0


def test_an_answer_for_an_account_that_was_disconnected_meanwhile_is_revoked_and_not_stored(
    credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=credential.created_at)
    die_before_the_database_has_it(credential, monkeypatch)
    Credential.objects.filter(pk=credential.pk).update(
        status=Status.DISCONNECTED, access_envelope=None, refresh_envelope=None, fingerprint=None
    )

    heal.replay()

    assert fresh(credential).access_envelope is None
    late = Revocation.objects.get(reason=RevocationReason.LATE_REFRESH)
    assert (late.row, late.generation, late.owner_name) == (credential.pk, 2, "alice")
    assert list(journal.folder().iterdir()) == []


def test_an_answer_whose_person_was_deleted_meanwhile_is_revoked_too(
    credential: Credential, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=credential.created_at)
    die_before_the_database_has_it(credential, monkeypatch)
    Revocation.objects.all().delete()
    Credential.objects.all().delete()
    alice.delete()

    heal.replay()

    late = Revocation.objects.get(reason=RevocationReason.LATE_REFRESH)
    assert (late.row, late.owner_name, late.credential) == (credential.pk, "alice", None)


def test_an_answer_that_cannot_be_stored_does_not_stand_before_the_others(
    credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_due_at=credential.created_at)
    die_before_the_database_has_it(credential, monkeypatch)
    ((entry, pair),) = journal.entries()
    poison = journal.prepare("0-poison")
    poison.write(replace(pair, credential=uuid4(), host=uuid4(), by="place:1:2#abc"))
    os.utime(poison.path, (0, 0))

    assert heal.replay() == 1
    assert fresh(credential).generation == 2
    assert not entry.path.exists()
    assert poison.path.exists(), "it stays for a person to look at"


def test_a_claim_of_somebody_who_is_gone_is_found_and_asked_about_once(
    credential: Credential, provider: Rotating
) -> None:
    claimed_by(credential, of_a_dead_process())
    assert heal.abandoned() == [credential.pk]

    assert perform.refresh(credential.pk, need=None).outcome is Outcome.REFRESHED

    assert provider.calls == 1
    assert heal.abandoned() == []
    assert AuditEvent.objects.filter(action="credential.refresh_interrupted").count() == 1
    assert fresh(credential).status == Status.VALID


def test_an_interrupted_refresh_that_the_provider_had_answered_is_flagged_with_its_reason(
    credential: Credential, provider: Rotating
) -> None:
    provider.first()  # the provider has made another pair, and nobody has it
    claimed_by(credential, of_a_dead_process())

    result = perform.refresh(credential.pk, need=None, sleep=lambda seconds: None)

    assert result.outcome is Outcome.REFUSED
    assert fresh(credential).status == Status.RECONNECT_REQUIRED
    event = AuditEvent.objects.get(action="credential.refresh_refused")
    assert event.data["reason"] == "interrupted"


def test_a_claim_of_somebody_alive_is_left_alone(credential: Credential, server: Server) -> None:
    mark = claim.new_mark()
    Credential.objects.filter(pk=credential.pk).update(
        refreshing_since=credential.created_at, refreshing_by=mark
    )
    with claim.in_flight(mark):
        assert heal.abandoned() == []
        assert perform.refresh(credential.pk, need=timedelta(days=1)).outcome is Outcome.BUSY
    assert server.seen == []
    assert heal.abandoned() == [credential.pk]


def test_a_jump_of_the_clock_makes_nobody_alive_look_gone(credential: Credential) -> None:
    clock = Clock()
    parent = processes.identity().split(":")
    claimed_by(credential, ":".join([parent[0], "1", processes._stat(1).started]))
    for hours in (24, -48):
        clock.step(hours=hours)
        assert heal.abandoned(now=clock) == []


def test_an_empty_file_of_a_refresh_that_never_got_an_answer_is_dropped_after_a_while() -> None:
    entry = journal.prepare("left-behind")
    heal.replay()
    assert entry.path.exists()
    os.utime(entry.path, (0, 0))
    heal.replay()
    assert not entry.path.exists()
