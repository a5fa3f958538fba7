"""Background tasks on Celery: real workers, a real Redis, the same tasks; what is lost there, the rows bring back."""

from __future__ import annotations

import base64
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django_tasks.base import Task
from django_tasks_db.models import DBTaskResult

import credentials
from credentials.models import AuditEvent, Import, Process, Snapshot
from credentials.services import processes, queue
from credentials.services.imports import queueing, recovery
from credentials.services.processes import Kind
from tests import builders, storages
from tests.credentials.services.imports.asked import FILES, by_zip, packed
from tests.processes import ROOT, database_url, environment
from tests.redis import ADDRESS, own_part_of_redis

SECONDS = 40
SECRET = "ghp_CanaryCanaryCanaryCanaryCanaryCana12"
pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "Celery did not do it in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[Any, str]]:
    with own_part_of_redis() as part:
        yield part


def tasks_of(prefix: str, address: str = ADDRESS) -> dict[str, Any]:
    queues = ["default", "imports"]
    return {
        "default": {
            "BACKEND": "project.task_backends.CeleryBackend",
            "QUEUES": queues,
            "OPTIONS": {"secret_url": address, "prefix": prefix},
        },
        "database": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": queues},
    }


@pytest.fixture
def celery(settings: Any, tmp_path: Path, broker: tuple[Any, str]) -> Iterator[Any]:
    """Tasks go to Celery from here, too; the client of an empty Redis."""
    storages.use_folder(settings, tmp_path / "storage")
    client, prefix = broker
    settings.TASKS = tasks_of(prefix)
    yield client
    for name in client.scan_iter(f"{prefix}:*"):
        client.delete(name)


@contextmanager
def worker(
    tmp_path: Path, key_file: Path, prefix: str, *words: str, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    facts = {
        "DATABASE_URL": database_url(),
        "CREDENTIALS_KEY_SOURCE": f"file:{key_file}",
        "TASK_QUEUE_URL": f"celery+{ADDRESS}",
        "TASK_QUEUE_PREFIX": prefix,
        **variables,
    }
    with (tmp_path / "celery.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "project.celery", "worker", "-Q", "imports,default"),
                *("-c", "1", "--without-gossip", "--without-mingle", *words),
            ],
            cwd=ROOT,
            env=environment(tmp_path, **facts),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def everything_in(client: Any, prefix: str) -> str:
    """All that Redis holds of ours, the bodies of messages unpacked."""
    found: list[bytes] = []
    for name in client.scan_iter(f"{prefix}:*"):
        found.append(name)
        kind = client.type(name)
        if kind == b"list":
            found += client.lrange(name, 0, -1)
        elif kind == b"hash":
            found += [value for pair in client.hgetall(name).items() for value in pair]
        elif kind == b"zset":
            found += client.zrange(name, 0, -1)
        elif kind == b"set":
            found += client.smembers(name)
    return b"\n".join(found).decode("utf-8", "replace")


def bodies(text: str) -> list[Any]:
    """What the messages in it say."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith(("{", "["))]
    messages = [line[0] if isinstance(line, list) else line for line in lines]
    return [json.loads(base64.b64decode(message["body"])) for message in messages]


def children() -> list[int]:
    """The processes that Celery runs tasks in."""
    now = timezone.now()
    return [int(row.identity.split(":")[1]) for row in processes.alive(Kind.RUNNER, now)]


def blocked(job: Import) -> Path:
    """Have whoever opens the upload wait for ever."""
    place = Path(default_storage.path(job.upload))
    place.unlink()
    os.mkfifo(place)
    return place


def released(place: Path) -> None:
    """The upload as it was, for the next one who opens it."""
    place.unlink()
    with packed(FILES).open() as upload:
        place.write_bytes(upload.read())


def waiting(name: str = "imports") -> int | None:
    """How many entries of a queue no worker has taken."""
    broker = queue.broker()
    assert broker is not None
    return broker.waiting(name)


def state_of(job: Import) -> str:
    return Import.objects.values_list("state", flat=True).get(pk=job.pk)


def recovered() -> int:
    """What the duty takes up a minute later: entries that were made since count as lost."""
    Import.objects.filter(state="queued").update(heartbeat_at=None)
    return recovery.recover(now=timezone.now())


def test_the_same_tasks_are_carried_out_by_celery(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    credential = builders.credential(alice, builders.host())
    queue.verify_later(credential.pk)
    job = by_zip(alice)
    assert waiting() == waiting("default") == 1
    with worker(tmp_path, key_file, broker[1]) as process:
        wait_until(lambda: state_of(job) == "succeeded")
        wait_until(lambda: AuditEvent.objects.filter(actor_name="worker").exists())
        assert [row.kind for row in Process.objects.all()] == ["runner"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 0
    assert not DBTaskResult.objects.exists()
    assert not Process.objects.exists()
    assert waiting() == 0


def test_nothing_but_ids_lies_in_the_broker(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    credential = builders.credential(alice, builders.host(), token=SECRET, label="canary label")
    job = by_zip(alice, {"canary-file": b"canary content"}, "canary library", reference="canary reference")
    queue.verify_later(credential.pk)
    text = everything_in(*broker)
    said = sorted(bodies(text), key=str)
    assert [body[:2] for body in said] == sorted(([[str(pk)], {}] for pk in (credential.pk, job.pk)), key=str)
    place = blocked(job)
    with worker(tmp_path, key_file, broker[1]):
        wait_until(lambda: state_of(job) == "running")
        text += "\n" + everything_in(*broker)
    released(place)
    for canary in ("canary", SECRET, "alice", "Canary"):
        assert canary not in text + str(bodies(text))
    assert "ghp_" not in (tmp_path / "celery.log").read_text("utf-8")


def test_an_import_whose_process_is_killed_ends_properly_and_once(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    job = by_zip(alice)
    place = blocked(job)
    with worker(tmp_path, key_file, broker[1]):
        wait_until(lambda: state_of(job) == "running")
        (child,) = children()
        os.kill(child, signal.SIGKILL)
        released(place)
        # It is handed out again at once, which changes nothing: the row says that it is somebody's.
        wait_until(lambda: waiting() == 0 and children() not in ([], [child]))
        assert recovery.recover(now=timezone.now()) >= 1
        wait_until(lambda: state_of(job) == "succeeded")
    assert (Import.objects.get().attempts, Snapshot.objects.count()) == (2, 1)


def test_an_import_whose_worker_is_killed_is_taken_up_by_another_worker(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    job = by_zip(alice)
    place = blocked(job)
    with worker(tmp_path, key_file, broker[1]) as process:
        wait_until(lambda: state_of(job) == "running")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    released(place)
    with worker(tmp_path, key_file, broker[1], "-P", "solo"):
        # Redis may hand an entry to the dead worker's connection; it is offered again then.
        wait_until(lambda: recovered() >= 0 and state_of(job) == "succeeded")
    assert (Import.objects.get().attempts, Snapshot.objects.count()) == (2, 1)


def test_a_worker_that_is_told_to_end_puts_its_import_back_at_once(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    job = by_zip(alice, {f"{number:05}": b"x" for number in range(18_000)})
    with worker(tmp_path, key_file, broker[1]) as process:
        wait_until(lambda: state_of(job) == "running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    if state_of(job) == "succeeded":
        pytest.skip("it was done before the worker heard of its end")
    row = Import.objects.get()
    assert (row.state, row.attempts, row.holder) == ("queued", 0, "")
    wait_until(lambda: waiting() or recovered() < 0)


def test_what_is_delivered_twice_is_done_once(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    job = by_zip(alice)
    for _ in range(3):
        queueing.enqueue(job.pk)
    with worker(tmp_path, key_file, broker[1], "-c", "2"):
        wait_until(lambda: state_of(job) == "succeeded")
        wait_until(lambda: waiting() == 0)
        time.sleep(1)
    assert (Import.objects.get().attempts, Snapshot.objects.count()) == (1, 1)
    assert AuditEvent.objects.filter(action="import.succeeded").count() == 1


def test_a_verification_whose_process_is_killed_is_done_again(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        queue.verify_later(builders.credential(alice, builders.host(web_url=address, api_url=address)).pk)
        with worker(tmp_path, key_file, broker[1]):
            opened = AuditEvent.objects.filter(action="credential.opened")
            wait_until(lambda: opened.count() == 1)
            os.kill(children()[0], signal.SIGKILL)
            wait_until(lambda: opened.count() == 2)


def test_what_is_not_listed_is_not_carried_out(
    alice: User, celery: Any, broker: tuple[Any, str], tmp_path: Path, key_file: Path
) -> None:
    from project.celery import app  # noqa: PLC0415  the settings must name a broker first

    mark = tmp_path / "mark"
    for name, given in (
        ("os.system", [f"touch {mark}"]),
        ("celery.map", [{"task": "os.system"}, [str(mark)]]),
    ):
        app.send_task(name, args=given, queue="default")
    app.send_task(queue.verify_credential.module_path, args=["no id"], queue="default")
    with worker(tmp_path, key_file, broker[1]):
        job = by_zip(alice)
        wait_until(lambda: waiting("default") == 0)
        wait_until(lambda: state_of(job) == "succeeded")
    log = (tmp_path / "celery.log").read_text("utf-8")
    assert log.count("Received unregistered task of type") == 2
    assert "verify_credential failed: ValidationError at" in log
    assert not mark.exists()


def test_every_task_of_ours_is_listed_and_no_other(celery: Any) -> None:
    from project.celery import app  # noqa: PLC0415  as above

    found = set()
    for module in pkgutil.walk_packages(credentials.__path__, "credentials."):
        if ".migrations" not in module.name:
            members = vars(importlib.import_module(module.name)).values()
            found |= {member.module_path for member in members if isinstance(member, Task)}
    assert set(app.tasks) == found


def test_work_for_a_change_that_was_rolled_back_is_not_sent(celery: Any, broker: tuple[Any, str]) -> None:
    with transaction.atomic():
        queue.verify_later(uuid4())
        assert bodies(everything_in(*broker)) == []
        transaction.set_rollback(True)
    assert bodies(everything_in(*broker)) == []


def test_what_a_broker_that_is_out_does_not_take_is_kept_in_the_database(
    alice: User, celery: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from project.celery import app  # noqa: PLC0415  as above

    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    monkeypatch.setattr(app.conf, "broker_url", f"redis://:hunter2@127.0.0.1:{free}/5")
    monkeypatch.setattr(app.conf, "broker_write_url", f"redis://:hunter2@127.0.0.1:{free}/5")
    monkeypatch.setattr(app.conf, "broker_read_url", f"redis://:hunter2@127.0.0.1:{free}/5")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    job = by_zip(alice)
    kept = DBTaskResult.objects.get()
    assert (state_of(job), kept.backend_name, kept.args_kwargs["args"]) == (
        "queued",
        "database",
        [str(job.pk)],
    )
    assert "the broker took no task: OperationalError" in caplog.text
    assert "hunter2" not in caplog.text
    assert waiting() is None
    assert queue.database_alias() == "database"
