"""What was left lying is taken up: imports of killed workers, imports that no worker took, files of dead attempts."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.errors import Conflict
from credentials.models import AuditEvent, Import, ImportState
from credentials.services import duties, processes
from credentials.services.imports import canceling, claims, ending, outcomes, recovery, retrying
from credentials.services.imports.claims import Claim
from credentials.services.imports.ending import Reason
from tests import builders, storages
from tests.credentials.services.imports.asked import again, by_git, by_zip

pytestmark = pytest.mark.django_db

NOW = timezone.now()
ADDRESS = "https://git.example.org/acme/cases"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def queued() -> list[str]:
    """Which imports lie in the queue, with every entry; it is empty afterwards."""
    entries = DBTaskResult.objects.order_by("enqueued_at").values_list("args_kwargs", flat=True)
    named = [str(entry["args"][0]) for entry in entries]
    DBTaskResult.objects.all().delete()
    return named


def of_a_dead_worker(job: Import, *, at: Any = NOW) -> Import:
    """The import as a killed process of this machine leaves it."""
    claim = claims.take(job.pk, now=at)
    assert claim is not None
    claims.let_go(claim)
    place, pid, started = processes.identity().split(":")
    Import.objects.filter(pk=job.pk).update(holder=f"{place}:{pid}:{int(started) + 1}/1")
    queued()
    return again(job)


def test_what_a_killed_worker_left_is_put_back_and_given_up_after_three(alice: User) -> None:
    job, at, states = by_zip(alice, now=NOW), NOW, []
    for _ in range(ending.MOST_ATTEMPTS):
        of_a_dead_worker(job, at=at)
        assert recovery.recover(now=at) >= 1
        states.append((again(job).state, queued()))
    assert states == [("queued", [str(job.pk)]), ("queued", [str(job.pk)]), ("failed", [])]
    problem = outcomes.problem_of(again(job))
    assert problem is not None
    assert (problem.code, problem.retryable) == ("import_interrupted", True)
    assert again(job).upload, "for another try by hand"
    assert AuditEvent.objects.filter(action="import.failed").count() == 1


def test_what_somebody_works_on_is_left_alone(alice: User) -> None:
    claim = claims.take(by_git(alice, ADDRESS, now=NOW).pk, now=NOW)
    assert claim is not None
    assert recovery.recover(now=NOW + timedelta(hours=2)) == 0
    assert again(claim.job).holder == claim.token
    claims.let_go(claim)


@pytest.mark.parametrize("why", ["asked to stop", "left"])
def test_a_killed_import_that_nobody_wants_any_more_is_canceled(why: str, alice: User) -> None:
    job = of_a_dead_worker(by_git(alice, ADDRESS, now=NOW))
    if why == "left":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    recovery.recover(now=NOW)
    assert again(job).state == ImportState.CANCELED
    assert AuditEvent.objects.filter(action="import.canceled").count() == 1


def test_what_no_queue_offers_any_more_is_offered_again_once_a_minute(alice: User, bob: User) -> None:
    lost, newer = by_git(alice, ADDRESS, now=NOW), by_git(bob, ADDRESS, now=NOW + MINUTE)
    queued()
    rounds = []
    for seconds in (59, 61, 90, 122):
        recovery.recover(now=NOW + timedelta(seconds=seconds))
        rounds.append(queued())
    assert rounds == [[], [str(lost.pk)], [], [str(lost.pk), str(newer.pk)]]


def test_a_pause_is_kept_and_ends_by_itself(alice: User) -> None:
    claim: Claim | None = claims.take(by_git(alice, ADDRESS, now=NOW).pk, now=NOW)
    assert claim is not None
    queued()
    ending.fail(claim, Reason(error={"code": "x"}, is_passing=True), now=NOW)
    recovery.recover(now=NOW + timedelta(seconds=29))
    assert queued() == []
    recovery.recover(now=NOW + timedelta(seconds=30))
    assert queued() == [str(claim.job.pk)]


def test_what_waits_for_its_library_is_not_offered_in_vain(alice: User) -> None:
    claim = claims.take(by_git(alice, ADDRESS, now=NOW).pk, now=NOW)
    by_git(alice, ADDRESS, now=NOW)
    queued()
    recovery.recover(now=NOW + 5 * MINUTE)
    assert queued() == []
    assert claim is not None
    claims.let_go(claim)


def test_files_that_dead_attempts_brought_leave_the_storage(alice: User, storage: Path) -> None:
    job = of_a_dead_worker(by_git(alice, ADDRESS, now=NOW))
    name = default_storage.save("snapshots/aa/half.zip", ContentFile(b"x"))
    Import.objects.update(archive=name)
    recovery.recover(now=NOW)
    assert storages.stored(storage) == []
    assert again(job).archive == ""


def aged(storage: Path, name: str, days: float) -> str:
    moment = (NOW - days * DAY).timestamp()
    os.utime(storage / name, (moment, moment))
    return name


def test_uploads_go_a_day_after_their_import_or_when_nobody_ever_named_them(
    alice: User, storage: Path
) -> None:
    waits, kept, over = (by_zip(alice, library=name, now=NOW - 3 * DAY) for name in "ABC")
    for job, ended in ((kept, NOW - DAY / 2), (over, NOW - 1.1 * DAY)):
        Import.objects.filter(pk=job.pk).update(state=ImportState.FAILED, ended_at=ended)
    for job in (waits, kept, over):
        aged(storage, job.upload, 3)
    nobodys = [default_storage.save(f"uploads/{name}.zip", ContentFile(b"x")) for name in ("old", "new")]
    aged(storage, nobodys[0], 1.1)
    recovery.drop_leftovers(now=NOW)
    assert storages.stored(storage) == sorted([waits.upload, kept.upload, nobodys[1]])
    assert again(over).upload == ""
    with pytest.raises(Conflict):
        retrying.retry(actor=builders.SYSTEM, job=over, now=NOW)


def test_ended_imports_are_told_of_for_so_long(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORTS_KEPT_DAYS = 2
    old, new, waits = (by_git(alice, ADDRESS, name, now=NOW - 9 * DAY) for name in "ABC")
    for job, days in ((old, 2.1), (new, 1.9)):
        Import.objects.filter(pk=job.pk).update(state=ImportState.CANCELED, ended_at=NOW - days * DAY)
    assert recovery.drop_leftovers(now=NOW) == 1
    assert set(Import.objects.all()) == {new, waits}


def test_all_of_it_is_done_by_the_worker() -> None:
    done = {duty.name: duty.interval() for duty in duties.REGISTRY}
    assert done["recover-imports"] <= timedelta(seconds=15)
    assert done["drop-imports"] <= timedelta(hours=1)
