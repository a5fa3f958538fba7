"""The SQL of the lend path: one SELECT that reads, one statement that makes lease and event durable.

Written by hand because the ORM would need six statements for it and most of a millisecond each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection, transaction

from credentials.models import AuditEvent, Hold, Lease, ServiceClient, Status
from credentials.models.credential import LENDABLE
from credentials.models.host import host_binding
from credentials.providers.repository_url import RepositoryAddress, folded, parse
from credentials.services import audit
from credentials.services.choice import Candidate

Row = Mapping[str, Any]

_COLUMNS = """
    client.id AS client_id, client.name AS client_name, client.public_id, client.key_hash,
    client.scopes, client.hosts, client.allowed_networks, client.expires_at AS client_expires_at,
    client.revoked_at, owner.{pk} AS owner_id, host.id AS host_id, host.slug, host.name AS host_name,
    host.provider, host.web_url, host.api_url, host.is_enabled, credential.id AS credential_id, credential.kind,
    credential.label, credential.status, credential.account_id, credential.account_name,
    credential.email, credential.username, credential.expires_at, credential.last_verified_at,
    credential.created_at, credential.generation, credential.access_envelope, credential.hold_until,
    credential.hold_reason, credential.sealed_at, credential.refreshing_since,
    (credential.refresh_envelope IS NOT NULL AND host.client_secret_envelope IS NOT NULL
     AND host.client_id <> '') AS is_renewable, board.key AS organization,
    memory.key AS memory_key, memory.verdict, memory.checked_at AS verdict_at
"""
# As they are called in a row. The cursor knows them too, but looks each one up for every request.
_NAMES = tuple(column.split()[-1].rpartition(".")[2] for column in _COLUMNS.split(","))
_CLIENT_AND_OWNER = """
    FROM credentials_serviceclient AS client
    LEFT JOIN {users} AS owner ON owner.{username} = %s AND owner.is_active
"""
_BY_HOST = """
    LEFT JOIN credentials_host AS host ON host.{column} = %s
    LEFT JOIN credentials_credential AS credential
        ON credential.owner_id = owner.{pk} AND credential.host_id = host.id
        AND credential.status <> 'disconnected'
"""
_BY_CREDENTIAL = """
    LEFT JOIN credentials_credential AS credential
        ON credential.owner_id = owner.{pk} AND credential.id = %s AND credential.status <> 'disconnected'
    LEFT JOIN credentials_host AS host ON host.id = credential.host_id
"""
_KNOWN = """
    LEFT JOIN (
        credentials_organizationaccess AS access JOIN credentials_organization AS board
            ON board.id = access.organization_id AND board.key {within}
    ) ON access.credential_id = credential.id AND access.state = 'accessible'
    LEFT JOIN credentials_repositoryaccess AS memory
        ON memory.credential_id = credential.id AND memory.key {within}
"""
_NOTHING_KNOWN = """
    LEFT JOIN (SELECT NULL AS key) AS board ON FALSE
    LEFT JOIN (SELECT NULL AS key, NULL AS verdict, NULL AS checked_at) AS memory ON FALSE
"""
_WHERE = " WHERE client.public_id = %s "

# Where there are no arrays the statement keeps one shape; a path of eight segments has as many runs.
_KEYS = 36


def _has_arrays() -> bool:
    return connection.vendor == "postgresql"


@cache
def _statement(by: str, *, with_path: bool) -> str:
    user = get_user_model()
    names = {
        "users": user._meta.db_table,
        "pk": user._meta.pk.column,
        "username": getattr(user._meta.get_field(user.USERNAME_FIELD), "column", ""),
        # One array costs less than twenty parameters.
        "within": "= ANY(%s)" if _has_arrays() else f"IN ({', '.join(['%s'] * _KEYS)})",
        "column": {"origin": "web_origin", "host": "slug"}.get(by, ""),
    }
    source = _BY_CREDENTIAL if by == "credential" else _BY_HOST
    known = _KNOWN if with_path else _NOTHING_KNOWN
    return (f"SELECT {_COLUMNS}{_CLIENT_AND_OWNER}{source}{known}{_WHERE}").format(**names)


def select(
    *,
    public_id: str,
    user: str,
    origin: str,
    keys: Sequence[str],
    host: str,
    credential: UUID | None,
) -> list[Row]:
    """Client, owner, host and candidates of one request, a row per candidate and organization.

    ``keys`` are the names that an organization or the repository itself may have in the address.
    Empty where no client has this ``public_id``.
    """
    by = "credential" if credential else "origin" if origin else "host"
    native = connection.features.has_native_uuid_field
    row_id = credential if native or credential is None else credential.hex
    parameters: list[Any] = [user, row_id or origin or host]
    if keys:
        kept = list(keys) if _has_arrays() else [*keys[:_KEYS], *[keys[-1]] * (_KEYS - len(keys))]
        parameters += [kept, kept] if _has_arrays() else [*kept, *kept]
    with connection.cursor() as cursor:
        cursor.execute(_statement(by, with_path=bool(keys)), [*parameters, public_id])
        return [dict(zip(_NAMES, row, strict=True)) for row in cursor.fetchall()]


_CLIENT_FIELDS = (
    "id",
    "name",
    "public_id",
    "key_hash",
    "scopes",
    "hosts",
    "allowed_networks",
    "expires_at",
    "revoked_at",
)


def client_of(row: Row) -> ServiceClient:
    """The service client of a row, as an unsaved instance."""
    # As the ORM makes it of a row: the constructor would look for defaults first.
    return ServiceClient.from_db(
        None,
        _CLIENT_FIELDS,
        (
            _uuid(row["client_id"]),
            row["client_name"],
            row["public_id"],
            bytes(row["key_hash"]),
            _json(row["scopes"]),
            _json(row["hosts"]),
            _json(row["allowed_networks"]),
            _time(row["client_expires_at"]),
            _time(row["revoked_at"]),
        ),
    )


def owner_of(row: Row) -> object:
    """The user's primary key, None where nobody active has this name."""
    return row["owner_id"]


def at_place(rows: Sequence[Row], target: RepositoryAddress | None) -> list[Row]:
    """The rows of the one host that the address belongs to: the longest path of those at its origin.

    A host at which the user has nothing, or that is switched off, still wins over a shorter one: the
    address is its own. The origin is read from the address that envelopes are bound to.
    """
    if target is None:
        return [row for row in rows if row["host_id"] is not None and row["is_enabled"]]
    path = folded(target.segments)
    fitting = [
        (len(base), row)
        for row in rows
        if row["host_id"] is not None
        for origin, base in (place_of(row["web_url"]),)
        if origin == target.origin and path[: len(base)] == base
    ]
    longest = max((length for length, _row in fitting), default=0)
    return [row for length, row in fitting if length == longest and row["is_enabled"]]


@dataclass(slots=True)
class _Known:
    """What is known of one credential: the longest organization, and the memory of this repository."""

    row: Row
    organization: str = ""
    memory: str = ""
    verdict: str = ""
    verdict_at: Any = None


def candidates_of(rows: Sequence[Row], *, segments: tuple[str, ...] = ()) -> list[Candidate]:
    """One candidate per credential, with the longest accessible organization of its rows and what is
    remembered of the repository.

    ``segments`` are those of the repository's address, folded: an organization counts only where it
    begins the path below its host's own, a memory only where it begins the whole path.
    """
    best: dict[object, _Known] = {}
    for row in rows:
        if row["credential_id"] is None:
            continue
        known = best.setdefault(row["credential_id"], _Known(row=row))
        below = segments[len(place_of(row["web_url"])[1]) :]
        if _longer(row["organization"], known.organization, below):
            known.organization = row["organization"]
        if _longer(row["memory_key"], known.memory, segments):
            known.memory, known.verdict, known.verdict_at = (
                row["memory_key"],
                row["verdict"],
                row["verdict_at"],
            )
    return [_candidate(known) for known in best.values()]


def _longer(name: str | None, known: str, path: tuple[str, ...]) -> bool:
    """Whether ``name`` begins ``path``, and says more than what is known."""
    if not name or len(name) <= len(known):
        return False
    named = tuple(name.split("/"))
    return path[: len(named)] == named


@lru_cache(maxsize=256)
def place_of(web_url: str) -> tuple[str, tuple[str, ...]]:
    """Origin and folded path of a host's own address; there are few hosts, asked for again and again."""
    address = parse(web_url)
    return address.origin, folded(address.segments)


def _candidate(known: _Known) -> Candidate:
    row = known.row
    envelope = row["access_envelope"]
    return Candidate(
        id=_uuid(row["credential_id"]),
        owner_id=row["owner_id"],
        host_slug=row["slug"],
        host_name=row["host_name"],
        host_binding=host_binding(row["provider"], row["web_url"], row["api_url"]),
        provider=row["provider"],
        web_url=row["web_url"],
        api_url=row["api_url"],
        kind=row["kind"],
        label=row["label"],
        status=row["status"],
        account_id=row["account_id"],
        account_name=row["account_name"],
        email=row["email"],
        username=row["username"],
        expires_at=_time(row["expires_at"]),
        last_verified_at=_time(row["last_verified_at"]),
        created_at=_time(row["created_at"]) or datetime.min,
        generation=row["generation"],
        access_envelope=None if envelope is None else bytes(envelope),
        organization=known.organization,
        verdict=known.verdict,
        verdict_at=_time(known.verdict_at),
        # A spent quota of the API does not concern Git.
        hold_until=_time(row["hold_until"]) if row["hold_reason"] == Hold.REFUSED else None,
        is_renewable=bool(row["is_renewable"]),
        is_refreshing=row["refreshing_since"] is not None,
        sealed_at=_time(row["sealed_at"]),
    )


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


def _time(value: Any) -> datetime | None:
    """SQLite hands times out as text; Django's own converter reads them, in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is not None and value.tzinfo is None:
        return connection_time(value)
    return value  # type: ignore[no-any-return]  # None or an aware datetime


def connection_time(value: datetime) -> datetime:
    """A naive time of this connection, aware."""
    return value.replace(tzinfo=connection.timezone)


@cache
def _lease_columns() -> audit.Columns:
    return audit.columns_of(Lease)


def insert(lease: Lease, event: AuditEvent, *, generation: int) -> bool:
    """Commit lease and event together; False, and nothing written, where the credential is no longer
    lendable in the generation that was read, or is being refreshed.

    The statement locks the row: a refresh either sees the lease, and leaves its token alone as long as it is
    reserved, or is seen by it.

    Raises RuntimeError inside another transaction: it could roll back after the secret left.
    """
    refuse_inside_a_transaction()
    if connection.vendor == "postgresql":
        return _insert_at_once(lease, event, generation=generation)
    with transaction.atomic():
        return _insert_one_by_one(lease, event, generation=generation)


def refuse_inside_a_transaction() -> None:
    """Raises RuntimeError inside another transaction, which could roll back after the secret left."""
    if connection.in_atomic_block and not _only_a_test():
        raise RuntimeError("A credential cannot be lent inside another transaction.")


def _only_a_test() -> bool:
    """Whether the one transaction around us is that of a TestCase, as Django's own ``durable`` asks."""
    return bool(getattr(connection.atomic_blocks[-1], "_from_testcase", False))


_STILL_LENDABLE = (
    "SELECT 1 FROM credentials_credential WHERE id = %s AND generation = %s AND refreshing_since IS NULL "
    f"AND status IN ({', '.join(['%s'] * len(LENDABLE))})"
)


_LENDABLE = tuple(Status(status).value for status in LENDABLE)


def _still_lendable(lease: Lease, generation: int) -> list[Any]:
    native = connection.features.has_native_uuid_field
    key = lease.credential_id if native else lease.credential_id.hex
    return [key, generation, *_LENDABLE]


def _lease_sql(source: str) -> str:
    columns = ", ".join(column for column, _name, _prepare in _lease_columns())
    marks = ", ".join(["%s"] * len(_lease_columns()))
    return f"INSERT INTO credentials_lease ({columns}) SELECT {marks} {source}"  # own names


@cache
def _lease_and_event_sql() -> str:
    head = "RETURNING seq, link)"
    # The lock: a statement that waits for the head would else go by the status it saw before, and lend what
    # was quarantined meanwhile, or a token that a refresh is about to end. Whoever changes the row waits in
    # turn, and then sees this lease. It is taken before the head, as everybody does who changes a credential:
    # in the other order two would wait for each other.
    still = f"{_STILL_LENDABLE} FOR SHARE"
    return audit.insert_sql().replace(
        head, f"WHERE EXISTS ({still}) {head}, lease AS ({_lease_sql('FROM head')})", 1
    )


def _insert_at_once(lease: Lease, event: AuditEvent, *, generation: int) -> bool:
    mac, *event_values = audit.insert_values(event)
    lease_values = audit.row_values(_lease_columns(), lease)
    with connection.cursor() as cursor:
        cursor.execute(
            _lease_and_event_sql(),
            [mac, *_still_lendable(lease, generation), *lease_values, *event_values],
        )
        return bool(cursor.rowcount)


def _insert_one_by_one(lease: Lease, event: AuditEvent, *, generation: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _lease_sql(f"WHERE EXISTS ({_STILL_LENDABLE})"),
            [*audit.row_values(_lease_columns(), lease), *_still_lendable(lease, generation)],
        )
        if not cursor.rowcount:
            return False
    audit.append(event)
    return True
