"""The database itself: its clock, and whether it takes writes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db import Error, connection, transaction
from django.utils import timezone

# What SQLite and an anchor need to write at all; below it, a write is not tried.
LEAST_FREE = 1024 * 1024
# Memory for one step of a query, and rows that do not fit in it: PostgreSQL must write them to its disk.
_WORK_MEMORY = "64kB"
_SPILLING_ROWS = 20_000


class Trouble(StrEnum):
    """Why nothing can be written; the value is the code that health pages answer."""

    UNAVAILABLE = "database_unavailable"
    READ_ONLY = "database_read_only"
    DISK_FULL = "disk_full"


# PostgreSQL's codes (appendix A of its manual): read_only_sql_transaction, disk_full.
_STATES = {"25006": Trouble.READ_ONLY, "53100": Trouble.DISK_FULL}
_SQLITE_WORDS = {"readonly database": Trouble.READ_ONLY, "disk is full": Trouble.DISK_FULL}


def now() -> datetime:
    """The clock all machines share: PostgreSQL's own; SQLite has none but its machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


class WriteWatch:
    """Answers :func:`trouble` to whoever asks often: while all is well, the disk is tried now and then only."""

    def __init__(self, *, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._tried = -math.inf

    def trouble(self) -> Trouble | None:
        """Why a write would fail, as far as was seen a moment ago."""
        moment = self._clock()
        thorough = moment - self._tried >= self._seconds
        found = trouble(thorough=thorough)
        if found is not None:
            self._tried = -math.inf
        elif thorough:
            self._tried = moment
        return found


def trouble(*, thorough: bool = True) -> Trouble | None:
    """Why a write would fail now; None where it would not. Writes nothing that stays, and without
    ``thorough`` nothing at all."""
    try:
        if connection.vendor == "postgresql":
            return _on_postgresql(thorough=thorough)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return trouble_of(error) or Trouble.UNAVAILABLE
    return trouble_of_folder(Path(connection.settings_dict["NAME"]))


def trouble_of(error: BaseException) -> Trouble | None:
    """What an error of the database says of the database's own state; None where it is another matter."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return _STATES.get(state)
    words = str(error)
    return next((found for part, found in _SQLITE_WORDS.items() if part in words), None)


def trouble_of_folder(path: Path) -> Trouble | None:
    """What keeps this process from writing ``path`` and beside it."""
    folder = path.parent
    try:
        free = free_bytes(folder)
        frozen = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return Trouble.UNAVAILABLE
    may_write = os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    if frozen or not may_write:
        return Trouble.READ_ONLY
    return Trouble.DISK_FULL if free < LEAST_FREE else None


def free_bytes(folder: Path) -> int:
    """How much this user may still write there."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def _on_postgresql(*, thorough: bool) -> Trouble | None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone()[0] == "on":
            return Trouble.READ_ONLY
        if thorough:
            _spill(cursor)
    return None


def _spill(cursor: Any) -> None:
    """Have it write a third of a megabyte that it drops by itself.

    A query whose rows do not fit into its memory puts them into a temporary file on the database's disk: no
    table, no log and no privilege is needed for that, and a full disk refuses it as it would a new row.
    """
    with transaction.atomic():
        cursor.execute(f"SET LOCAL work_mem = '{_WORK_MEMORY}'")
        cursor.execute("SELECT count(*) FROM generate_series(1, %s)", [_SPILLING_ROWS])
