"""Moves everything that is stored to the ring's first key, while the product goes on working.

Rows are taken in pages, in the order of their ids, each page in a transaction of its own: re-wrapped
envelopes and their audit events appear together or not at all. What is left to do is read from the rows
themselves, so a run that was killed is finished by any later one, and two at once share the work. No
secret is opened on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from credentials.errors import CryptoError
from credentials.models import AuditEvent, Credential
from credentials.services import audit, vault
from credentials.services.audit import Actor
from credentials.services.sealed_rows import STORES, Store

BATCH = 500
_ACTOR = Actor.system("rotate_keys")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A row that was left as it is, and why."""

    kind: str
    id: str
    reason: str


@dataclass(kw_only=True, slots=True)
class Rotation:
    """What one run did. ``remaining`` counts the rows that still need another key than the first."""

    rewrapped: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    remaining: int = 0

    @property
    def complete(self) -> bool:
        return not self.remaining


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    """A row with its envelopes as they were read and as they shall be, by column."""

    row: Any
    old: dict[str, bytes | None]
    new: dict[str, bytes | None]


def remaining() -> int:
    """How many rows need another key than the first."""
    primary = vault.primary_key_id()
    return sum(store.stale(primary).count() for store in STORES)


def rotate(*, batch: int = BATCH, progress: Callable[[], None] = lambda: None) -> Rotation:
    """Re-wrap every envelope under the ring's first key; ``progress`` is called after each page.

    A row whose envelope does not open is named in ``failures`` and stays as it is. Raises CryptoError
    where there is no ring, ConfigurationError where the key's nonce budget is spent, AuditUnavailable
    where the trail refuses; the pages before are done then, and the next run goes on from there.
    """
    done = Rotation()
    while True:
        before = done.rewrapped.total()
        for store in STORES:
            _pass(store, done, batch=batch, progress=progress)
        done.remaining = remaining()
        # Processes that hold an older ring may have written meanwhile; once nothing helps, say so.
        if done.remaining <= len(done.failures) or done.rewrapped.total() == before:
            return done


def _pass(store: Store, done: Rotation, *, batch: int, progress: Callable[[], None]) -> None:
    """One walk through a model, page by page; each goes on behind the last row of the page before."""
    last = None
    while True:
        with transaction.atomic():
            page = _page(store, after=last, size=batch)
            changed = _rewrap(store, page, done)
        # Only now it is certain.
        done.rewrapped[store.kind] += changed
        if not page:
            return
        last = page[-1].pk
        progress()


def _page(store: Store, *, after: Any, size: int) -> list[Any]:
    """The next rows, locked in the order of their ids, so that two runs never wait for each other."""
    rows = store.stale(vault.primary_key_id()).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    locked = rows.select_related(*store.related).select_for_update(of=("self",), no_key=True)
    return list(locked[:size])


def _rewrap(store: Store, page: Sequence[Any], done: Rotation) -> int:
    """Re-wrap a page and record it; the number of rows that changed."""
    changes = [change for row in page if (change := _change(store, row, done)) is not None]
    if not changes:
        return 0
    vault.book_wraps(sum(blob is not None for change in changes for blob in change.new.values()))
    changed = _stored(store, changes)
    audit.append_all([_event(store, change.row) for change in changes if change.row.pk in changed])
    return len(changed)


def _change(store: Store, row: Any, done: Rotation) -> _Change | None:
    old = {name: None if (blob := getattr(row, name)) is None else bytes(blob) for name in store.bindings}
    new: dict[str, bytes | None] = dict.fromkeys(old)
    try:
        for name, blob in old.items():
            if blob is not None:
                new[name] = vault.rewrap_envelope(blob, store.bindings[name](row))
    except CryptoError as error:
        done.failures[f"{store.kind} {row.pk}"] = Failure(kind=store.kind, id=str(row.pk), reason=str(error))
        return None
    for name, blob in new.items():
        setattr(row, name, blob)
    return _Change(row=row, old=old, new=new)


def _event(store: Store, row: Any) -> AuditEvent:
    data: dict[str, object] = {"key_id": vault.primary_key_id()}
    if isinstance(row, Credential):
        data |= {"generation": row.generation, "envelope_mac": vault.envelope_mac(row)}
    return audit.build(store.rewrapped, actor=_ACTOR, subject=store.subject_of(row), data=data)


def _stored(store: Store, changes: Sequence[_Change]) -> set[Any]:
    """Write the rows whose envelopes are still those that were read; the ids of these rows.

    The rows are locked already where the database can; the comparison does not depend on that.
    """
    if connection.vendor == "postgresql":
        return _stored_at_once(store, changes)
    key = {"key_id": vault.primary_key_id()} if store.has_key_id else {}
    return {
        change.row.pk
        for change in changes
        if store.model._default_manager.filter(pk=change.row.pk, **change.old).update(**change.new, **key)
    }


def _stored_at_once(store: Store, changes: Sequence[_Change]) -> set[Any]:
    names = list(store.bindings)
    put = [f"{name} = fresh.{name}_new" for name in names]
    put += ["key_id = %s"] if store.has_key_id else []
    same = [f"stored.{name} IS NOT DISTINCT FROM fresh.{name}_old" for name in names]
    columns = [f"{name}_{age}" for name in names for age in ("old", "new")]
    statement = (
        f"UPDATE {store.model._meta.db_table} AS stored SET {', '.join(put)} "  # our own names
        f"FROM unnest(%s::uuid[]{', %s::bytea[]' * len(columns)}) AS fresh(id, {', '.join(columns)}) "
        f"WHERE stored.id = fresh.id AND {' AND '.join(same)} RETURNING stored.id"  # our own names
    )
    values: list[Any] = [vault.primary_key_id()] if store.has_key_id else []
    values.append([change.row.pk for change in changes])
    for name in names:
        values += [[change.old[name] for change in changes], [change.new[name] for change in changes]]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {pk for (pk,) in cursor.fetchall()}
