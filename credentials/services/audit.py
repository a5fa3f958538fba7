"""Writes the audit trail: one event, numbered and linked by the statement that inserts it.

An event's MAC covers everything the event says. Its number and link come from the head row, in the same
statement, so that numbers have no gaps and follow the order of commits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from credentials.crypto import purpose as purposes
from credentials.errors import AuditUnavailable
from credentials.models import AuditEvent
from credentials.models.audit import Action
from credentials.services import vault

# Everything the MAC covers, in this order. The order is part of the format: only ever append.
MAC_FIELDS = (
    "id",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "subject_kind",
    "subject_id",
    "subject_name",
    "owner_id",
    "owner_name",
    "host",
    "organization",
    "repository",
    "purpose",
    "reference",
    "request_id",
    "address",
    "data",
)

# What an event's data may hold, by name: an allow-list, so that no secret slips into the trail.
DATA_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "kind": str,
    "status": str,
    "status_before": str,
    "verdict": str,
    "reason": str,
    "generation": int,
    "scopes": list,
    "account": str,
    "lease": str,
    "outcome": str,
    "revocation": str,
    "organizations": list,
    "changed": list,
    "key_id": str,
    "envelope_mac": str,
    "expires_at": str,
    "attempts": int,
    "credentials": int,
    "days": int,
    "seq": int,
    "event": str,
    "to": str,
    "source": str,
    "digest": str,
    "commit": str,
    "ref": str,
    "subdirectory": str,
    "snapshot": int,
    "files": int,
    "bytes": int,
    "code": str,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who acts: a ``user``, a ``client`` or the ``system``, with the circumstances of the request."""

    kind: str
    id: str
    name: str
    request_id: str = ""
    address: str = ""

    @classmethod
    def system(cls, name: str = "forgekey") -> Actor:
        return cls(kind="system", id="", name=name)

    @classmethod
    def user(cls, user: Any, *, request_id: str = "", address: str = "") -> Actor:
        return cls(
            kind="user", id=str(user.pk), name=user.get_username(), request_id=request_id, address=address
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an event is about: kind (``credential``, ``host`` …), id and the name as of now."""

    kind: str
    id: str
    name: str
    owner_id: str = ""
    owner_name: str = ""
    host: str = ""


def build(
    action: str,
    *,
    actor: Actor,
    subject: Subject,
    at: datetime | None = None,
    organization: str = "",
    repository: str = "",
    purpose: str = "",
    reference: str = "",
    data: Mapping[str, object] | None = None,
) -> AuditEvent:
    """An unsaved event with its MAC. Raises ValueError for an unknown action, and for data outside the
    allow-list."""
    event = AuditEvent(
        at=at or timezone.now(),
        action=Action(action).value,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject_name=subject.name,
        owner_id=subject.owner_id,
        owner_name=subject.owner_name,
        host=subject.host,
        organization=organization,
        repository=repository,
        purpose=purpose,
        reference=reference,
        request_id=actor.request_id,
        address=actor.address,
        data=_checked(data or {}),
    )
    event.mac = mac_of(event, vault.purpose_key(vault.AUDIT))
    return event


def _checked(data: Mapping[str, object]) -> dict[str, object]:
    for name, value in data.items():
        expected = DATA_FIELDS.get(name)
        if expected is None or not isinstance(value, expected):
            raise ValueError(f"An audit event may not carry {name!r} of this type.")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise ValueError(f"An audit event's {name!r} may list only texts.")
    return dict(data)


def mac_of(event: AuditEvent, key: bytes) -> bytes:
    """The keyed MAC over everything an event says (32 bytes)."""
    return purposes.mac(key, b"forgekey/audit/v1", *(_canonical(getattr(event, name)) for name in MAC_FIELDS))


def _canonical(value: object) -> bytes:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").encode()
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return str(value).encode()


def record(
    action: str,
    *,
    actor: Actor,
    subject: Subject,
    organization: str = "",
    repository: str = "",
    purpose: str = "",
    reference: str = "",
    data: Mapping[str, object] | None = None,
) -> AuditEvent:
    """Append one event, inside the caller's transaction if there is one.

    Raises AuditUnavailable where the database refuses: the caller's change then does not happen either.
    """
    event = build(
        action,
        actor=actor,
        subject=subject,
        organization=organization,
        repository=repository,
        purpose=purpose,
        reference=reference,
        data=data,
    )
    append(event)
    return event


def record_durably(action: str, *, actor: Actor, subject: Subject, **circumstances: Any) -> AuditEvent:
    """Append one event and commit it before returning; for events that must precede a secret's opening.

    Raises AuditUnavailable where it cannot be committed, RuntimeError inside another transaction.
    """
    try:
        with transaction.atomic(durable=True):
            return record(action, actor=actor, subject=subject, **circumstances)
    except DatabaseError as error:
        raise AuditUnavailable("The audit trail cannot be written; nothing was opened.") from error


def append(event: AuditEvent) -> None:
    """Insert ``event``; the head gives it its number and link in the same statement."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(insert_sql(), insert_values(event))
    except DatabaseError as error:
        raise AuditUnavailable("The audit trail cannot be written; nothing was changed.") from error


def append_all(events: Sequence[AuditEvent]) -> None:
    """Insert ``events`` in this order, inside the caller's transaction. Raises AuditUnavailable."""
    if not events:
        return
    try:
        with connection.cursor() as cursor:
            # psycopg sends them in one go; the head is held the shorter.
            cursor.executemany(insert_sql(), [insert_values(event) for event in events])
    except DatabaseError as error:
        raise AuditUnavailable("The audit trail cannot be written; nothing was changed.") from error


Prepare = Callable[[Any, BaseDatabaseWrapper], Any]
Columns = tuple[tuple[str, str, Prepare | None], ...]


def columns_of(model: type[models.Model], *, without: Collection[str] = ()) -> Columns:
    """Column, attribute and converter of each field of ``model``, for :func:`row_values`.

    There is no converter where the driver takes the value as it is: the field's own, asked for thirty
    columns of every lease, would cost more than the statement.
    """
    return tuple(
        (str(field.column), field.attname, None if _is_plain(field) else field.get_db_prep_save)
        for field in model._meta.concrete_fields
        if field.name not in without
    )


def _is_plain(field: models.Field[Any, Any]) -> bool:
    if isinstance(field, models.CharField):
        return True
    kinds = (models.UUIDField, models.DateTimeField, models.ForeignKey)
    return connection.vendor == "postgresql" and isinstance(field, kinds)


def row_values(columns: Columns, row: models.Model) -> list[Any]:
    """A row's values as this database's driver wants them."""
    database = connections[DEFAULT_DB_ALIAS]
    return [
        getattr(row, name) if prepare is None else prepare(getattr(row, name), database)
        for _column, name, prepare in columns
    ]


@cache
def _event_columns() -> Columns:
    return columns_of(AuditEvent, without={"seq", "link"})


@cache
def insert_sql() -> str:
    """The statement that numbers, links and inserts an event."""
    columns = ", ".join(column for column, _name, _prepare in _event_columns())
    marks = ", ".join(["%s"] * len(_event_columns()))
    if connection.vendor == "postgresql":
        return (
            "WITH head AS (UPDATE credentials_audithead SET seq = seq + 1, link = sha256(link || %s::bytea) "
            "RETURNING seq, link) "
            f"INSERT INTO credentials_auditevent (seq, link, {columns}) "  # our own column names
            f"SELECT head.seq, head.link, {marks} FROM head"
        )
    # A trigger moves the head along (models/append_only.py).
    return (
        f"INSERT INTO credentials_auditevent (seq, link, {columns}) "  # our own column names
        f"SELECT head.seq + 1, audit_link(head.link, %s), {marks} FROM credentials_audithead AS head"
    )


def insert_values(event: AuditEvent) -> list[Any]:
    """The parameters of :func:`insert_sql`: the MAC, then every column."""
    return [bytes(event.mac), *row_values(_event_columns(), event)]
