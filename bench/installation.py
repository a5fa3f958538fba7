"""A throw-away installation: a fresh database and data folder, removed at the end.

The environment is set here, before Django reads it; the servers inherit it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

DEFAULT_URL = "postgres://postgres@127.0.0.1:5432/postgres"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Where the run keeps its data, and what to say of the database."""

    folder: Path
    database: str


@contextmanager
def fresh() -> Iterator[Installation]:
    """An empty database on the server named by DATABASE_URL, else SQLite in a temporary folder.

    Raises SystemExit where DATABASE_URL names a server that does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="forgekey-bench-") as name:
        folder = Path(name)
        os.environ |= {
            "DATA_DIR": name,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SECRET_KEY": secrets.token_urlsafe(50),
        }
        for setting in ("CREDENTIALS_KEY_RING", "CREDENTIALS_KEY_SOURCE"):
            os.environ.pop(setting, None)
        url = os.environ.get("DATABASE_URL", DEFAULT_URL)
        if not url.startswith("postgres"):
            yield _sqlite(folder, "SQLite, as DATABASE_URL asks")
            return
        try:
            with psycopg.connect(url, connect_timeout=5) as server:
                version = str(server.info.parameter_status("server_version"))
        except psycopg.OperationalError as error:
            if "DATABASE_URL" in os.environ:
                raise SystemExit(f"No PostgreSQL answers at DATABASE_URL: {error}") from None
            yield _sqlite(folder, "SQLite, since no PostgreSQL answers; set DATABASE_URL to measure there")
            return
        with _database(url) as own:
            os.environ["DATABASE_URL"] = own
            yield Installation(folder=folder, database=_described(own, version))


def _sqlite(folder: Path, words: str) -> Installation:
    os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'bench.sqlite3'}"
    return Installation(folder=folder, database=words)


@contextmanager
def _database(url: str) -> Iterator[str]:
    name = f"forgekey_bench_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _described(url: str, version: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        settings = {
            name: str(connection.execute(f"SHOW {name}".encode()).fetchone()[0])  # type: ignore[index]  # SHOW has a row
            for name in ("fsync", "synchronous_commit", "commit_delay")
        }
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"PostgreSQL {version.partition(' ')[0]} ({said})"
