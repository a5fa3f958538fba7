"""Answers a repeated creating request with what its first attempt created.

Nothing of the request is kept but a keyed digest: it may hold a token, and whoever reads the database must
not be able to confirm a guess of one. The answer is not kept either; it is built again from the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from credentials.crypto import purpose as purposes
from credentials.errors import Conflict, IdempotencyKeyReused, InputInvalid
from credentials.models import IdempotencyRecord
from credentials.services import vault

IDEMPOTENCY = "idempotency"
KEPT = timedelta(days=1)
# Longer than any provider may take to answer. A process that was killed leaves its record behind.
IN_PROGRESS = timedelta(minutes=5)
KEY_LENGTH = 200

Made = TypeVar("Made")


def checked_key(text: str) -> str:
    """The key as sent; raises InputInvalid unless it is empty or 1 to 200 visible ASCII characters."""
    if len(text) > KEY_LENGTH or not all("!" <= character <= "~" for character in text):
        raise InputInvalid("1 to 200 visible ASCII characters.", field="Idempotency-Key")
    return text


def digest_of(*, method: str, path: str, body: Any) -> bytes:
    """A keyed digest of a request (32 bytes); ``body`` is what its JSON says, in any order of members."""
    said = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    key = vault.purpose_key(IDEMPOTENCY)
    return purposes.mac(key, b"forgekey/idempotency/v1", method.encode(), path.encode(), said)


def once(
    *,
    caller: str,
    key: str,
    digest: bytes,
    make: Callable[[], Made],
    id_of: Callable[[Made], UUID],
    again: Callable[[UUID], Made],
    now: Callable[[], datetime] = timezone.now,
) -> Made:
    """Run ``make`` for the first request with this key of this caller, ``again`` for every repetition.

    A request that failed is forgotten, so that the same key may be used to try again. Raises
    IdempotencyKeyReused where the key came with another request before, and Conflict while that request
    is still being worked on.
    """
    moment = now()
    known = _claim(caller=caller, key=key, digest=digest, now=moment)
    if known is not None:
        return again(known)
    # ``created_at`` marks this attempt: one that was taken over must not touch its successor's record.
    mine = IdempotencyRecord.objects.filter(caller=caller, key=key, created_at=moment, object_id=None)
    try:
        made = make()
    except BaseException:
        with suppress(DatabaseError):
            mine.delete()
        raise
    mine.update(object_id=id_of(made))
    return made


def _claim(*, caller: str, key: str, digest: bytes, now: datetime) -> UUID | None:
    """None where this request is the first and has put its record; else the object of the first."""
    record = IdempotencyRecord(caller=caller, key=key, request_digest=digest, created_at=now)
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:
        return _claim_known(caller=caller, key=key, digest=digest, now=now)
    return None


def _claim_known(*, caller: str, key: str, digest: bytes, now: datetime) -> UUID | None:
    known = IdempotencyRecord.objects.filter(caller=caller, key=key).first()
    if known is None:
        raise Conflict("The first request with this Idempotency-Key ended just now. Ask again.")
    age = now - known.created_at
    if age > KEPT or (known.object_id is None and age > IN_PROGRESS):
        seen = IdempotencyRecord.objects.filter(pk=known.pk, created_at=known.created_at)
        if seen.update(request_digest=digest, object_id=None, created_at=now):
            return None
        raise Conflict("Another request with this Idempotency-Key came first. Ask again.")
    if bytes(known.request_digest) != digest:
        raise IdempotencyKeyReused("This Idempotency-Key came with another request before. Use a new one.")
    if known.object_id is None:
        raise Conflict("The first request with this Idempotency-Key is still being worked on. Ask again.")
    return known.object_id
