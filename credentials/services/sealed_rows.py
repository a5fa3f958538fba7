"""Which rows hold envelopes, and which keys of the ring they need."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import BinaryField, Count, F, Model, QuerySet
from django.db.models.functions import Substr

from credentials.crypto.envelope import Binding
from credentials.crypto.keyring import KEY_ID_LENGTH, KeyRing
from credentials.models import (
    Credential,
    Host,
    PendingConnection,
    PurposeKey,
    Revocation,
    WebhookEndpoint,
)
from credentials.services import hosts, logins, vault
from credentials.services.audit import Subject
from credentials.services.revocation import requests
from credentials.services.webhooks import endpoints

# Where the envelope's format puts the key id, counted from 1 as SQL does.
_KEY_ID_AT = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """One model with envelopes: its columns, what each is bound to, and how the trail names a row.

    ``kind`` is one word for people, ``rewrapped`` the audit action of a rotation. Where ``has_key_id``, a
    column names the key, and is indexed; elsewhere rows are few and the envelope's own bytes are read.
    """

    kind: str
    rewrapped: str
    model: type[Model]
    bindings: dict[str, Callable[[Any], Binding]]
    subject_of: Callable[[Any], Subject]
    has_key_id: bool
    related: tuple[str, ...] = ()

    def rows(self) -> QuerySet[Any]:
        """The rows that hold an envelope, each with ``key``: the id of the key it needs."""
        first = next(iter(self.bindings))
        rows: QuerySet[Any] = self.model._default_manager.filter(**{f"{first}__isnull": False})
        in_envelope = Substr(first, _KEY_ID_AT, KEY_ID_LENGTH, output_field=BinaryField())
        named: QuerySet[Any] = rows.annotate(key=F("key_id") if self.has_key_id else in_envelope)
        return named

    def stale(self, key_id: str) -> QuerySet[Any]:
        """The rows that need another key than ``key_id``."""
        return self.rows().exclude(key=key_id if self.has_key_id else bytes.fromhex(key_id))

    def counts(self) -> dict[str, int]:
        """How many rows need which key."""
        counted = self.rows().order_by().values_list("key").annotate(rows=Count("pk"))
        return {_text(key): rows for key, rows in counted}

    def key_ids(self) -> set[str]:
        """The keys that rows need; a few index look-ups, however many rows there are."""
        if not self.has_key_id:
            return {_text(key) for key in self.rows().order_by().values_list("key", flat=True).distinct()}
        found: set[str] = set()
        last: str | None = ""
        ids = self.model._default_manager.order_by("key_id").values_list("key_id", flat=True)
        while last := ids.filter(key_id__gt=last).first():
            found.add(last)
        return found


def _text(key: str | bytes | memoryview) -> str:
    return key if isinstance(key, str) else bytes(key).hex()


def _pending_subject(pending: PendingConnection) -> Subject:
    return Subject(
        kind="connection",
        id=str(pending.pk),
        name=str(pending),
        owner_id=str(pending.user_id),
        host=pending.host.slug,
    )


STORES = (
    # First, because the trail and every fingerprint depend on them.
    Store(
        kind="purpose_key",
        rewrapped="purpose_key.rewrapped",
        model=PurposeKey,
        bindings={"envelope": lambda row: row.binding},
        subject_of=lambda row: Subject(kind="purpose_key", id=str(row.pk), name=row.purpose),
        has_key_id=True,
    ),
    Store(
        kind="host",
        rewrapped="host.rewrapped",
        model=Host,
        bindings={
            "client_secret_envelope": lambda row: row.client_secret_binding(row.client_secret_generation)
        },
        subject_of=hosts.subject_of,
        has_key_id=False,
    ),
    Store(
        kind="connection",
        rewrapped="connection.rewrapped",
        model=PendingConnection,
        bindings={
            "access_envelope": lambda row: row.binding("access"),
            "refresh_envelope": lambda row: row.binding("refresh"),
        },
        subject_of=_pending_subject,
        has_key_id=False,
        related=("host", "user"),
    ),
    Store(
        kind="webhook",
        rewrapped="webhook.rewrapped",
        model=WebhookEndpoint,
        bindings={
            "secret_envelope": lambda row: row.secret_binding(row.secret_generation),
            "previous_secret_envelope": lambda row: row.secret_binding(row.secret_generation - 1),
        },
        subject_of=endpoints.subject_of,
        has_key_id=False,
        related=("client",),
    ),
    Store(
        kind="credential",
        rewrapped="credential.rewrapped",
        model=Credential,
        bindings={
            "access_envelope": lambda row: row.binding("access"),
            "refresh_envelope": lambda row: row.binding("refresh"),
        },
        subject_of=logins.subject_of,
        has_key_id=True,
        related=("host", "owner"),
    ),
    Store(
        kind="revocation",
        rewrapped="revocation.rewrapped",
        model=Revocation,
        bindings={
            "access_envelope": lambda row: row.binding("access"),
            "refresh_envelope": lambda row: row.binding("refresh"),
        },
        subject_of=requests.subject_of,
        has_key_id=True,
        related=("host",),
    ),
)


def counts() -> dict[str, Counter[str]]:
    """For each key id that rows need: how many rows of which kind."""
    found: dict[str, Counter[str]] = {}
    for store in STORES:
        for key_id, rows in store.counts().items():
            found.setdefault(key_id, Counter())[store.kind] += rows
    return found


def key_ids() -> set[str]:
    """Every key id that a row needs."""
    return set().union(*(store.key_ids() for store in STORES))


def missing_keys() -> set[str]:
    """The key ids that rows need and the ring lacks. Raises CryptoError where there is no ring."""
    needed = key_ids()
    # Nothing is sealed yet: then there may be no ring either, and asking for one could make it.
    return needed - set(vault.ring().ids) if needed else set()


class KeyWatch:
    """Answers :func:`missing_keys` to whoever asks often: the database is asked every few seconds only."""

    def __init__(self, *, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._known: tuple[KeyRing, float, set[str]] | None = None

    def missing(self) -> set[str]:
        """What was missing a moment ago. Raises CryptoError where there is no ring."""
        ring, now = vault.ring(), self._clock()
        known = self._known
        # Another ring is another answer, at once.
        if known is None or known[0] is not ring or now - known[1] >= self._seconds:
            known = self._known = (ring, now, missing_keys())
        return known[2]
