"""What an OAuth flow brought back and its owner has not confirmed yet."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from credentials.crypto.envelope import Binding
from credentials.models.credential import Credential, EnvelopeName, secret_binding
from credentials.models.host import Host

PENDING_MODEL = "credentials.pendingconnection"
PENDING_GENERATION = 1


class PendingConnection(models.Model):
    """A sealed token waiting, at most ten minutes, for its owner's confirmation.

    Nothing else in the system can use it. ``facts`` holds what the confirmation page shows.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    host = models.ForeignKey(Host, on_delete=models.CASCADE)
    reconnects = models.ForeignKey(Credential, on_delete=models.CASCADE, null=True)
    access_envelope = models.BinaryField()
    refresh_envelope = models.BinaryField(null=True)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return f"{self.user} at {self.host}"

    def binding(self, field: EnvelopeName) -> Binding:
        return secret_binding(
            model=PENDING_MODEL,
            row=self.pk,
            owner_id=self.user_id,
            host_key=self.host.binding_key,
            field=field,
            generation=PENDING_GENERATION,
        )
