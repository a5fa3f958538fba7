"""Starts the two applications under the same server, with the same options."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30
_STOP_SECONDS = 15


@contextmanager
def serving(target: str, port: int, *, workers: int, threads: int, log: Path) -> Iterator[int]:
    """Serve a WSGI application with granian, as ``manage.py demo`` does; end it afterwards.

    Gives the process id of the server, which is also the session of all its workers.
    """
    words = [
        *("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(workers), "--blocking-threads", str(threads)),
        *("--no-ws", "--log-level", "warning", target),
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "granian", *words],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(server, port, log)
        yield server.pid
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def cpu_seconds(session: int) -> float:
    """What a server and its workers have computed so far; 0 where there is no ``/proc``."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of the program, in parentheses, may hold blanks (proc(5)).
            fields = entry.read_text("ascii", "replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port(start: int) -> int:
    """The first port from ``start`` upwards that nobody listens at."""
    for port in range(start, start + 50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit(f"No port is free from {start} to {start + 49}; choose another with --port.")


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"The server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
