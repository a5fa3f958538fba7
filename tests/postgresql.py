"""A PostgreSQL server of its own, which may be stopped, frozen or filled up without disturbing anybody."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60
FREE_PORTS = range(26_000, 27_000)
USER = "postgres"


def binaries() -> Path | None:
    """Where initdb and postgres are; None where PostgreSQL's server is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return places[-1] if places else None


@dataclass(kw_only=True)
class OwnPostgreSQL:
    """One cluster in a folder of its own, on a port of 127.0.0.1."""

    folder: Path
    port: int
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "server.log"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, name: str = USER) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{name}"

    def create(self) -> None:
        words = ("--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync", "-D", self.data)
        subprocess.run([_binary("initdb"), *words], check=True, stdout=subprocess.DEVNULL, **_as_its_user())

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        words = [f"-c{name}={value}" for name, value in self.settings.items()]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(_binary("postgres"), "-D", self.data, "-p", str(self.port)),
                    *("-k", str(self.folder), "-h", "127.0.0.1", *words),
                ],
                stdout=output,
                stderr=output,
                **_as_its_user(),
            )
        self.wait()

    def wait(self) -> None:
        """Until it takes connections, as after a crash from which it recovers by itself."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=3).close()
                return
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert time.monotonic() < deadline, self.log.read_text("utf-8")
            time.sleep(0.05)

    def stop(self, *, at_once: bool = True) -> None:
        """``at_once``: without a last word to anybody, as a machine that loses its power; it recovers later."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self.process.wait(timeout=60)
        self.process = None

    def read_only(self, wanted: bool) -> None:
        """Refuse every write, as a server does that was made a replica by mistake."""
        value = "on" if wanted else "off"
        with psycopg.connect(self.url(), autocommit=True) as server:
            server.execute("SET default_transaction_read_only = off")
            server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
            server.execute("SELECT pg_reload_conf()")

    def create_database(self, name: str) -> str:
        with psycopg.connect(self.url(), autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)


def _binary(name: str) -> str:
    folder = binaries()
    assert folder is not None, "PostgreSQL's server is not installed"
    return str(folder / name)


def _as_its_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def own_postgresql(parent: Path | None = None, **settings: str) -> Iterator[OwnPostgreSQL]:
    """A running server, gone afterwards. ``parent`` is a folder it may fill; settings are its own names."""
    folder = Path(tempfile.mkdtemp(prefix="forgekey-postgresql-", dir=parent))
    if os.geteuid() == 0:
        account = pwd.getpwnam(USER)
        os.chown(folder, account.pw_uid, account.pw_gid)
    server = OwnPostgreSQL(folder=folder, port=_free_port(), settings=settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    start = os.getpid() % len(FREE_PORTS)
    for number in (*FREE_PORTS[start:], *FREE_PORTS[:start]):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return int(number)
    raise AssertionError("no free port")
