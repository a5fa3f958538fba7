"""``Idempotency-Key``: the same request twice brings about one thing.

The digest is keyed, so that a stolen table confirms no guess at a request that held a token.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import IntegrityError, transaction

from credentials.crypto import purpose as purposes
from credentials.errors import Conflict, InputInvalid
from credentials.models import IdempotencyRecord
from credentials.services import vault

LONGEST_KEY = 200


def begin(*, caller: str, key: str, request: bytes) -> IdempotencyRecord | None:
    """The record of this caller's key; its ``object_id`` is set where the request was carried out before.

    None where no key was sent. Raises InputInvalid for an endless key, Conflict where the key came with
    another request or the first one is still running.
    """
    if not key:
        return None
    if len(key) > LONGEST_KEY:
        raise InputInvalid("An Idempotency-Key has at most 200 characters.", field="Idempotency-Key")
    digest = purposes.mac(vault.purpose_key(vault.FINGERPRINT), b"idempotency", request)
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(caller=caller, key=key, request_digest=digest)
    except IntegrityError:
        record = IdempotencyRecord.objects.get(caller=caller, key=key)
    if not hmac.compare_digest(bytes(record.request_digest), digest):
        raise Conflict("This Idempotency-Key was used for another request. Use a new one.")
    if record.object_id is None:
        raise Conflict("The first request with this Idempotency-Key is still running. Ask again shortly.")
    return record


def finish(record: IdempotencyRecord | None, *, object_id: UUID | None) -> None:
    """Remember what the request brought about."""
    if record is not None:
        IdempotencyRecord.objects.filter(pk=record.pk).update(object_id=object_id)


@contextmanager
def forgotten_on_failure(record: IdempotencyRecord | None) -> Iterator[None]:
    """A request that failed may be repeated with the same key."""
    try:
        yield
    except Exception:
        if record is not None:
            record.delete()
        raise
