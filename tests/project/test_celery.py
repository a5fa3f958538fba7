"""Tasks on Celery: a real worker and a real Redis, and the same imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from credentials.models import AuditEvent, Import, Snapshot
from credentials.services import queue
from credentials.services.imports import queueing, recovery
from tests import builders, storages
from tests.credentials.services.imports.asked import by_zip
from tests.processes import ROOT, database_url, environment

SECONDS = 60
BROKER = "redis://127.0.0.1:6379/9"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """A database of Redis of this test's own. Where there is none, the test is left out, or fails in CI."""
    server = redis.Redis.from_url(BROKER)
    try:
        server.flushdb()
    except redis.ConnectionError:
        reason = "celery: no Redis answers at 127.0.0.1:6379"
        if os.environ.get("FORGEKEY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield server
    server.flushdb()
    server.close()


@pytest.fixture(autouse=True)
def celery(settings: Any, tmp_path: Path) -> Path:
    """This process enqueues through Celery, too."""
    place = storages.use_folder(settings, tmp_path / "storage")
    queues = ["default", "imports"]
    settings.TASKS = {"default": {"BACKEND": "project.task_backends.CeleryBackend", "QUEUES": queues}}
    from project.celery import app  # noqa: PLC0415  # once the settings are read

    app.conf.broker_url = BROKER
    return place


@contextmanager
def worker(tmp_path: Path, key_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    facts = {"DATABASE_URL": database_url(), "CREDENTIALS_KEY_SOURCE": f"file:{key_file}"}
    words = ("-A", "project.celery", "worker", "-Q", "imports,default", "-P", "solo", "-l", "error")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", *words],
        cwd=ROOT,
        env=environment(tmp_path, TASK_QUEUE_URL=BROKER, **facts),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def states() -> list[str]:
    return list(Import.objects.order_by("created_at").values_list("state", flat=True))


def test_imports_and_other_tasks_are_carried_out_and_only_ids_travel(
    broker: redis.Redis, alice: User, key_file: Path, tmp_path: Path
) -> None:
    credential = builders.credential(alice, builders.host(), token="ghp_" + "s" * 36)
    queue.verify_later(credential.pk)
    job = by_zip(alice, {"plan-for-the-merger.md": b"the content itself"}, "Merger")
    entries: list[Any] = [*broker.lrange("imports", 0, -1), *broker.lrange("default", 0, -1)]
    waiting = b"".join(entries)
    assert str(job.pk).encode() in b"".join(_bodies(waiting))
    for secret in (b"merger", b"Merger", b"content itself", b"ghp_", b"alice"):
        assert secret not in waiting + b"".join(_bodies(waiting))
    with worker(tmp_path, key_file):
        wait_until(lambda: states() == ["succeeded"])
        wait_until(lambda: AuditEvent.objects.filter(action="credential.opened").exists())
    assert Snapshot.objects.count() == 1


def _bodies(messages: bytes) -> Iterator[bytes]:
    import base64  # noqa: PLC0415  # only here
    import re  # noqa: PLC0415  # as above

    for body in re.findall(rb'"body": "([^"]+)"', messages):
        yield base64.b64decode(body)


def test_one_that_is_delivered_twice_is_done_once(
    broker: redis.Redis, alice: User, key_file: Path, tmp_path: Path
) -> None:
    job = by_zip(alice)
    for _ in range(3):
        queueing.enqueue(job.pk)
    with worker(tmp_path, key_file):
        wait_until(lambda: states() == ["succeeded"])
        wait_until(lambda: broker.llen("imports") == 0)
        time.sleep(0.5)
    assert Import.objects.get().attempts == 1
    assert AuditEvent.objects.filter(action="import.succeeded").count() == 1


def test_one_whose_worker_is_killed_is_taken_up_by_another(
    broker: redis.Redis, alice: User, key_file: Path, tmp_path: Path, celery: Path
) -> None:
    by_zip(alice, {f"{number:04}": b"x" for number in range(15_000)})
    with worker(tmp_path, key_file):
        wait_until(lambda: states() == ["running"])
    if states() == ["running"]:
        assert recovery.recover(now=timezone.now()) >= 1
    with worker(tmp_path, key_file):
        wait_until(lambda: states() == ["succeeded"])
    assert len([name for name in storages.stored(celery) if name.startswith("snapshots")]) == 1


def test_what_a_transaction_takes_back_is_never_sent(broker: redis.Redis, alice: User) -> None:
    job = by_zip(alice)
    broker.flushdb()
    with transaction.atomic():
        queueing.enqueue(job.pk)
        transaction.set_rollback(True)
    assert broker.llen("imports") == 0


def test_a_broker_that_is_out_costs_time_only(
    broker: redis.Redis, alice: User, key_file: Path, tmp_path: Path
) -> None:
    job = by_zip(alice)
    broker.flushdb()
    facts = {"DATABASE_URL": database_url(), "CREDENTIALS_KEY_SOURCE": f"file:{key_file}"}
    enqueue = f"from credentials.services.imports import queueing; queueing.enqueue('{job.pk}')"
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", enqueue],
        cwd=ROOT,
        env=environment(tmp_path, TASK_QUEUE_URL="redis://127.0.0.1:9/0", **facts),
        check=True,
        timeout=SECONDS,
        capture_output=True,
    )
    assert states() == ["queued"]
    assert recovery.recover(now=timezone.now() + 2 * recovery.OFFERED) == 1
    with worker(tmp_path, key_file):
        wait_until(lambda: states() == ["succeeded"])


def test_nothing_but_our_own_tasks_is_run(broker: redis.Redis, tmp_path: Path, key_file: Path) -> None:
    from project.celery import run  # noqa: PLC0415  # once the settings are read

    with pytest.raises(KeyError):
        run("os.system", ["true"], {})
