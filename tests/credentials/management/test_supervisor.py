"""A child is started again when it died, and ended by asking only: what it holds, it finishes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from credentials.management.supervisor import Supervisor

SECONDS = 20
# Says that it is there; told to end, it finishes a call that takes a while and says so.
CHILD = """
import pathlib, signal, sys, time
folder, takes = pathlib.Path(sys.argv[1]), float(sys.argv[2])
def finish(*_):
    time.sleep(takes)
    (folder / "finished").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
with (folder / "started").open("a") as file:
    file.write("x")
while True:
    time.sleep(0.05)
"""


class Impatient(Supervisor):
    LATE = 0.3


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def supervised(
    folder: Path,
    *,
    takes: float = 0.0,
    kind: type[Supervisor] = Supervisor,
    words: Sequence[str] = (),
    pauses: Sequence[float] = (0.05,),
) -> Iterator[tuple[Supervisor, threading.Event, threading.Thread]]:
    supervisor = kind(
        words or (sys.executable, "-c", CHILD, str(folder), str(takes)),
        name="child",
        folder=folder,
        environment=lambda: dict(os.environ),
        pauses=pauses,
    )
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    try:
        yield supervisor, stop, thread
    finally:
        stop.set()
        thread.join()
        if supervisor.child is not None:
            supervisor.child.kill()
            supervisor.child.wait()


def started(folder: Path) -> int:
    return len((folder / "started").read_text()) if (folder / "started").exists() else 0


def has_started(folder: Path, times: int) -> bool:
    return started(folder) == times


def test_a_child_has_a_session_of_its_own_and_finishes_its_call_when_told_to_end(tmp_path: Path) -> None:
    with supervised(tmp_path, takes=1.0) as (supervisor, stop, thread):
        wait_until(lambda: started(tmp_path) == 1)
        assert supervisor.child is not None
        assert os.getsid(supervisor.child.pid) == supervisor.child.pid != os.getsid(0)
        stop.set()
        thread.join(timeout=SECONDS)
        assert (tmp_path / "finished").exists()
        assert supervisor.child.returncode == 0


def test_a_child_that_is_late_is_never_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with supervised(tmp_path, takes=1.0, kind=Impatient) as (supervisor, stop, thread):
        wait_until(lambda: started(tmp_path) == 1)
        stop.set()
        thread.join(timeout=SECONDS)
        assert supervisor.child is not None
        assert supervisor.child.poll() is None
        assert "still finishes what it holds" in caplog.text
        wait_until((tmp_path / "finished").exists)
        assert supervisor.child.wait(timeout=SECONDS) == 0


def test_a_child_that_died_is_started_again_and_the_log_says_of_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), supervised(tmp_path) as (supervisor, _stop, _thread):
        for life in (1, 2, 3):
            wait_until(partial(has_started, tmp_path, life))
            assert supervisor.child is not None
            supervisor.child.send_signal(signal.SIGKILL)
        wait_until(lambda: started(tmp_path) == 4)
    assert caplog.text.count("the child was killed by SIGKILL; started again in 0.05 s") == 3


def test_one_that_dies_at_once_is_started_less_and_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = (sys.executable, "-c", "raise SystemExit(3)")
    with supervised(tmp_path, words=words, pauses=(0.01, 0.02, 0.04)):
        wait_until(lambda: caplog.text.count("ended with status 3") >= 4)
    pauses = [record.getMessage().split()[-2] for record in caplog.records][:4]
    assert pauses == ["0.01", "0.02", "0.04", "0.04"]


def test_one_that_cannot_be_started_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with supervised(tmp_path, words=(str(tmp_path / "missing"),)):
        wait_until(lambda: caplog.text.count("the child cannot be started") >= 2)
    assert "the child did not start; started again in" in caplog.text


def test_told_to_end_between_two_lives_it_starts_no_other(tmp_path: Path) -> None:
    with supervised(tmp_path, pauses=(600.0,)) as (supervisor, stop, thread):
        wait_until(lambda: started(tmp_path) == 1)
        assert supervisor.child is not None
        supervisor.child.kill()
        wait_until(lambda: supervisor.child is not None and supervisor.child.returncode is not None)
        stop.set()
        thread.join(timeout=5)
        assert not thread.is_alive()
        assert started(tmp_path) == 1
