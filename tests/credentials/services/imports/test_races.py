"""Two who want different things of the same import at the same moment: it ends once, and nothing is left behind.

Each seed is one order in which their statements follow one another. How many are tried of each meeting is told by
``IMPORT_RACES``; ``RACES_FROM`` is where to begin, to see one again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from credentials.errors import Conflict, ImportCanceled, NotFound, TooManyRequests
from credentials.models import AuditEvent, Import, ImportState, Library, Snapshot, StoredTree
from credentials.services import departures
from credentials.services.imports import canceling, claims, ending, recovery, retrying
from credentials.services.imports.claims import Claim, Lost
from credentials.services.libraries import libraries, trees
from credentials.services.libraries.snapshots import Origin
from tests import builders, storages
from tests.credentials.services.imports.asked import again, by_git, by_zip
from tests.interleaving import Interleaving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0)]

RACES = int(os.environ.get("IMPORT_RACES", "3"))
FROM = int(os.environ.get("RACES_FROM", "0"))
SEEDS = range(FROM, FROM + RACES)
ADDRESS = "https://git.example.org/acme/cases"
Actors = list[tuple[str, Callable[[], object]]]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that keep their connections from race to race."""
    with ThreadPoolExecutor(2) as threads:
        yield threads
        together = threading.Barrier(2)

        def close() -> None:
            together.wait(10)  # so that each thread closes its own
            connections.close_all()

        for closing in [threads.submit(close) for _ in range(2)]:
            closing.result()


def meet(pool: ThreadPoolExecutor, seed: int, actors: Actors, expected: tuple[type[Exception], ...]) -> Any:
    """What each brought about; an error that nobody expects fails the test with the order of its steps."""
    schedule = Interleaving(seed=seed)
    found = schedule.run(pool, actors)
    for outcome in found:
        if isinstance(outcome, Exception) and not isinstance(outcome, expected):
            raise AssertionError("\n".join([f"seed {seed}", *schedule.steps])) from outcome
    return found


def taken(job: Import) -> Claim:
    claim = claims.take(job.pk, now=timezone.now())
    assert claim is not None
    return claim


def succeed(claim: Claim, tmp_path: Path) -> str:
    """The end of a worker's way: put, then the last transaction; what is nobody's goes."""

    def intend(name: str) -> None:
        if not claim.rows.update(archive=name):
            raise Lost

    archive = tmp_path / f"{uuid4()}.zip"
    archive.write_bytes(b"z")
    manifest = storages.manifest({"a": "b"})
    put = trees.put(manifest=manifest, archive=archive, token=uuid4().hex, intend=intend)
    try:
        origin = Origin(source="git", brought_by="alice")
        ending.succeed(claim, put=put, origin=origin, now=timezone.now())
    except ImportCanceled:
        ending.cancel(claim, now=timezone.now())
        return "canceled"
    finally:
        if put.is_new:
            trees.discard(put.archive)
        claims.let_go(claim)
    return "succeeded"


def check_the_end(job: Import, storage: Path) -> str:
    """It ended once, as the trail says, and the storage holds what its rows name."""
    state = str(again(job).state)
    told = AuditEvent.objects.filter(reference=str(job.pk), action__in=ENDS)
    assert [event.action for event in told] == [f"import.{state}"]
    assert Snapshot.objects.count() == (state == "succeeded")
    named = set(StoredTree.objects.values_list("archive", flat=True))
    assert set(storages.stored(storage)) == named
    return state


ENDS: Mapping[str, str] = {f"import.{state}": state for state in ("succeeded", "failed", "canceled")}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_import_that_is_delivered_twice_is_carried_out_once(
    seed: int, alice: User, pool: ThreadPoolExecutor
) -> None:
    job = by_git(alice, ADDRESS)
    take = partial(claims.take, job.pk, now=timezone.now())
    found = meet(pool, seed, [("one", take), ("other", take)], ())
    assert sorted(outcome is None for outcome in found) == [False, True]
    assert again(job).attempts == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_persons_last_place_is_taken_once(
    seed: int, alice: User, pool: ThreadPoolExecutor, settings: Any
) -> None:
    settings.CREDENTIALS_IMPORTS_PER_USER = 1
    jobs = [by_git(alice, ADDRESS, name) for name in "AB"]
    take = [(job.library.name, partial(claims.take, job.pk, now=timezone.now())) for job in jobs]
    found = meet(pool, seed, [*take], ())
    assert sorted(outcome is None for outcome in found) == [False, True]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_persons_last_place_in_the_queue_is_taken_once(
    seed: int, alice: User, pool: ThreadPoolExecutor, settings: Any
) -> None:
    settings.CREDENTIALS_IMPORTS_QUEUED_PER_USER = 1
    ask = partial(by_git, alice, ADDRESS)
    found = meet(pool, seed, [("one", ask), ("other", ask)], (TooManyRequests,))
    assert sorted(isinstance(outcome, TooManyRequests) for outcome in found) == [False, True]
    assert Import.objects.count() == Library.objects.count() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_an_import_that_is_canceled_while_it_finishes_ends_in_one_way(
    seed: int, alice: User, pool: ThreadPoolExecutor, storage: Path, tmp_path: Path
) -> None:
    job = by_git(alice, ADDRESS)
    stop = partial(canceling.cancel, actor=builders.SYSTEM, job=job, now=timezone.now())
    finish = partial(succeed, taken(job), tmp_path)
    finished, stopped = meet(pool, seed, [("worker", finish), ("owner", stop)], (Conflict,))
    assert finished == check_the_end(job, storage)
    assert isinstance(stopped, Conflict) is (finished == "succeeded")


@pytest.mark.parametrize("seed", SEEDS)
def test_who_leaves_while_an_import_finishes_leaves_it_in_one_way(
    seed: int, alice: User, pool: ThreadPoolExecutor, storage: Path, tmp_path: Path
) -> None:
    job = by_git(alice, ADDRESS)
    leave = partial(departures.stop, actor=builders.SYSTEM, user=alice, now=timezone.now())
    finish = partial(succeed, taken(job), tmp_path)
    finished, _left = meet(pool, seed, [("worker", finish), ("administrator", leave)], ())
    assert finished == check_the_end(job, storage)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_import_that_is_taken_for_abandoned_while_it_finishes_ends_once(
    seed: int, alice: User, pool: ThreadPoolExecutor, storage: Path, tmp_path: Path
) -> None:
    job = by_git(alice, ADDRESS)
    claim = taken(job)
    claims.let_go(claim)  # the duty takes it for given up
    recover = partial(recovery.recover, now=timezone.now())
    finished, _done = meet(
        pool, seed, [("worker", partial(succeed, claim, tmp_path)), ("duty", recover)], (Lost,)
    )
    if not isinstance(finished, Lost):
        assert finished == check_the_end(job, storage) == "succeeded"
        return
    assert again(job).state == ImportState.QUEUED
    assert not StoredTree.objects.exists()
    ending.forget_archive(job)
    assert storages.stored(storage) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_an_upload_is_wanted_again_or_goes_but_never_both(
    seed: int, alice: User, pool: ThreadPoolExecutor, storage: Path
) -> None:
    job = by_zip(alice)
    now = timezone.now() + timedelta(days=2)
    Import.objects.update(state=ImportState.FAILED, ended_at=timezone.now(), error={"code": "unexpected"})
    retry = partial(retrying.retry, actor=builders.SYSTEM, job=job, now=now)
    drop = partial(recovery.drop_leftovers, now=now)
    retried, _dropped = meet(pool, seed, [("owner", retry), ("duty", drop)], (Conflict,))
    row = again(job)
    assert (row.state == ImportState.QUEUED) is not isinstance(retried, Conflict)
    assert storages.stored(storage) == ([row.upload] if row.state == ImportState.QUEUED else [])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_retry_and_the_recovery_put_an_import_into_the_queue_once(
    seed: int, alice: User, pool: ThreadPoolExecutor
) -> None:
    job = by_git(alice, ADDRESS)
    claim = taken(job)
    claims.let_go(claim)
    Import.objects.update(attempts=ending.MOST_ATTEMPTS)
    retry = partial(retrying.retry, actor=builders.SYSTEM, job=job, now=timezone.now())
    recover = partial(recovery.recover, now=timezone.now())
    retried, _done = meet(pool, seed, [("owner", retry), ("duty", recover)], (Conflict,))
    row = again(job)
    assert (row.state, row.attempts) == (("failed", 3) if isinstance(retried, Conflict) else ("queued", 0))
    assert AuditEvent.objects.filter(action="import.failed").count() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_library_is_removed_or_imported_into_but_never_both(
    seed: int, alice: User, pool: ThreadPoolExecutor
) -> None:
    ask = partial(by_git, alice, ADDRESS)
    library = ask().library
    Import.objects.all().delete()
    remove = partial(libraries.remove, actor=builders.SYSTEM, library=library)
    asked, removed = meet(pool, seed, [("one", ask), ("other", remove)], (Conflict, NotFound))
    if isinstance(removed, Conflict):
        assert Import.objects.get().library == library
    else:
        assert not Library.objects.filter(pk=library.pk).exists()
        assert isinstance(asked, Conflict) or Import.objects.get().library != library
