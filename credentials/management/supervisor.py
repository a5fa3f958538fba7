"""Keeps one child process running: starts it, starts it again when it died, and ends it by asking only."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)


class Supervisor:
    """One child, which is never killed: it may be in the middle of a call whose answer must not be lost.

    The child gets a session of its own, so that a signal for its parent's group, such as Ctrl-C, passes it
    by. It is told to end by SIGTERM, and waited for; one that is late is left to end by itself, which it
    does once it has no parent.
    """

    PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
    # A child that ran for so long had no trouble in starting.
    HEALTHY = 60.0
    LATE = 30.0
    _LOOK = 0.2

    def __init__(
        self,
        words: Sequence[str],
        *,
        name: str,
        folder: Path,
        environment: Callable[[], Mapping[str, str]],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._words, self._name, self._folder = words, name, folder
        self._environment, self._pauses = environment, pauses
        self.child: subprocess.Popen[bytes] | None = None

    def run(self, stop: threading.Event) -> None:
        """Keep a child running until ``stop``, then end it. Meant for a thread."""
        failures = 0
        while not stop.is_set():
            started = time.monotonic()
            self._run_once(stop)
            if stop.is_set():
                break
            failures = 1 if time.monotonic() - started >= self.HEALTHY else failures + 1
            pause = self._pauses[min(failures, len(self._pauses)) - 1]
            logger.error("the %s %s; started again in %g s", self._name, self._end_of(self.child), pause)
            stop.wait(pause)
        self._end()

    def _run_once(self, stop: threading.Event) -> None:
        try:
            self.child = subprocess.Popen(  # noqa: S603  # our own program, fixed words
                self._words, cwd=self._folder, env=self._environment(), start_new_session=True
            )
        except OSError as error:
            self.child = None
            logger.error("the %s cannot be started: %s", self._name, error.strerror)
            return
        while self.child.poll() is None and not stop.wait(self._LOOK):
            pass

    def _end(self) -> None:
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(timeout=self.LATE)
        except subprocess.TimeoutExpired:
            logger.warning("the %s still finishes what it holds; it ends by itself", self._name)

    @staticmethod
    def _end_of(child: subprocess.Popen[bytes] | None) -> str:
        if child is None:
            return "did not start"
        if child.returncode < 0:
            return f"was killed by {signal.Signals(-child.returncode).name}"
        return f"ended with status {child.returncode}"
