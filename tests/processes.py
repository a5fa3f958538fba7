"""Real processes of the product for tests: a plain environment, free ports, and a database to share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """A plain environment: nothing of the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return {**kept, "DATA_DIR": str(data_dir), "SECURE": "false", "PYTHONPATH": str(ROOT), **more}


def free_ports(count: int) -> int:
    """The first of ``count`` neighboring free ports below 32768."""
    for first in range(21_000 + os.getpid() % 500 * 10, 32_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def database_url(name: str = "") -> str:
    """The address of the tests' own database, or of another one at the same server."""
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{name or facts['NAME']}"
    person = quote(facts["USER"], safe="")
    if facts["PASSWORD"]:
        person += ":" + quote(facts["PASSWORD"], safe="")
    place = f"{facts['HOST'] or 'localhost'}:{facts['PORT'] or 5432}"
    return f"postgres://{person}@{place}/{name or facts['NAME']}"


@contextmanager
def fresh_database(name: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database, beside the one the tests were given; gone afterwards."""
    with psycopg.connect(database_url("postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield database_url(name)
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
