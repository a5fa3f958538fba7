"""``worker``: tasks and duties in one process, which outlives an outage and ends when it is told to."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.utils import timezone

from credentials.management.commands.worker import Command
from credentials.models import AuditEvent, AuditSeal, IdempotencyRecord
from credentials.services import queue
from tests import builders
from tests.processes import ROOT, database_url, environment

SECONDS = 40
# Less than the worker waits for a thread that nobody told to stop.
ENDS_WITHIN = 9


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "the worker did not do it in time"
        time.sleep(0.1)


@pytest.mark.django_db(transaction=True)
def test_a_worker_does_tasks_and_duties_and_ends_on_a_signal(
    alice: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}
    credential = builders.credential(alice, builders.host())
    old = timezone.now() - timedelta(days=2)
    IdempotencyRecord.objects.create(caller="c", key="k", request_digest=b"", created_at=old)
    queue.verify_later(credential.pk)
    variables = environment(tmp_path, DATABASE_URL=database_url(), CREDENTIALS_KEY_SOURCE=f"file:{key_file}")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--verbosity", "0"], cwd=ROOT, env=variables
    )
    try:
        wait_until(lambda: AuditEvent.objects.filter(actor_name="worker").exists())
        wait_until(lambda: AuditSeal.objects.exists() and not IdempotencyRecord.objects.exists())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=ENDS_WITHIN) == 0
    finally:
        worker.kill()
        worker.wait()
    assert (tmp_path / "audit-anchor").exists()


def rounds(duties: Callable[[], object], stop: threading.Event) -> str:
    """Carry out rounds of duties in a thread, as the worker does; what it said."""
    err = io.StringIO()
    thread = threading.Thread(target=Command(stderr=err)._rounds, args=(stop, duties))
    thread.start()
    thread.join(timeout=SECONDS)
    assert not thread.is_alive()
    return err.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_round_that_fails_is_said_without_its_words_and_the_next_one_tries_again(settings: Any) -> None:
    settings.CREDENTIALS_SEAL_SECONDS = 1
    stop = threading.Event()
    tried: list[int] = []

    def duties() -> None:
        tried.append(len(tried))
        if len(tried) == 1:
            raise DatabaseError("password=hunter2")
        stop.set()

    assert rounds(duties, stop) == "maintenance failed: DatabaseError\n"
    assert tried == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_told_to_stop_does_not_wait_for_the_next_round(settings: Any) -> None:
    settings.CREDENTIALS_SEAL_SECONDS = 3600
    stop = threading.Event()
    assert rounds(stop.set, stop) == ""
