"""The floor: the least that any Python service must do to lend a credential with an audit row.

A bare WSGI function, one connection for each thread and one prepared statement: it authenticates the key by its
HMAC, finds the credential, and inserts the audit row, which the database commits before it answers. Then the
same envelope is opened and a JSON answer written. There is no framework, no check of the input, no choice among
candidates, no lease, no chained audit trail, no error but 401. On SQLite, which has no INSERT inside a WITH,
they are two statements.
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from credentials.crypto.envelope import Binding, unseal
from credentials.crypto.keyring import KeyRing
from credentials.crypto.secret import Secret
from credentials.crypto.sources import source_from

_FOUND = """
    SELECT credential.id, credential.owner_id, credential.generation, credential.username,
        credential.access_envelope, host.provider, host.web_url, host.api_url, client.id AS client_id
    FROM credentials_serviceclient AS client
    JOIN auth_user AS owner ON owner.username = %s AND owner.is_active
    JOIN credentials_host AS host ON host.web_origin = %s AND host.is_enabled
    JOIN credentials_credential AS credential
        ON credential.owner_id = owner.id AND credential.host_id = host.id AND credential.status = 'valid'
    WHERE client.public_id = %s AND client.key_hash = %s AND client.revoked_at IS NULL
    ORDER BY credential.last_verified_at DESC LIMIT 1
"""
_LEND = f"""
    WITH found AS ({_FOUND}), event AS (
        INSERT INTO floor_event (action, client_id, credential_id, owner_id, repository, purpose, reference, address)
        SELECT 'lease.created', client_id, id, owner_id, %s, %s, %s, %s FROM found RETURNING seq
    )
    SELECT found.*, event.seq FROM found, event
"""
_TABLE = """
    CREATE TABLE floor_event (
        seq {serial}, at timestamp DEFAULT CURRENT_TIMESTAMP, action text, client_id {uuid}, credential_id {uuid},
        owner_id bigint, repository text, purpose text, reference text, address text
    )
"""
_URL = os.environ["DATABASE_URL"]
_IS_POSTGRESQL = _URL.startswith("postgres")


class _Thread(threading.local):
    """What each thread of the server keeps: its connection."""

    postgresql: psycopg.Connection[Any] | None = None
    sqlite: sqlite3.Connection | None = None


_thread = _Thread()


def create_table() -> None:
    """Make the floor's own audit table, beside the product's tables."""
    if _IS_POSTGRESQL:
        serial = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        _postgresql().execute(_TABLE.format(serial=serial, uuid="uuid").encode())
    else:
        _sqlite().execute(_TABLE.format(serial="integer PRIMARY KEY", uuid="text"))


def count_events() -> int:
    """How many audit rows there are."""
    statement = "SELECT count(*) FROM floor_event"
    row = (
        _postgresql().execute(statement).fetchone()
        if _IS_POSTGRESQL
        else _sqlite().execute(statement).fetchone()
    )
    return int(row[0]) if row else 0


def _postgresql() -> psycopg.Connection[Any]:
    if _thread.postgresql is None:
        _thread.postgresql = psycopg.connect(_URL, autocommit=True, prepare_threshold=0)
    return _thread.postgresql


def _sqlite() -> sqlite3.Connection:
    if _thread.sqlite is None:
        _thread.sqlite = sqlite3.connect(_URL.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
        _thread.sqlite.execute("PRAGMA journal_mode=WAL")
        _thread.sqlite.execute("PRAGMA synchronous=FULL")
    return _thread.sqlite


def _lend(who: list[Any], event: list[Any]) -> tuple[Any, ...] | None:
    if _IS_POSTGRESQL:
        return _postgresql().execute(_LEND, [*who, *event], prepare=True).fetchone()
    connection = _sqlite()
    found: tuple[Any, ...] | None = connection.execute(_FOUND.replace("%s", "?"), who).fetchone()
    if found is None:
        return None
    cursor = connection.execute(
        "INSERT INTO floor_event (action, client_id, credential_id, owner_id, repository, purpose, reference, "
        "address) VALUES ('lease.created', ?, ?, ?, ?, ?, ?, ?)",
        [found[8], found[0], found[1], *event],
    )
    return (*found, cursor.lastrowid)


class _Keys:
    """Ring and pepper, as this process holds them."""

    def __init__(self) -> None:
        self.ring: KeyRing = source_from(
            f"file:{Path(os.environ['DATA_DIR']) / 'key-ring'}", os.environ
        ).load()
        statement = "SELECT id, envelope FROM credentials_purposekey WHERE purpose = 'api-key-pepper'"
        row = (
            _postgresql().execute(statement).fetchone()
            if _IS_POSTGRESQL
            else _sqlite().execute(statement).fetchone()
        )
        assert row is not None  # the first service key made it
        binding = Binding(
            model="credentials.purposekey",
            row=_uuid(row[0]),
            field="api-key-pepper",
            owner="system",
            host="",
            generation=1,
        )
        self.pepper: Secret = unseal(self.ring, row[1], binding)


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


_keys: list[_Keys] = []


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Lend one credential."""
    if not _keys:
        _keys.append(_Keys())
    wanted = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    key = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    repository = wanted["repository_url"]
    row = _lend(
        [
            wanted["user"],
            "/".join(repository.split("/", 3)[:3]),
            key.split("_", 2)[1],
            hmac.digest(_keys[0].pepper.reveal_bytes(), key.encode(), "sha256"),
        ],
        [repository, wanted["purpose"], wanted["reference"], environ["REMOTE_ADDR"]],
    )
    if row is None:
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return [b""]
    body = json.dumps(_answer(row, repository)).encode()
    start_response("201 Created", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _answer(row: tuple[Any, ...], repository: str) -> dict[str, Any]:
    binding = Binding(
        model="credentials.credential",
        row=_uuid(row[0]),
        field="access",
        owner=f"user:{row[1]}",
        host=f"{row[5]}|{row[6]}|{row[7]}",
        generation=row[2],
    )
    return {
        "id": row[9],
        "credential": str(row[0]),
        "repository_url": repository,
        "username": row[3],
        "password": unseal(_keys[0].ring, row[4], binding).reveal(),
    }
