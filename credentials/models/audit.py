"""The audit trail: append-only events in one gapless sequence, its head, and its seals.

Each event carries a keyed MAC over its own content and a link that hashes the previous link with that
MAC; both the sequence number and the link come from the head row, in the statement that inserts the
event. Triggers refuse update and delete. Seals are keyed, so nobody without the audit key can rewrite
the chain behind one.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEvent(models.Model):
    """One thing that happened: who did what to whom, when and why.

    There is no foreign key: names are copied, so that an event outlives everything it speaks of.
    """

    seq = models.BigIntegerField(_("number"), primary_key=True)
    id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(_("time"), db_index=True)
    action = models.CharField(_("action"), max_length=50)
    actor_kind = models.CharField(_("actor kind"), max_length=10)
    actor_id = models.CharField(max_length=40)
    actor_name = models.CharField(_("actor"), max_length=150)
    subject_kind = models.CharField(_("subject kind"), max_length=30)
    subject_id = models.CharField(max_length=40)
    subject_name = models.CharField(_("subject"), max_length=200)
    owner_id = models.CharField(max_length=40, blank=True)
    owner_name = models.CharField(_("owner"), max_length=150, blank=True)
    host = models.CharField(_("host"), max_length=50, blank=True)
    organization = models.CharField(_("organization"), max_length=200, blank=True)
    repository = models.CharField(_("repository"), max_length=1000, blank=True)
    purpose = models.CharField(_("purpose"), max_length=200, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    data = models.JSONField(_("data"), default=dict)
    mac = models.BinaryField(max_length=32, editable=False)
    link = models.BinaryField(max_length=32, editable=False)

    class Meta:
        ordering = ("-seq",)
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("action", "-seq"), name="audit_by_action"),
            models.Index(fields=("actor_kind", "actor_id", "-seq"), name="audit_by_actor"),
            models.Index(fields=("subject_kind", "subject_id", "-seq"), name="audit_by_subject"),
            models.Index(fields=("owner_id", "-seq"), name="audit_by_owner"),
            models.Index(fields=("host", "organization", "-seq"), name="audit_by_organization"),
        )

    def __str__(self) -> str:
        return f"{self.seq}: {self.action}"


class AuditHead(models.Model):
    """The single row that numbers and links the next event."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    link = models.BinaryField(max_length=32)

    class Meta:
        default_permissions = ()
        constraints = (models.CheckConstraint(name="audit_head_is_one_row", condition=models.Q(id=1)),)

    def __str__(self) -> str:
        return f"after {self.seq}"


class AuditSeal(models.Model):
    """A keyed statement that the trail up to ``seq`` ended in ``link`` at a time."""

    number = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    link = models.BinaryField(max_length=32, editable=False)
    at = models.DateTimeField()
    mac = models.BinaryField(max_length=32, editable=False)

    class Meta:
        ordering = ("number",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"seal {self.number} up to {self.seq}"
