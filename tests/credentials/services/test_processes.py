"""Processes are told apart for ever, and one that is gone is known to be, whatever the clocks say."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from credentials.models import Process
from credentials.services import processes
from credentials.services.processes import Kind, Watch
from tests.processes import ROOT

NOW = timezone.now().replace(microsecond=0)
DAY = timedelta(days=1)
ELSEWHERE = "far-00000000:4711:42"
SAY_WHO = "from credentials.services import processes; print(processes.identity(), flush=True); input()"


class Stopwatch:
    """Seconds that pass when a test says so."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of this machine, and its identity."""
    setup = "import django; django.setup(); "
    process = subprocess.Popen(
        [sys.executable, "-c", setup + SAY_WHO],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def seen(name: str, at: datetime) -> None:
    Process.objects.create(identity=name, kind="worker", started_at=at, seen_at=at)


def gone(name: str, *, now: datetime = NOW, watch: Watch) -> bool:
    return processes.is_gone(name, now=now, watch=watch)


def test_an_identity_names_the_machine_the_process_and_its_start_and_stays_the_same() -> None:
    assert processes.identity() == processes.identity()
    assert re.fullmatch(rf"[\w-]+-[0-9a-f]{{8}}:{os.getpid()}:\d+", processes.identity())
    assert len(processes.identity()) <= 64


@pytest.mark.django_db
def test_a_process_that_lives_here_is_not_gone_and_one_that_was_killed_is_at_once() -> None:
    with another_process() as (process, name):
        assert name != processes.identity()
        assert not gone(name, watch=Watch())
        process.send_signal(signal.SIGKILL)
        # A zombie until its parent asks for it: the kernel still lists it.
        deadline = time.monotonic() + 10
        while not gone(name, watch=Watch()):
            assert time.monotonic() < deadline
        process.wait()
        assert gone(name, watch=Watch())


@pytest.mark.django_db
def test_a_process_that_is_stopped_is_not_gone_however_old_its_sign_of_life() -> None:
    with another_process() as (process, name):
        seen(name, NOW - DAY)
        process.send_signal(signal.SIGSTOP)
        assert not gone(name, watch=Watch())
        assert not processes.ended_here(name)


@pytest.mark.django_db
def test_a_later_process_of_the_same_number_is_not_taken_for_an_earlier_one() -> None:
    place, pid, started = processes.identity().split(":")
    earlier = f"{place}:{pid}:{int(started) - 1}"
    assert processes.ended_here(earlier)
    assert not processes.ended_here(processes.identity())


@pytest.mark.django_db
@pytest.mark.parametrize("last", [NOW - timedelta(seconds=61), NOW - DAY, NOW + DAY, None])
def test_one_elsewhere_without_a_sign_of_life_is_gone_once_that_lasted(last: datetime | None) -> None:
    clock = Stopwatch()
    watch = Watch(clock)
    if last is not None:
        seen(ELSEWHERE, last)
    assert not gone(ELSEWHERE, watch=watch)
    clock.at += processes.WATCHED - 1
    assert not gone(ELSEWHERE, watch=watch)
    clock.at += 1
    assert gone(ELSEWHERE, watch=watch)


@pytest.mark.django_db
@pytest.mark.parametrize("jump", [DAY, -DAY, timedelta(seconds=61)])
def test_a_clock_that_jumps_makes_no_living_process_gone(jump: timedelta) -> None:
    clock = Stopwatch()
    watch = Watch(clock)
    seen(ELSEWHERE, NOW)
    for _beat in range(20):
        # It beats by its own clock, which is not the one that jumped.
        assert not gone(ELSEWHERE, now=NOW + jump, watch=watch)
        clock.at += processes.BEAT.total_seconds()
        Process.objects.update(seen_at=NOW + timedelta(seconds=clock.at - 1000))


@pytest.mark.django_db
def test_one_elsewhere_that_beats_again_was_not_gone() -> None:
    clock = Stopwatch()
    watch = Watch(clock)
    seen(ELSEWHERE, NOW - timedelta(minutes=2))
    assert not gone(ELSEWHERE, watch=watch)
    clock.at += processes.WATCHED
    Process.objects.update(seen_at=NOW)
    assert not gone(ELSEWHERE, watch=watch)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "nobody", "a:b:c", f"{'x' * 100}:{10**30}:1"])
def test_a_name_that_is_none_is_treated_as_one_from_elsewhere(name: str) -> None:
    clock = Stopwatch()
    watch = Watch(clock)
    assert not gone(name, watch=watch)
    clock.at += processes.WATCHED
    assert gone(name, watch=watch)


@pytest.mark.django_db(transaction=True)
def test_who_beats_is_alive_until_it_ends() -> None:
    with processes.beating(Kind.WORKER):
        (mine,) = processes.alive(Kind.WORKER, timezone.now())
        assert (mine.identity, mine.kind) == (processes.identity(), "worker")
        assert processes.alive(Kind.REFRESHER, timezone.now()) == []
    assert not Process.objects.exists()


@pytest.mark.django_db
def test_a_second_sign_of_life_moves_the_first_and_keeps_the_start() -> None:
    processes.beat(Kind.REFRESHER, now=NOW)
    processes.beat(Kind.REFRESHER, now=NOW + timedelta(seconds=5))
    row = Process.objects.get()
    assert (row.started_at, row.seen_at) == (NOW, NOW + timedelta(seconds=5))


@pytest.mark.django_db
def test_the_silent_the_ended_and_the_misdated_are_not_counted_as_alive() -> None:
    place, pid, started = processes.identity().split(":")
    seen(ELSEWHERE, NOW - timedelta(seconds=59))
    seen("far-00000000:1:1", NOW - timedelta(seconds=61))
    seen("far-00000000:2:1", NOW + DAY)
    seen(f"{place}:{pid}:{int(started) - 1}", NOW)
    assert [process.identity for process in processes.alive(Kind.WORKER, NOW)] == [ELSEWHERE]


@pytest.mark.django_db
def test_rows_of_the_gone_are_dropped_after_an_hour_and_those_ahead_of_the_clock_too() -> None:
    for number, age in enumerate([timedelta(0), timedelta(minutes=59), timedelta(minutes=61), -DAY]):
        seen(f"far-00000000:{number}:1", NOW - age)
    assert processes.forget_gone(now=NOW) == 2
    assert Process.objects.count() == 2
