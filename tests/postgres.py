"""A PostgreSQL server of a test's own: to be stopped, made read-only, and starved of disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.processes import free_ports

SECONDS = 30
_USER = "postgres"


class OwnPostgres:
    """One server in a folder of its own; ``url`` is the address of its one database."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._port = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgres://{_USER}@127.0.0.1:{self._port}/{_USER}"

    def create(self) -> None:
        """Make the server's files."""
        self._run("initdb", "-D", str(self._folder / "data"), "-U", _USER, "-A", "trust", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self._folder / "data"), "-p", str(self._port), "-c", "fsync=off"),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *("-c", "min_wal_size=32MB", "-c", "max_wal_size=64MB"),
                ],
                user=_account(),
                cwd="/",
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "server.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, without waiting for its clients."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown
            self._process.wait(timeout=SECONDS)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def say(self, *statements: str) -> None:
        """Carry out statements as its administrator."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=2) as server:
            for statement in statements:
                server.execute(statement)

    def _answers(self) -> bool:
        try:
            self.say("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self._programs / program), *words], user=_account(), cwd="/", check=True, capture_output=True
        )


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """A running server whose files lie in ``folder``."""
    programs = _programs()
    if _account() is not None:
        shutil.chown(folder, _USER)
    server = OwnPostgres(folder, programs)
    server.create()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _account() -> str | None:
    """PostgreSQL refuses to run as root."""
    return _USER if os.geteuid() == 0 else None


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    beside = shutil.which("initdb")
    if not found and beside is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    return found[-1].parent if found else Path(str(beside)).resolve().parent
