"""Runs one program with nothing inherited, inside limits, and keeps a bounded part of what it says."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
PYTHON: Final = (sys.executable, "-I", "-S", "-B")
"""Python without site packages, without a look at the environment, and without writing byte code."""

REPORT: Final = 3
INHERITED: Final = 4

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


class _Listener:
    """Collects what arrives through the three pipes until the program is over."""

    def __init__(self, output_limit: int) -> None:
        self.output = bytearray()
        self.errors = _Ends()
        self.reports: list[str] = []
        self.status: int | None = None
        self._rest = b""
        self._room = _REPORT_LIMIT
        self._output_limit = output_limit

    def hear(self, pipe: str, data: bytes) -> None:
        if pipe == "output":
            self.output += data
        elif pipe == "errors":
            self.errors.add(data)
        else:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._note(line.decode("utf-8", "replace"))
            self._rest = self._rest[:_REPORT_LIMIT]

    def _note(self, line: str) -> None:
        """Keep a report while there is room; the exit status, which comes from the launcher, in any case."""
        if line.startswith("exit "):
            self.status = int(line.removeprefix("exit "))
        elif self._room >= 0:
            self._room -= len(line)
            self.reports.append(line)

    @property
    def over_size(self) -> bool:
        return len(self.output) > self._output_limit

    def outcome(self, *, over_time: bool) -> Outcome:
        return Outcome(
            status=self.status,
            output=bytes(self.output[: self._output_limit]),
            errors=self.errors.kept(),
            reports=tuple(self.reports),
            over_time=over_time,
            over_size=self.over_size,
        )


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    deadline: float,
    inherited: Sequence[int] = (),
) -> Outcome:
    """Run ``command`` (an absolute path and its arguments) and everything it starts, to the end of both.

    ``environment`` is the whole of its environment. Of open files it gets nothing but, as number 3
    (:data:`REPORT`), a pipe for its reports, and from 4 on (:data:`INHERITED`) those in ``inherited``.
    ``deadline`` is a reading of :func:`time.monotonic`. Whatever happens, no process of it is left when
    this returns.
    """
    reading, writing = os.pipe()
    descriptors = (writing, *inherited)
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell, and an argument list made by us
            [*PYTHON, str(LAUNCHER), ",".join(map(str, descriptors)), *limits.words, "--", *command],
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
        return _listened(process, reading, limits.output_bytes, deadline)
    finally:
        _end(process, reading)
        os.close(reading)


def _listened(process: subprocess.Popen[bytes], report: int, output_limit: int, deadline: float) -> Outcome:
    assert process.stdout is not None
    assert process.stderr is not None
    listener = _Listener(output_limit)
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, "output")
        pipes.register(process.stderr, selectors.EVENT_READ, "errors")
        pipes.register(report, selectors.EVENT_READ, "reports")
        while pipes.get_map() and not listener.over_size:
            is_over = listener.status is not None
            # Once the program is over, what it said is in the pipes; nobody else is waited for.
            ready = pipes.select(0 if is_over else max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                return listener.outcome(over_time=not is_over)
            for key, _events in ready:
                data = os.read(key.fd, _BLOCK)
                listener.hear(key.data, data)
                if not data:
                    pipes.unregister(key.fileobj)
    return listener.outcome(over_time=False)


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
