"""Runs one program with nothing inherited, inside limits, and keeps a bounded part of what it says."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
PYTHON: Final = (sys.executable, "-I", "-S", "-B")
"""Python without site packages, without a look at the environment, and without writing byte code."""

REPORT: Final = 3
INHERITED: Final = 4
WATCH_SECONDS: Final = 0.4

Watch = Callable[[], None]
Sift = Callable[[bytes], bytes]
_Ready = list[tuple[selectors.SelectorKey, int]]

# Git's own verdict comes last, a server's long speech before it: both ends of what is said are kept.
_HEAD, _TAIL = 3072, 1024
_REPORT_LIMIT = 64 * 1024
_BLOCK = 65_536
_GOING_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a program and each of its children may use; ``output_bytes`` is what it may print.

    There is no limit on the number of processes: the system counts those of the user, so a limit would
    hit whatever else runs under this account.
    """

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    output_bytes: int
    open_files: int = 64

    @property
    def words(self) -> tuple[str, ...]:
        """As the launcher reads them. A core file would hold the secrets of the moment."""
        return (
            "CORE=0",
            f"CPU={self.cpu_seconds}",
            f"AS={self.memory_bytes}",
            f"FSIZE={self.file_bytes}",
            f"NOFILE={self.open_files}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a program ended and what it said.

    ``status`` is its exit status (negative: the signal that ended it), or None where it was stopped
    because of its time (``over_time``) or of the size of its output (``over_size``). ``errors`` holds the
    beginning and the end of its standard error, ``reports`` the lines written to the report pipe.
    """

    status: int | None
    output: bytes
    errors: bytes
    reports: tuple[str, ...] = ()
    over_time: bool = False
    over_size: bool = False


class _Ends:
    """The first and the last bytes of a stream; a line that is not whole is not kept."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._is_cut = False

    def add(self, data: bytes) -> None:
        room = _HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        self._is_cut = self._is_cut or len(self._tail) > _TAIL
        del self._tail[:-_TAIL]

    def kept(self) -> bytes:
        if not self._is_cut:
            return bytes(self._head + self._tail)
        # A cut through a secret would leave a part that nobody recognizes.
        return bytes(self._head[: self._head.rfind(b"\n") + 1]) + bytes(self._tail.partition(b"\n")[2])


class Running:
    """A program at work; made by :func:`started`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        report: int,
        *,
        output_limit: int,
        deadline: float,
        watch: Watch | None,
        sift: Sift | None,
    ) -> None:
        self.over_time = False
        self.over_size = False
        self._process = process
        self._report = report
        self._room = output_limit
        self._deadline = deadline
        self._watch = watch
        self._sift = sift
        self._errors = _Ends()
        self._reports: list[str] = []
        self._report_room = _REPORT_LIMIT
        self._rest = b""
        self._status: int | None = None
        self._looked = -math.inf

    def blocks(self) -> Iterator[bytes]:
        """Standard output as it arrives, until the program is over or has used up its time or its room."""
        with selectors.DefaultSelector() as pipes:
            pipes.register(_open(self._process.stdout), selectors.EVENT_READ, "output")
            pipes.register(_open(self._process.stderr), selectors.EVENT_READ, "errors")
            pipes.register(self._report, selectors.EVENT_READ, "reports")
            while pipes.get_map() and not self.over_size:
                is_over = self._status is not None
                # Once the program is over, what it said is in the pipes; nobody else is waited for.
                ready = pipes.select(0 if is_over else self._patience())
                self._look()
                if time.monotonic() > self._deadline or (is_over and not ready):
                    self.over_time = not is_over
                    return
                yield from self._heard(ready, pipes)

    def outcome(self, output: bytes = b"") -> Outcome:
        """How it ended, after :meth:`blocks` did."""
        return Outcome(
            status=self._status,
            output=output,
            errors=self._errors.kept(),
            reports=tuple(self._reports),
            over_time=self.over_time,
            over_size=self.over_size,
        )

    def _heard(self, ready: _Ready, pipes: selectors.BaseSelector) -> Iterator[bytes]:
        for key, _events in ready:
            data = os.read(key.fd, _BLOCK)
            if not data:
                pipes.unregister(key.fileobj)
            if key.data == "output":
                kept = data[: self._room]
                self.over_size = len(data) > self._room
                self._room -= len(kept)
                if kept:
                    yield kept
            elif key.data == "errors":
                self._errors.add(self._sift(data) if self._sift else data)
            else:
                self._note(data)

    def _patience(self) -> float:
        return min(WATCH_SECONDS, max(0.0, self._deadline - time.monotonic()))

    def _look(self) -> None:
        now = time.monotonic()
        if self._watch is not None and now - self._looked >= WATCH_SECONDS:
            self._looked = now
            self._watch()

    def _note(self, data: bytes) -> None:
        """Keep reports while there is room; the exit status, which comes from the launcher, in any case."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if text.startswith("exit "):
                self._status = int(text.removeprefix("exit "))
            elif self._report_room >= 0:
                self._report_room -= len(text)
                self._reports.append(text)
        self._rest = self._rest[:_REPORT_LIMIT]


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    deadline: float,
    inherited: Sequence[int] = (),
) -> Outcome:
    """Run a program as :func:`started` does to its end, and keep what it prints."""
    with started(
        command, environment=environment, limits=limits, deadline=deadline, inherited=inherited
    ) as running:
        return running.outcome(b"".join(running.blocks()))


@contextmanager
def started(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    deadline: float,
    inherited: Sequence[int] = (),
    source: int | None = None,
    watch: Watch | None = None,
    sift: Sift | None = None,
) -> Iterator[Running]:
    """Start ``command`` (an absolute path and its arguments); when the block ends, however it does, no process of
    it is left.

    ``environment`` is the whole of its environment. Of open files it gets ``source`` as its standard input
    (nothing by default), as number 3 (:data:`REPORT`) a pipe for its reports, and from 4 on (:data:`INHERITED`)
    those in ``inherited``. ``deadline`` is a reading of :func:`time.monotonic`. ``watch`` is called every
    :data:`WATCH_SECONDS`, also while nothing arrives; ``sift`` is shown standard error as it arrives, and gives
    back what is to be kept of it. What they raise comes through.
    """
    reading, writing = os.pipe()
    descriptors = (writing, *inherited, *(() if source is None else (source,)))
    words = [*limits.words, *(() if source is None else (f"INPUT={INHERITED + len(inherited)}",))]
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell, and an argument list made by us
            [*PYTHON, str(LAUNCHER), ",".join(map(str, descriptors)), *words, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            pass_fds=descriptors,
            start_new_session=True,
            bufsize=0,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        yield Running(
            process, reading, output_limit=limits.output_bytes, deadline=deadline, watch=watch, sift=sift
        )
    finally:
        _end(process, reading)
        os.close(reading)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _end(process: subprocess.Popen[bytes], report: int) -> None:
    """Kill the whole group. Its leader has not been waited for, so the group's id is still its own.

    A killed process may take a while to go; when the last one has, nobody can write reports any more.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
    with selectors.DefaultSelector() as pipes:
        pipes.register(report, selectors.EVENT_READ)
        while pipes.select(_GOING_SECONDS) and os.read(report, _BLOCK):
            pass
