"""Keys as the database knows them: which ring keys were used, and the wrapped purpose keys."""

from __future__ import annotations

import uuid

from django.db import models

from credentials.crypto.envelope import Binding


class RingKey(models.Model):
    """A ring key that wrapped something: its id, its check value, and how often it wrapped.

    The key itself is never here. ``wraps`` is the nonce budget of AES-GCM under random nonces
    (NIST SP 800-38D, section 8.3).
    """

    key_id = models.CharField(max_length=16, primary_key=True)
    check_value = models.BinaryField(max_length=16)
    wraps = models.PositiveBigIntegerField(default=0)
    first_used_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("first_used_at",)

    def __str__(self) -> str:
        return self.key_id


class PurposeKey(models.Model):
    """A random 256-bit key for one purpose, wrapped by the ring.

    Rotating the ring re-wraps it and changes neither fingerprints nor the audit chain.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=30, unique=True)
    key_id = models.CharField(max_length=16, db_index=True)
    envelope = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("purpose",)

    def __str__(self) -> str:
        return self.purpose

    @property
    def binding(self) -> Binding:
        return Binding(
            model="credentials.purposekey",
            row=self.pk,
            field=self.purpose,
            owner="system",
            host="",
            generation=1,
        )
