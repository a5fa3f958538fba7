"""Whose turn a duty is: of all threads, processes and machines one carries it out, and once per interval.

A turn is claimed by compare-and-set on the duty's row, and kept by moving ``held_until`` on. It is lost
* at once, where it belongs to a process of this machine that the kernel does not know any more;
* where it was given up by this very process, which could not write that down;
* else once ``held_until`` has passed, or lies further ahead than anybody may put it, and nobody has moved it
  for WATCHED seconds of this process's own. A clock that jumps, the database's too, starts the watching, but
  whoever lives moves the end meanwhile, and nobody takes the turn from it.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import Error, connection

from credentials.models import Duty
from credentials.services import processes
from credentials.services.processes import Watch

HELD = timedelta(seconds=60)
EXTEND_SECONDS = 10.0
# Longer than two extensions.
WATCHED = 25.0
# A duty that takes longer hangs: its turn is extended no more.
LONGEST = timedelta(hours=1)
# What failed, or was killed half-way, is tried again after this, or after its interval if that is shorter.
RETRY = timedelta(seconds=60)

logger = logging.getLogger(__name__)
_numbers = itertools.count(1)
_active: set[str] = set()
_watch = Watch()


class Refused(StrEnum):
    """Why there is no turn now."""

    NOT_DUE = "not due"
    ELSEWHERE = "elsewhere"
    # Held by somebody who gives no sign of life: to be asked for again after WATCHED seconds.
    WATCHED = "watched"


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The right to carry out one duty now."""

    name: str
    token: str


def take(
    name: str,
    *,
    interval: timedelta,
    clock: Callable[[], datetime],
    force: bool = False,
    watch: Watch = _watch,
) -> Turn | Refused:
    """Claim the duty ``name`` if it is due, or anyhow with ``force``, and nobody else has it."""
    row, _created = Duty.objects.get_or_create(name=name)
    # After the row: who finished before it was read, began before this moment.
    moment = clock()
    if row.held_by and not _is_over(row.held_by):
        if _may_be_held(row, moment):
            watch.forget(name)
            return Refused.ELSEWHERE
        if watch.unchanged(name, (row.held_by, row.held_until)) < WATCHED:
            return Refused.WATCHED
    if not force and not is_due(row, interval=interval, now=moment):
        return Refused.NOT_DUE
    turn = Turn(name=name, token=f"{processes.identity()}/{next(_numbers)}")
    # Active first: between claim and use this process itself must not take it for given up.
    _active.add(turn.token)
    try:
        claimed = Duty.objects.filter(
            pk=name, held_by=row.held_by, held_until=row.held_until, started_at=row.started_at
        ).update(held_by=turn.token, held_until=moment + HELD, started_at=moment)
    except BaseException:
        _active.discard(turn.token)
        raise
    if not claimed:
        _active.discard(turn.token)
        return Refused.ELSEWHERE
    return turn


def is_due(row: Duty, *, interval: timedelta, now: datetime) -> bool:
    """Whether the interval is over; a start in the future is a clock's error and waits for nothing."""
    whole = not row.held_by and not row.last_error
    wait = interval if whole else min(interval, RETRY)
    return row.started_at is None or not now - wait < row.started_at <= now


def finish(turn: Turn, *, done: int, clock: Callable[[], datetime]) -> None:
    """The duty was carried out and had so much to do."""
    _let_go(turn, finished_at=clock(), done=done, last_error="")


def fail(turn: Turn, error: BaseException) -> None:
    """The duty ended before its time. Only the class is kept: an error's words may hold a secret."""
    _let_go(turn, last_error=type(error).__name__[:200])


def _let_go(turn: Turn, **facts: object) -> None:
    try:
        Duty.objects.filter(pk=turn.name, held_by=turn.token).update(held_by="", held_until=None, **facts)
    finally:
        _active.discard(turn.token)


def extend(turn: Turn, *, clock: Callable[[], datetime]) -> bool:
    """Keep the turn for another while; False where somebody else has taken it."""
    held = Duty.objects.filter(pk=turn.name, held_by=turn.token)
    return bool(held.update(held_until=clock() + HELD))


class Keeper:
    """Extends a turn from a thread of its own as long as the block runs, up to LONGEST."""

    def __init__(self, turn: Turn, *, clock: Callable[[], datetime], every: float = EXTEND_SECONDS) -> None:
        self._turn, self._clock, self._every = turn, clock, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeps {turn.name}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        rounds = int(LONGEST.total_seconds() / self._every)
        for _round in range(rounds):
            if self._stop.wait(self._every):
                break
            try:
                if not extend(self._turn, clock=self._clock):
                    break
            except Error as error:
                # It is held for a few rounds yet; a short outage passes.
                logger.warning("could not keep %s: %s", self._turn.name, type(error).__name__)
            finally:
                connection.close()


def _is_over(token: str) -> bool:
    """Whether the turn of this token was given up for certain."""
    holder, _, _number = token.partition("/")
    if holder == processes.identity():
        return token not in _active
    return processes.ended_here(holder)


def _may_be_held(row: Duty, moment: datetime) -> bool:
    return row.held_until is not None and moment < row.held_until <= moment + HELD
