"""How a running import shows that it lives, tells how far it is, and hears that it shall stop.

What is waited for, a host or a storage, may not answer for a while. So a thread of its own looks at the row: it gives
the signs of life, and where somebody asks to stop, or the time is up, and the work does not hear of it, it ends the
import itself. The work has lost it then, and stops without a trace as soon as it comes to itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import Error, connection

from credentials.conf import conf
from credentials.errors import ImportCanceled, TimeExceeded
from credentials.models import ProgressUnit, Stage
from credentials.services.imports import ending
from credentials.services.imports.claims import NOTHING_DONE, Claim, Lost

LOOK_SECONDS: Final = 0.5
"""How often an import looks at its row, and how often at most its progress is written."""
BEAT_SECONDS: Final = 5.0
LATE_SECONDS: Final = 10.0
"""How long after its time is up an import may go on for whoever does not ask: git, for one, ends by itself."""

logger = logging.getLogger(__name__)
_stopping = threading.Event()


class Stopped(Exception):  # no error: another worker goes on
    """This process ends; the import is put back."""


def stop_all() -> None:
    """Have every import of this process put back within a second or so: the process is about to end."""
    _stopping.set()


def is_stopping() -> bool:
    """Whether this process is about to end: it would only put back what it takes, and find it again."""
    return _stopping.is_set()


@dataclass(kw_only=True)
class Pulse:
    """The pulse of one attempt; a block in which its thread runs. ``deadline`` is a reading of ``monotonic``."""

    claim: Claim
    now: Callable[[], datetime]
    deadline: float
    monotonic: Callable[[], float] = time.monotonic
    look_seconds: float = LOOK_SECONDS
    _next: float = field(default=0.0, init=False)
    _heard: type[Exception] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"pulse of {self.claim.token}", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    # For the work

    def enter(
        self, stage: Stage, *, unit: ProgressUnit = ProgressUnit.NONE, total: int = 0, files: int = 0
    ) -> None:
        """A new stage begins. Raises as :meth:`beat` does."""
        self.check()
        self._write(
            {
                **NOTHING_DONE,
                "stage": stage,
                "progress_unit": unit,
                "progress_total": total,
                "files_total": files,
            }
        )

    def objects(self, done: int, total: int) -> None:
        """So many of Git's objects have come."""
        self.beat(progress_done=done, progress_total=total)

    def files(self, files: int, size: int) -> None:
        """So many files and bytes have been read."""
        self.beat(files_done=files, progress_done=size)

    def beat(self, **facts: int) -> None:
        """How far it is; may be called as often as anything happens. Raises as :meth:`check` does, and Lost."""
        self.check()
        if self.monotonic() >= self._next:
            try:
                self._write(facts)
            except Error as error:
                # Nobody sees how far it is for a moment. An outage that lasts is met by what must be written.
                logger.warning("no progress of an import is told: %s", type(error).__name__)
                connection.close()

    def check(self) -> None:
        """Raises ImportCanceled (also where its person is not active any more), TimeExceeded, Stopped."""
        if self._heard is not None:
            raise self._heard
        if _stopping.is_set():
            raise Stopped
        if self.monotonic() > self.deadline:
            raise _time_is_up()

    @property
    def seconds_left(self) -> float:
        """Until the deadline; at least one."""
        return max(1.0, self.deadline - self.monotonic())

    def _write(self, facts: dict[str, Any]) -> None:
        self._next = self.monotonic() + self.look_seconds
        if not self.claim.rows.update(heartbeat_at=self.now(), **facts):
            raise Lost

    # The thread

    def _listen(self) -> None:
        next_beat = time.monotonic() + BEAT_SECONDS
        try:
            while not self._over.wait(self.look_seconds):
                if self._heard is not None or self.monotonic() > self.deadline + LATE_SECONDS:
                    # The work has not heard: it waits for something.
                    self._try(self._end)
                    return
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    self._try(lambda: self.claim.rows.update(heartbeat_at=self.now()))
                self._heard = self._try(self._look)
        finally:
            connection.close()

    def _look(self) -> type[Exception] | None:
        """A row that is not this holder's any more says nothing here: the work meets that where it writes."""
        told = self.claim.rows.values_list("cancel_requested_at", "library__owner__is_active").first()
        is_wanted = told is None or (told[0] is None and told[1])
        return None if is_wanted else ImportCanceled

    def _end(self) -> None:
        if self._heard is ImportCanceled:
            ending.cancel(self.claim, now=self.now())
        elif self._heard is None:
            ending.fail(self.claim, ending.reason_of(_time_is_up()), now=self.now())

    def _try(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except Lost:
            return None
        except Error as error:
            logger.warning("an import's row cannot be looked at: %s", type(error).__name__)
            connection.close()
            return None


def _time_is_up() -> TimeExceeded:
    return TimeExceeded(limit=int(conf.import_duration.total_seconds()))
