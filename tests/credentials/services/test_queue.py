"""Background work: ids only, together with the change that asked for it, and harmless when it comes late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.errors import ConfigurationError
from credentials.models import AuditEvent
from credentials.services import disconnect, hosts, processes, queue
from credentials.services.processes import Watch
from tests import builders

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture(autouse=True)
def database_queue(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def test_the_entry_holds_the_id_and_nothing_else(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), label="secret project")

    queue.verify_later(credential.pk)

    entry = DBTaskResult.objects.get()
    assert entry.task_path == "credentials.services.queue.verify_credential"
    assert entry.args_kwargs == {"args": [str(credential.pk)], "kwargs": {}}


def test_work_for_a_change_that_was_rolled_back_is_not_queued() -> None:
    def change() -> None:
        with transaction.atomic():
            queue.verify_later(uuid4())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()

    assert not DBTaskResult.objects.exists()


def test_a_verification_is_the_workers_and_is_recorded(alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    queue.verify_credential.call(str(credential.pk))

    event = AuditEvent.objects.get(action="credential.opened")
    assert (event.actor_kind, event.actor_name, event.purpose) == ("system", "worker", "reported as rejected")


def test_what_is_gone_by_then_is_left_alone(alice: User) -> None:
    host = builders.host()
    disconnected = builders.credential(alice, host)
    disconnect.disconnect(actor=builders.SYSTEM, credential=disconnected)
    closed = builders.credential(alice, builders.host("gitlab"), token="glpat-x")
    hosts.set_enabled(actor=builders.SYSTEM, host=closed.host, enabled=False)

    for gone in (disconnected.pk, closed.pk, uuid4()):
        queue.verify_credential.call(str(gone))

    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def running(worker: str, *, since: datetime = NOW, workers: int = 1) -> Any:
    """A task that a worker took, and that nobody finished."""
    queue.verify_later(uuid4())
    names = [f"far-00000000:{number}:1" for number in range(workers - 1)]
    DBTaskResult.objects.update(status="RUNNING", worker_ids=[*names, worker], started_at=since)
    return DBTaskResult.objects.get()


def gone() -> str:
    """A process of this machine that is no more."""
    place, pid, started = processes.identity().split(":")
    return f"{place}:{pid}:{int(started) - 1}"


def test_a_task_of_a_worker_that_was_killed_is_put_back_at_once() -> None:
    task = running(gone())
    assert queue.restart_abandoned(now=NOW) == 1
    task.refresh_from_db()
    assert (task.status, task.started_at, task.worker_ids) == ("READY", None, [gone()])
    assert queue.restart_abandoned(now=NOW) == 0


def test_a_task_of_a_worker_that_lives_is_left_to_it() -> None:
    running(processes.identity(), since=NOW - timedelta(days=2))
    assert queue.restart_abandoned(now=NOW) == 0
    assert DBTaskResult.objects.get().status == "RUNNING"


def test_a_task_of_a_worker_elsewhere_is_put_back_once_that_one_has_been_silent() -> None:
    seconds = 0.0
    watch = Watch(lambda: seconds)
    running("far-00000000:9:1")
    assert queue.restart_abandoned(now=NOW, watch=watch) == 0
    seconds = processes.WATCHED
    assert queue.restart_abandoned(now=NOW, watch=watch) == 1


def test_a_task_of_a_worker_that_shows_no_sign_of_life_is_left_to_it_for_an_hour() -> None:
    seconds = 0.0
    watch = Watch(lambda: seconds)
    running("dK3bVpM0")
    for age, restarted in ((timedelta(minutes=59), 0), (timedelta(hours=1), 0), (timedelta(hours=1), 1)):
        assert queue.restart_abandoned(now=NOW + age, watch=watch) == restarted
        seconds += processes.WATCHED


def test_a_task_that_three_workers_ended_over_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    running(gone(), workers=queue.MOST_WORKERS)
    assert queue.restart_abandoned(now=NOW) == 1
    assert DBTaskResult.objects.get().status == "FAILED"
    assert "is given up: 3 workers ended over it" in caplog.text


def test_a_worker_that_lost_the_database_puts_its_own_task_back_and_no_other() -> None:
    running("far-00000000:9:1")
    assert queue.restart_own() == 0
    DBTaskResult.objects.update(worker_ids=[processes.identity()])
    assert queue.restart_own() == 1
    assert DBTaskResult.objects.get().status == "READY"


def test_what_this_process_imports_beside_its_tasks_is_left_to_it() -> None:
    running(processes.identity())
    DBTaskResult.objects.update(queue_name=queue.IMPORTS)
    assert queue.restart_own() == 0


def test_what_ended_a_week_ago_is_forgotten() -> None:
    for status, age in (("SUCCESSFUL", 8), ("FAILED", 8), ("SUCCESSFUL", 6), ("READY", 8)):
        queue.verify_later(uuid4())
        newest = DBTaskResult.objects.filter(status="READY", finished_at=None).order_by("-enqueued_at")[:1]
        DBTaskResult.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).update(
            status=status, finished_at=NOW - timedelta(days=age)
        )
    assert queue.drop_finished(now=NOW) == 2
    assert sorted(DBTaskResult.objects.values_list("status", flat=True)) == ["READY", "SUCCESSFUL"]


def test_the_queue_in_the_database_is_found_beside_another_engine(settings: Any) -> None:
    ours = {"BACKEND": "django_tasks_db.DatabaseBackend"}
    assert queue.database_alias() == "default"
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}, "database": ours}
    assert queue.database_alias() == "database"
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    with pytest.raises(ConfigurationError, match="no queue in the database"):
        queue.database_alias()
