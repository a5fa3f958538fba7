"""Who gets an import, and when: one holder each, one import of a library, so many of a person, the oldest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import AuditEvent, Import, ImportState
from credentials.services import processes
from credentials.services.imports import claims
from credentials.services.imports.claims import Claim
from credentials.services.processes import Watch
from tests.credentials.services.imports.asked import again, by_git

pytestmark = pytest.mark.django_db

ADDRESS = "https://git.example.org/acme/cases"
NOW = timezone.now()


def asked(owner: User, library: str, *, seconds: int = 0) -> Import:
    return by_git(owner, ADDRESS, library, now=NOW + timedelta(seconds=seconds))


def take(job: Import, *, seconds: int = 60) -> Claim | None:
    return claims.take(job.pk, now=NOW + timedelta(seconds=seconds))


def end(claim: Claim | None) -> None:
    assert claim is not None
    claim.rows.update(state=ImportState.SUCCEEDED, holder="")
    claims.let_go(claim)


def test_an_import_has_one_holder_and_the_trail_names_its_beginning_once(alice: User) -> None:
    job = asked(alice, "Cases")
    claim = take(job)
    assert claim is not None
    assert (claim.job.state, claim.job.attempts, claim.job.holder) == ("running", 1, claim.token)
    assert claim.token.startswith(f"{processes.identity()}/")
    assert take(job) is None
    assert AuditEvent.objects.filter(action="import.started", reference=str(job.pk)).count() == 1


def test_of_a_library_one_runs_and_those_that_wait_come_in_their_order(alice: User) -> None:
    first, second, third = (asked(alice, "Cases", seconds=number) for number in range(3))
    claim = take(third)
    assert claim is not None
    assert claim.job == first, "whichever is named"
    assert take(second) is None
    end(claim)
    assert claims.waiting_behind(first, now=NOW + timedelta(minutes=1)) == (second.pk,)
    after = take(third)
    assert after is not None
    assert after.job == second


def test_the_database_itself_keeps_a_second_one_of_a_library_from_running(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asked(alice, "Cases"), asked(alice, "Cases", seconds=1)
    take(first)
    monkeypatch.setattr(claims, "_has_room", lambda owner: True)
    assert take(second) is None
    assert again(second).state == ImportState.QUEUED


def test_so_many_of_a_person_run_and_the_rest_waits(alice: User, bob: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORTS_PER_USER = 1
    first, second, another = asked(alice, "A"), asked(alice, "B"), asked(bob, "A")
    claim = take(first)
    assert take(second) is None
    assert take(another) is not None
    end(claim)
    assert claims.waiting_behind(first, now=NOW) == (second.pk,)
    assert take(second) is not None


def test_one_that_shall_be_left_alone_lets_the_next_one_pass(alice: User) -> None:
    waits, next_one = asked(alice, "Cases"), asked(alice, "Cases", seconds=1)
    Import.objects.filter(pk=waits.pk).update(queued_at=NOW + timedelta(minutes=5))
    claim = take(waits)
    assert claim is not None
    assert claim.job == next_one
    end(claim)
    assert take(waits) is None
    assert take(waits, seconds=301) is not None


def test_whoever_waits_behind_could_be_taken(alice: User, settings: Any) -> None:
    """What waits for a library that is at work would only be put back."""
    settings.CREDENTIALS_IMPORTS_PER_USER = 2
    first, _busy, other = asked(alice, "A"), asked(alice, "A", seconds=1), asked(alice, "B", seconds=2)
    done = asked(alice, "C")
    take(first)
    assert claims.waiting_behind(done, now=NOW + timedelta(minutes=1)) == (done.pk, other.pk)


def test_an_import_whose_library_is_gone_is_nobodys(alice: User) -> None:
    job = asked(alice, "Cases")
    job.library.delete()
    assert take(job) is None


def test_a_holder_is_given_up_once_its_process_has_ended(alice: User) -> None:
    claim = take(asked(alice, "Cases"))
    assert claim is not None
    place, pid, started = processes.identity().split(":")
    assert not claims.is_given_up(claim.token, heartbeat_at=NOW)
    assert claims.is_given_up(f"{place}:{pid}:{int(started) + 1}/1", heartbeat_at=NOW)
    claims.let_go(claim)
    assert claims.is_given_up(claim.token, heartbeat_at=NOW), "this process itself has let go of it"


def test_a_holder_elsewhere_is_given_up_only_after_a_silence_that_was_heard_here() -> None:
    readings = [0.0]
    watch = Watch(monotonic=lambda: readings[-1])

    def is_given_up(beat: datetime) -> bool:
        return claims.is_given_up("another-place:1:2/3", heartbeat_at=beat, watch=watch)

    long_ago = NOW - timedelta(days=1)
    assert not is_given_up(long_ago), "a clock that is wrong says nothing"
    readings.append(claims.SILENT.total_seconds() - 1)
    assert not is_given_up(long_ago)
    readings.append(claims.SILENT.total_seconds())
    assert is_given_up(long_ago)
    assert not is_given_up(NOW), "it lives"
