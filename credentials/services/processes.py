"""Which processes there are, and whether one of them is gone.

Clocks may jump, and one second is as good as another to a killed process. So nothing here is decided by two
clocks: of a process on this machine the kernel is asked, and one elsewhere is gone once its sign of life has
been old and the same for a while that this process measured by itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.db import Error, connection

from credentials.models import Process
from credentials.services import database

BEAT = timedelta(seconds=5)
# Without a sign of life for so long, a process elsewhere is taken for gone, if it stays so for WATCHED.
SILENT = timedelta(seconds=60)
# Longer than a few beats: whoever lives moves its sign of life meanwhile.
WATCHED = 15.0
# What is kept of a process that left no trace but its row, for the health page.
KEPT = timedelta(hours=1)

_HOST_LENGTH = 24
_STAT_STATE, _STAT_STARTED = 0, 19  # fields 3 and 22 of proc(5), counted after the name
_ENDED = {"Z", "X"}

logger = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a process is for."""

    WORKER = "worker"
    REFRESHER = "refresher"
    # Carries out tasks that another engine hands out, and no duties.
    RUNNER = "runner"
    # A web process or a command that refreshes a token because no refresher runs.
    PASSING = "passing"


class Watch:
    """Notices what does not change, by this process's own clock, which does not jump."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since: dict[str, tuple[object, float]] = {}
        self._lock = threading.Lock()

    def unchanged(self, name: str, value: object) -> float:
        """For how many seconds ``name`` has had this ``value`` whenever it was shown here."""
        moment = self._monotonic()
        with self._lock:
            known, since = self._since.get(name, (None, moment))
            if known != value:
                since = moment
            self._since[name] = (value, since)
        return moment - since

    def forget(self, name: str) -> None:
        """Begin anew where ``name`` is shown again."""
        with self._lock:
            self._since.pop(name, None)


class _Parts(NamedTuple):
    place: str
    pid: int
    started: str


_watch = Watch()


def identity() -> str:
    """This process's name: ``place:pid:start``, and no other process's at any time; at most 64 characters."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_stat(pid).started}"


def ended_here(name: str) -> bool:
    """Whether it is certain at once that this process exists no more: the kernel knows none like it."""
    parts = _parse(name)
    return parts is not None and parts.place == _place() and _runs(parts) is False


def is_gone(name: str, *, now: datetime, watch: Watch = _watch) -> bool:
    """Whether the process of this identity does nothing any more.

    Where the kernel can be asked, its answer holds. Elsewhere the first answer is never yes: a sign of life
    that is old, or missing, or ahead of all clocks must stay so for WATCHED seconds, so ask again later.
    """
    parts = _parse(name)
    if parts is not None and parts.place == _place():
        runs = _runs(parts)
        if runs is not None:
            return not runs
    seen = Process.objects.filter(pk=name).values_list("seen_at", flat=True).first()
    if seen is not None and abs(now - seen) < SILENT:
        watch.forget(name)
        return False
    return watch.unchanged(name, seen) >= WATCHED


def beat(kind: Kind, *, now: datetime) -> None:
    """A sign of life of this process."""
    Process.objects.update_or_create(
        identity=identity(), defaults={"seen_at": now}, create_defaults=_first(kind, now)
    )


def _first(kind: Kind, now: datetime) -> dict[str, object]:
    return {"kind": kind.value, "started_at": now, "seen_at": now}


def end() -> None:
    """This process ends as it should and is not missed."""
    Process.objects.filter(pk=identity()).delete()


def alive(kind: Kind, now: datetime) -> list[Process]:
    """The processes of a kind that gave a sign of life lately and have not ended here since."""
    recent = Process.objects.filter(kind=kind.value, seen_at__gt=now - SILENT, seen_at__lt=now + SILENT)
    return [process for process in recent if not ended_here(process.identity)]


def forget_gone(*, now: datetime) -> int:
    """Drop the rows of processes that are gone and of no interest any more."""
    return Process.objects.exclude(seen_at__range=(now - KEPT, now + KEPT)).delete()[0]


@contextmanager
def beating(kind: Kind, *, clock: Callable[[], datetime] = database.now) -> Iterator[None]:
    """Give signs of life as long as the block runs: the first before it begins, if the database answers."""
    stop = threading.Event()
    _try(lambda: beat(kind, now=clock()))
    thread = threading.Thread(target=_beats, args=(kind, stop, clock), name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=BEAT.total_seconds())
        _try(end)


def _beats(kind: Kind, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    while not stop.wait(BEAT.total_seconds()):
        if not _try(lambda: beat(kind, now=clock())):
            connection.close()
    connection.close()


def _try(step: Callable[[], None]) -> bool:
    """A missed sign of life is made up for by the next one."""
    try:
        step()
    except Error as error:
        logger.warning("no sign of life: %s", type(error).__name__)
        return False
    return True


# --- What the kernel says -----------------------------------------------------------------------------


class _Stat(NamedTuple):
    state: str
    started: str


def _parse(name: str) -> _Parts | None:
    place, _, rest = name.partition(":")
    pid, _, started = rest.partition(":")
    return _Parts(place, int(pid), started) if place and pid.isdecimal() and started else None


def _runs(parts: _Parts) -> bool | None:
    """Whether a process of this place runs; None where the kernel does not tell it from a later one."""
    try:
        os.kill(parts.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # there is one, of another user
    stat = _stat(parts.pid)
    if not stat.state:
        return None
    return stat.started == parts.started and stat.state not in _ENDED


def _stat(pid: int) -> _Stat:
    """When a process began, in ticks since the machine did; ``0`` where the system does not say."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return _Stat(fields[_STAT_STATE], fields[_STAT_STARTED])
    return _Stat("", "0")


@cache
def _place() -> str:
    """Where process numbers mean the same: one boot of one machine, one container of it."""
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    name = "".join(letter if letter.isalnum() else "-" for letter in facts[0])[:_HOST_LENGTH]
    return f"{name}-{hashlib.sha256('|'.join(facts).encode()).hexdigest()[:8]}"
