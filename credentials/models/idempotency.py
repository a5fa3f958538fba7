"""Remembers what a creating request with an ``Idempotency-Key`` brought about."""

from __future__ import annotations

import uuid

from django.db import models


class IdempotencyRecord(models.Model):
    """One key of one caller: the digest of its request, and the object it created.

    The answer itself is not kept (it may hold a secret); it is built again from the object.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    caller = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    request_digest = models.BinaryField(max_length=32)
    object_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("created_at",)
        constraints = (models.UniqueConstraint(fields=("caller", "key"), name="idempotency_key_once"),)

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"
