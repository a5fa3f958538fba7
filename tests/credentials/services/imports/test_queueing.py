"""The queue of imports: entries say where to look, one too many does no harm, and a lost one is made again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.errors import StorageUnavailable
from credentials.models import Import, Snapshot
from credentials.services import queue
from credentials.services.imports import ending, pulse, queueing, recovery, running
from credentials.services.libraries import trees
from credentials.services.processes import Watch
from tests.credentials.services.imports.asked import again, by_zip

pytestmark = pytest.mark.django_db(transaction=True)


def queued() -> list[str]:
    """The imports that a worker would find in the queue."""
    ready = DBTaskResult.objects.filter(queue_name="imports", status="READY")
    return [entry["args"][0] for entry in ready.values_list("args_kwargs", flat=True)]


class Broker:
    """A broker in which so much waits; None where it is out."""

    def __init__(self, waiting: int | None) -> None:
        self._waiting = waiting

    def waiting(self, queue_name: str) -> int | None:
        assert queue_name == "imports"
        return self._waiting


def test_an_entry_holds_an_id_and_is_made_with_the_transaction_or_not_at_all(alice: User) -> None:
    job = by_zip(alice)
    with transaction.atomic():
        queueing.enqueue(UUID(int=1))
        transaction.set_rollback(True)
    entry = DBTaskResult.objects.get()
    assert (entry.queue_name, entry.args_kwargs) == ("imports", {"args": [str(job.pk)], "kwargs": {}})
    assert entry.task_path == "credentials.services.imports.queueing.run_import"


def test_an_import_that_is_delivered_twice_is_carried_out_once(alice: User) -> None:
    job = by_zip(alice)
    for _ in range(2):
        queueing.run_import.call(str(job.pk))
    assert (again(job).state, again(job).attempts, Snapshot.objects.count()) == ("succeeded", 1, 1)


def test_whoever_waited_behind_an_import_is_queued_when_it_is_over(alice: User) -> None:
    first, second = by_zip(alice), by_zip(alice, {"other": b"x"})
    DBTaskResult.objects.all().delete()
    queueing.run_import.call(str(first.pk))
    assert queued() == [str(second.pk)]


def test_what_failed_for_a_passing_reason_is_left_its_pause(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out(**_named: Any) -> Any:
        raise StorageUnavailable

    monkeypatch.setattr(trees, "put", out)
    job = by_zip(alice)
    DBTaskResult.objects.all().delete()
    queueing.run_import.call(str(job.pk))
    assert (again(job).state, queued()) == ("queued", [])
    ended, pause = timezone.now(), ending.pause_after(1)
    assert recovery.recover(now=ended + pause - timedelta(seconds=5)) == 0
    assert recovery.recover(now=ended + pause) == 1
    assert queued() == [str(job.pk)]


def test_an_import_of_a_process_that_ends_is_queued_at_once_for_another(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_zip(alice)
    DBTaskResult.objects.all().delete()
    put = trees.put

    def told_to_end(**named: Any) -> Any:
        pulse.stop_all()
        return put(**named)

    monkeypatch.setattr(trees, "put", told_to_end)
    monkeypatch.setattr(running, "_has_succeeded", lambda job, *_: job.pulse.beat())
    try:
        queueing.run_import.call(str(job.pk))
        # It must not take up again what it has just put back.
        assert running.run(job.pk) == ()
    finally:
        pulse._stopping.clear()
    assert (again(job).state, again(job).attempts, queued()) == ("queued", 0, [str(job.pk)])


def test_an_import_that_is_in_the_queue_is_not_offered_again_however_long_it_waits(alice: User) -> None:
    job = by_zip(alice)
    later = timezone.now() + timedelta(days=1)
    assert recovery.recover(now=later) == 0
    DBTaskResult.objects.all().delete()
    assert recovery.recover(now=later) == 1
    assert queued() == [str(job.pk)]


@pytest.mark.parametrize(("waiting", "is_missing"), [(0, True), (3, False), (None, False)])
def test_a_broker_is_asked_whether_anything_waits_at_all(
    waiting: int | None, is_missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "broker", lambda: Broker(waiting))
    wanted = [UUID(int=1), UUID(int=2)]
    assert queueing.missing(wanted) == (wanted if is_missing else [])
    assert queueing.missing([]) == []


def test_an_entry_is_put_back_however_many_workers_ended_over_it_for_its_row_counts(alice: User) -> None:
    job = by_zip(alice)
    gone = [f"far-00000000:{number}:1" for number in range(queue.MOST_WORKERS + 1)]
    Import.objects.filter(pk=job.pk).update(state="failed")
    DBTaskResult.objects.update(status="RUNNING", worker_ids=gone, started_at=timezone.now())
    silent = iter([0.0, 60.0])
    watch = Watch(lambda: next(silent))
    for restarted in (0, 1):
        assert queue.restart_abandoned(now=timezone.now(), watch=watch) == restarted
    queueing.run_import.call(queued()[0])
    assert again(job).state == "failed"
