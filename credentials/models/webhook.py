"""Where clients want to hear what happens, what they were told, and how that went."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.crypto.envelope import Binding
from credentials.models.service_client import ServiceClient


class WebhookEvent(models.TextChoices):
    """What clients can be told (contract, section 5)."""

    CREDENTIAL_CONNECTED = "credential.connected", _("an account was connected")
    CREDENTIAL_LIMITED = "credential.limited", _("a credential lacks a right")
    CREDENTIAL_EXPIRING = "credential.expiring", _("a credential ends soon")
    CREDENTIAL_RECONNECT_REQUIRED = "credential.reconnect_required", _("a person has to connect again")
    CREDENTIAL_DISCONNECTED = "credential.disconnected", _("an account was disconnected")
    ORGANIZATION_ACCESS_CHANGED = "organization.access_changed", _("an organization answers differently")
    IMPORT_FINISHED = "import.finished", _("an import ended")
    USER_OFFBOARDED = "user.offboarded", _("a person was offboarded")


class WebhookEndpoint(models.Model):
    """One address of one client. ``events`` lists what it wants to hear; an empty list is everything.

    The signing secret is an envelope; it is shown once. After a renewal the previous one signs as well until
    ``previous_secret_until``, so that the receiver need not change at the same moment. ``failing_since`` is
    when the first of the failures began that no success has ended. An endpoint that was removed keeps its row
    without secrets for as long as its log is kept: a change that is being announced may still name it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        ServiceClient, on_delete=models.CASCADE, related_name="webhooks", verbose_name=_("client")
    )
    url = models.URLField(_("address"), max_length=500)
    events = models.JSONField(_("events"), default=list, blank=True)
    allow_private_network = models.BooleanField(_("may be on a private network"), default=False)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(_("switched off because"), max_length=200, blank=True)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    secret_envelope = models.BinaryField(null=True, editable=False)
    secret_generation = models.PositiveBigIntegerField(default=1, editable=False)
    previous_secret_envelope = models.BinaryField(null=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    removed_at = models.DateTimeField(_("removed"), null=True, editable=False)

    class Meta:
        ordering = ("client__name", "created_at")
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")

    def __str__(self) -> str:
        return self.url

    @property
    def is_open(self) -> bool:
        """Whether anything is sent here, as far as the endpoint itself is concerned."""
        return self.is_enabled and self.removed_at is None

    def secret_binding(self, generation: int) -> Binding:
        return Binding(
            model="credentials.webhookendpoint",
            row=self.pk,
            field="secret",
            owner=f"client:{self.client_id}",
            host=self.url,
            generation=generation,
        )


class WebhookMessage(models.Model):
    """One thing that happened, as clients are told it: written in the transaction of the change itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.CharField(_("event"), max_length=50, choices=WebhookEvent.choices)
    host = models.CharField(_("host"), max_length=50, blank=True)
    data = models.JSONField(_("data"), default=dict)
    created_at = models.DateTimeField(_("created"), db_index=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.event


class DeliveryState(models.TextChoices):
    """How far the telling came."""

    PENDING = "pending", _("being delivered")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("given up")


class WebhookDelivery(models.Model):
    """One message on its way to one endpoint: the outbox, and the delivery log.

    Whoever sends it moves ``next_attempt_at`` ahead first, so that nobody else does. ``created_at`` is when it
    was queued, ``delivered_at`` when it first arrived, ``sent_again_at`` when somebody last had it sent again, by
    when there had been ``attempts_before`` of its ``attempts``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("endpoint")
    )
    message = models.ForeignKey(
        WebhookMessage, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("message")
    )
    state = models.CharField(
        _("state"), max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("queued"))
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    sent_again_at = models.DateTimeField(_("sent again"), null=True)
    attempts_before = models.PositiveSmallIntegerField(default=0, editable=False)
    last_status = models.PositiveSmallIntegerField(_("last answer"), null=True)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=("endpoint", "message"), name="webhook_once_per_endpoint"),
        )
        indexes = (
            models.Index(fields=("next_attempt_at",), name="webhook_delivery_due"),
            models.Index(fields=("-created_at",), name="webhook_delivery_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.message} to {self.endpoint}"

    @property
    def round_began_at(self) -> datetime:
        """Since when it is tried: since it was queued, or sent again."""
        return self.sent_again_at or self.created_at

    @property
    def round_attempts(self) -> int:
        """How often it was tried since then."""
        return self.attempts - self.attempts_before
