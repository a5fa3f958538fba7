"""A duty's turn belongs to one, is lost by the dead and only by them, and comes once per interval."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from credentials.models import Duty
from credentials.services import processes, turns
from credentials.services.processes import Watch
from credentials.services.turns import HELD, RETRY, WATCHED, Keeper, Refused, Turn
from tests.clock import Clock

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ELSEWHERE = "far-00000000:4711:42/1"


class Stopwatch:
    """Seconds that pass when a test says so."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


def take(
    clock: Clock, *, interval: timedelta = HOUR, force: bool = False, watch: Watch | None = None
) -> Turn | Refused:
    return turns.take("seal", interval=interval, clock=clock, force=force, watch=watch or Watch())


def taken(clock: Clock) -> Turn:
    turn = take(clock)
    assert isinstance(turn, Turn)
    return turn


def held_elsewhere(clock: Clock, *, until: datetime | None = None, by: str = ELSEWHERE) -> None:
    Duty.objects.create(
        name="seal", held_by=by, held_until=until or clock.at + HELD, started_at=clock.at, done=7
    )


def test_a_duty_that_was_never_carried_out_is_due_and_then_after_its_interval_again() -> None:
    clock = Clock()
    turns.finish(taken(clock), done=3, clock=clock)
    clock.step(minutes=59, seconds=59)
    assert take(clock) is Refused.NOT_DUE
    clock.step(seconds=1)
    taken(clock)


def test_what_is_carried_out_is_written_down() -> None:
    clock = Clock()
    began = clock.at
    turn = taken(clock)
    row = Duty.objects.get()
    assert row.held_by == turn.token
    assert row.held_by.startswith(processes.identity())
    assert (row.started_at, row.held_until, row.finished_at) == (began, began + HELD, None)
    ended = clock.step(seconds=5)
    turns.finish(turn, done=3, clock=clock)
    row = Duty.objects.get()
    assert (row.started_at, row.finished_at, row.done, row.last_error) == (began, ended, 3, "")
    assert (row.held_by, row.held_until) == ("", None)


def test_of_an_error_only_the_class_is_kept_and_the_last_success_stays() -> None:
    clock = Clock()
    turns.finish(taken(clock), done=3, clock=clock)
    finished = clock.at
    clock.step(hours=1)
    turns.fail(taken(clock), ValueError("password=hunter2"))
    row = Duty.objects.get()
    assert (row.last_error, row.finished_at, row.done, row.held_by) == ("ValueError", finished, 3, "")


def test_what_failed_is_tried_again_before_its_interval_is_over() -> None:
    clock = Clock()
    turns.fail(taken(clock), ValueError())
    clock.at += RETRY - timedelta(seconds=1)
    assert take(clock) is Refused.NOT_DUE
    clock.step(seconds=1)
    taken(clock)


def test_force_takes_what_is_not_due_but_not_what_somebody_holds() -> None:
    clock = Clock()
    turns.finish(taken(clock), done=0, clock=clock)
    assert isinstance(take(clock, force=True), Turn)
    assert take(clock, force=True) is Refused.ELSEWHERE


def test_nobody_else_gets_a_turn_that_is_held() -> None:
    clock = Clock()
    held_elsewhere(clock)
    clock.at += HELD - timedelta(seconds=1)
    assert take(clock) is Refused.ELSEWHERE
    assert Duty.objects.get().held_by == ELSEWHERE


def test_a_turn_of_a_process_of_this_machine_that_is_gone_is_lost_at_once() -> None:
    clock = Clock()
    place, pid, started = processes.identity().split(":")
    held_elsewhere(clock, by=f"{place}:{pid}:{int(started) - 1}/9")
    assert take(clock) is Refused.NOT_DUE  # lost, but begun this very moment
    clock.at += RETRY
    taken(clock)


def test_a_turn_that_this_process_gave_up_without_writing_it_down_is_lost_at_once() -> None:
    clock = Clock()
    held_elsewhere(clock, by=f"{processes.identity()}/0")
    clock.at += RETRY
    taken(clock)


def test_a_turn_that_this_process_carries_out_in_another_thread_is_held() -> None:
    clock = Clock()
    taken(clock)
    clock.at += HELD - timedelta(seconds=1)
    assert take(clock, force=True) is Refused.ELSEWHERE


@pytest.mark.parametrize("jump", [HELD, DAY, -DAY])
def test_one_elsewhere_that_was_killed_loses_it_once_it_was_watched_whatever_the_clock_does(
    jump: timedelta,
) -> None:
    clock, stopwatch = Clock(), Stopwatch()
    watch = Watch(stopwatch)
    held_elsewhere(clock)
    clock.at += jump
    assert take(clock, watch=watch) is Refused.WATCHED
    stopwatch.at += WATCHED - 1
    assert take(clock, watch=watch) is Refused.WATCHED
    stopwatch.at += 1
    # It is due again after a minute; where the clock went back, at once.
    assert isinstance(take(clock, watch=watch), Turn)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_takes_no_turn_from_who_is_alive(jump: timedelta) -> None:
    theirs, mine, stopwatch = Clock(), Clock(), Stopwatch()
    watch = Watch(stopwatch)
    held_elsewhere(theirs)
    holder = Turn(name="seal", token=ELSEWHERE)
    mine.at += jump
    for _ in range(20):
        assert take(mine, watch=watch, force=True) in (Refused.WATCHED, Refused.ELSEWHERE)
        stopwatch.at += turns.EXTEND_SECONDS
        for clock in (theirs, mine):
            clock.step(seconds=turns.EXTEND_SECONDS)
        assert turns.extend(holder, clock=theirs)


def test_a_clock_that_went_back_a_day_blocks_no_duty_for_a_day() -> None:
    clock = Clock()
    turns.finish(taken(clock), done=0, clock=clock)
    clock.at -= DAY
    turns.finish(taken(clock), done=0, clock=clock)
    assert take(clock) is Refused.NOT_DUE


def test_who_lost_a_turn_neither_keeps_nor_ends_it_for_the_new_holder() -> None:
    clock = Clock()
    lost = taken(clock)
    Duty.objects.update(held_by=ELSEWHERE)
    assert not turns.extend(lost, clock=clock)
    turns.finish(lost, done=9, clock=clock)
    row = Duty.objects.get()
    assert (row.held_by, row.done, row.finished_at) == (ELSEWHERE, 0, None)


@pytest.mark.django_db(transaction=True)
def test_a_long_duty_is_extended_as_long_as_it_lasts() -> None:
    turn = turns.take("seal", interval=HOUR, clock=timezone.now)
    assert isinstance(turn, Turn)
    before = Duty.objects.get().held_until
    assert before is not None
    with Keeper(turn, clock=timezone.now, every=0.05):
        time.sleep(0.5)
        during = Duty.objects.get().held_until
    assert during is not None
    assert during - before > timedelta(seconds=0.2)
    time.sleep(0.2)
    after = Duty.objects.get().held_until
    assert after is not None
    assert after < during + timedelta(seconds=0.2)


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_exactly_one_gets_the_turn() -> None:
    for number in range(10):
        name, barrier = f"duty-{number}", threading.Barrier(6)
        got: list[object] = []

        def reach(name: str = name, got: list[object] = got, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                got.append(turns.take(name, interval=HOUR, clock=timezone.now))
            finally:
                connection.close()

        threads = [threading.Thread(target=reach) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 6
        assert sum(isinstance(one, Turn) for one in got) == 1
