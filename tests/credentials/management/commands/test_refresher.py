"""``refresher``: a process that says it is there, and ends when it is told to, or once nobody needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from credentials.models import Process
from tests.processes import ROOT, database_url, environment

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 30


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "the refresher did not do it in time"
        time.sleep(0.1)


@contextmanager
def refresher(tmp_path: Path, key_file: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    variables = environment(tmp_path, DATABASE_URL=database_url(), CREDENTIALS_KEY_SOURCE=f"file:{key_file}")
    process = subprocess.Popen([sys.executable, "manage.py", "refresher", *words], cwd=ROOT, env=variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_shows_itself_and_ends_on_a_signal(tmp_path: Path, key_file: Path, told: signal.Signals) -> None:
    with refresher(tmp_path, key_file) as process:
        wait_until(lambda: Process.objects.filter(kind="refresher").exists())
        assert Process.objects.get().identity.split(":")[1] == str(process.pid)
        process.send_signal(told)
        assert process.wait(timeout=SECONDS) == 0
    assert not Process.objects.exists()


def test_with_a_parent_it_stays_and_without_it_ends(tmp_path: Path, key_file: Path) -> None:
    with refresher(tmp_path, key_file, "--parent", str(os.getpid())) as process:
        wait_until(Process.objects.exists)
        time.sleep(1.5)
        assert process.poll() is None
    with refresher(tmp_path, key_file, "--parent", str(os.getppid())) as process:
        assert process.wait(timeout=SECONDS) == 0
