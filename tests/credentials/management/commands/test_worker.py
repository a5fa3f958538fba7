"""``worker``: tasks, duties and a refresher beside them; it ends when it is told to, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.management.commands.worker import look_after
from credentials.models import AuditEvent, AuditSeal, Duty, IdempotencyRecord, Import, Process
from credentials.services import duties, processes, queue
from tests import builders, storages
from tests.credentials.services.imports.asked import by_git, by_zip
from tests.processes import ROOT, database_url, environment

SECONDS = 40
# Less than the worker waits for a thread that nobody told to stop.
ENDS_WITHIN = 9
pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "the worker did not do it in time"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def queued(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


@contextmanager
def worker(
    tmp_path: Path, key_file: Path, *words: str, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    facts = {"DATABASE_URL": database_url(), "CREDENTIALS_KEY_SOURCE": f"file:{key_file}", **variables}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--verbosity", "0", *words],
        cwd=ROOT,
        env=environment(tmp_path, **facts),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        refreshers = [pid_of(row) for row in Process.objects.filter(kind="refresher")]
        process.kill()
        process.wait()
        for pid in refreshers:
            wait_until_ended(pid)


def pid_of(row: Process) -> int:
    return int(row.identity.split(":")[1])


def refresher() -> int | None:
    """The number of the refresher that lives."""
    return next((pid_of(row) for row in processes.alive(processes.Kind.REFRESHER, timezone.now())), None)


def runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def wait_until_ended(pid: int) -> None:
    wait_until(lambda: not runs(pid))


def test_a_worker_does_tasks_and_duties_and_ends_on_a_signal(
    alice: User, key_file: Path, tmp_path: Path
) -> None:
    credential = builders.credential(alice, builders.host())
    old = timezone.now() - timedelta(days=2)
    IdempotencyRecord.objects.create(caller="c", key="k", request_digest=b"", created_at=old)
    queue.verify_later(credential.pk)
    with worker(tmp_path, key_file) as process:
        wait_until(lambda: AuditEvent.objects.filter(actor_name="worker").exists())
        wait_until(lambda: AuditSeal.objects.exists() and not IdempotencyRecord.objects.exists())
        wait_until(lambda: Duty.objects.exclude(finished_at=None).count() == len(duties.REGISTRY))
        wait_until(lambda: refresher() is not None)
        assert Process.objects.filter(kind="worker").count() == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=ENDS_WITHIN) == 0
    assert (tmp_path / "audit-anchor").exists()
    assert not Process.objects.exists()
    assert not Duty.objects.exclude(held_by="").exists()


def test_its_refresher_has_a_session_of_its_own_and_another_takes_its_place(
    key_file: Path, tmp_path: Path
) -> None:
    with worker(tmp_path, key_file) as process:
        wait_until(lambda: refresher() is not None)
        first = refresher()
        assert first is not None
        assert os.getsid(first) == first != os.getsid(process.pid)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: refresher() not in {None, first})
        # A signal for the whole group, as Ctrl-C is one: the worker ends, and ends its refresher in order.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=ENDS_WITHIN) == 0
        assert refresher() is None


def test_a_worker_that_is_killed_leaves_no_refresher_behind(key_file: Path, tmp_path: Path) -> None:
    with worker(tmp_path, key_file) as process:
        wait_until(lambda: refresher() is not None)
        left = refresher()
        assert left is not None
        process.kill()
        process.wait()
        wait_until_ended(left)
    # It ended by itself and in order; of the worker only the row tells, and nobody believes it.
    assert {row.kind for row in Process.objects.all()} == {"worker"}
    assert processes.alive(processes.Kind.WORKER, timezone.now()) == []


def test_where_the_refresher_is_a_service_of_its_own_the_worker_starts_none(
    key_file: Path, tmp_path: Path
) -> None:
    with worker(tmp_path, key_file, "--no-refresher") as process:
        wait_until(lambda: Duty.objects.exclude(finished_at=None).count() == len(duties.REGISTRY))
        time.sleep(2)
        assert [row.kind for row in Process.objects.all()] == ["worker"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=ENDS_WITHIN) == 0


def test_a_key_ring_in_the_environment_reaches_the_refresher_too(key_file: Path, tmp_path: Path) -> None:
    builders.host()
    ring = {"CREDENTIALS_KEY_SOURCE": "env:RING", "RING": key_file.read_text("ascii")}
    with worker(tmp_path, key_file, **ring):
        for _life in range(2):
            wait_until(lambda: refresher() is not None)
            pid = refresher()
            assert pid is not None
            assert b"RING=" in Path(f"/proc/{pid}/environ").read_bytes()
            os.kill(pid, signal.SIGKILL)
            wait_until_ended(pid)


def test_what_a_killed_worker_was_doing_the_next_one_does_again(
    alice: User, key_file: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        host = builders.host(web_url=address, api_url=address)
        queue.verify_later(builders.credential(alice, host).pk)
        with worker(tmp_path, key_file) as process:
            wait_until(lambda: DBTaskResult.objects.get().status == "RUNNING")
            process.kill()
    # The next one is looked for in a minute. Nobody listens any more, so the task ends at once.
    Duty.objects.update(started_at=timezone.now() - timedelta(minutes=1))
    with worker(tmp_path, key_file):
        wait_until(lambda: DBTaskResult.objects.get().status == "SUCCESSFUL")
    first, second = DBTaskResult.objects.get().worker_ids
    assert first != second


def test_a_round_that_fails_is_said_without_its_words_and_the_next_one_tries_again(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    tried: list[int] = []

    def carry_out(_clock: object) -> int:
        tried.append(len(tried))
        if len(tried) == 1:
            raise OperationalError("password=hunter2")
        stop.set()
        return 0

    short = replace(duties.REGISTRY[0], interval=lambda: timedelta(seconds=0.2), carry_out=carry_out)
    thread = threading.Thread(target=look_after, args=([short], stop))
    thread.start()
    thread.join(timeout=SECONDS)
    assert not thread.is_alive()
    assert tried == [0, 1]
    assert "the duty seal-trail failed: OperationalError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_worker_that_is_told_to_stop_does_not_wait_for_the_next_round() -> None:
    stop = threading.Event()
    stop.set()
    started = time.monotonic()
    look_after(duties.REGISTRY, stop)
    assert time.monotonic() - started < 1


def test_an_import_is_carried_out_beside_the_other_tasks(
    alice: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    storages.use_folder(settings, tmp_path / "storage")
    job = by_zip(alice)
    with worker(tmp_path, key_file, "--no-refresher"):
        wait_until(lambda: Import.objects.filter(pk=job.pk, state="succeeded").exists())
        wait_until(lambda: DBTaskResult.objects.get().status == "SUCCESSFUL")


def test_a_worker_that_is_told_to_end_puts_its_import_back(
    alice: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    place = storages.use_folder(settings, tmp_path / "storage")
    job = by_zip(alice, {f"{number:04}": b"x" for number in range(15_000)})
    with worker(tmp_path, key_file, "--no-refresher") as process:
        wait_until(lambda: Import.objects.filter(pk=job.pk, state="running").exists())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=ENDS_WITHIN) == 0
    row = Import.objects.get()
    if row.state == "succeeded":
        pytest.skip("it was done before the worker heard of its end")
    assert (row.state, row.attempts, row.holder) == ("queued", 0, "")
    assert list((tmp_path / "imports" / "work").iterdir()) == []
    assert storages.stored(place) == [job.upload]
    # Another worker finds it at once.
    assert DBTaskResult.objects.get(status="READY").args_kwargs["args"] == [str(job.pk)]


def test_as_many_imports_run_at_the_same_time_as_it_is_told(
    alice: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    storages.use_folder(settings, tmp_path / "storage")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        builders.host(web_url=address, api_url=address)
        for number in range(2):
            by_git(alice, f"{address}/acme/cases", f"Library {number}")
        with worker(tmp_path, key_file, "--no-refresher", "--imports", "2"):
            wait_until(lambda: Import.objects.filter(state="running").count() == 2)


@pytest.mark.parametrize("number", ["0", "17", "two"])
def test_a_number_of_imports_that_cannot_be_is_refused(number: str) -> None:
    with pytest.raises(CommandError, match="whole number from 1 to 16"):
        call_command("worker", "--imports", number)


def test_where_others_carry_out_the_imports_a_worker_leaves_them(
    alice: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    storages.use_folder(settings, tmp_path / "storage")
    by_zip(alice)
    credential = builders.credential(alice, builders.host())
    queue.verify_later(credential.pk)
    with worker(tmp_path, key_file, "--no-refresher", "--no-imports"):
        wait_until(lambda: AuditEvent.objects.filter(actor_name="worker").exists())
    assert Import.objects.get().state == "queued"
