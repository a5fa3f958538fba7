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


class Action(models.TextChoices):
    """Everything that an event can say was done, with the words people read. Nothing else is recorded."""

    CREDENTIAL_CONNECTED = "credential.connected", _("connected")
    CREDENTIAL_RECONNECTED = "credential.reconnected", _("reconnected")
    CREDENTIAL_REPLACED = "credential.replaced", _("secret replaced")
    CREDENTIAL_RENAMED = "credential.renamed", _("renamed")
    CREDENTIAL_OPENED = "credential.opened", _("opened for a check")
    CREDENTIAL_VERIFIED = "credential.verified", _("checked")
    CREDENTIAL_EXPIRING = "credential.expiring", _("expires soon")
    CREDENTIAL_EXPIRY_SET = "credential.expiry_set", _("end date corrected by hand")
    CALENDAR_MAILED = "calendar.mailed", _("administrators told what ends")
    CREDENTIAL_EXPIRED = "credential.expired", _("expired")
    CREDENTIAL_UNEXPIRED = "credential.unexpired", _("end taken back")
    CREDENTIAL_REWRAPPED = "credential.rewrapped", _("sealed under a newer key")
    CREDENTIAL_REFRESHING = "credential.refreshing", _("refresh begun")
    CREDENTIAL_REFRESHED = "credential.refreshed", _("refreshed")
    CREDENTIAL_REFRESH_FAILED = "credential.refresh_failed", _("could not be refreshed just now")
    CREDENTIAL_REFRESH_REFUSED = "credential.refresh_refused", _("refresh refused for good")
    CREDENTIAL_REFRESH_INTERRUPTED = "credential.refresh_interrupted", _("refresh was interrupted")
    CREDENTIAL_QUARANTINED = "credential.quarantined", _("quarantined")
    CREDENTIAL_RELEASED = "credential.released", _("released from quarantine")
    CREDENTIAL_HANDED_OVER = "credential.handed_over", _("handed over to another person")
    CREDENTIAL_DISCONNECTED = "credential.disconnected", _("disconnected")
    CREDENTIAL_REVOCATION = "credential.revocation", _("revocation asked at the host")
    CONNECTION_REWRAPPED = "connection.rewrapped", _("waiting connection sealed under a newer key")
    CONNECTION_PENDING = "connection.pending", _("connection waits for its owner")
    CONNECTION_CONFIRMED = "connection.confirmed", _("connection confirmed")
    CONNECTION_CANCELED = "connection.canceled", _("connection canceled")
    ORGANIZATION_ACCESS_CHANGED = "organization.access_changed", _("an organization answers differently")
    REPOSITORY_DIAGNOSED = "repository.diagnosed", _("repository looked into")
    LEASE_CREATED = "lease.created", _("lent")
    LEASE_REPEATED = "lease.repeated", _("lent again to a repeated request")
    LEASE_REFUSED = "lease.refused", _("refused to lend")
    LEASE_REPORTED = "lease.reported", _("borrower reported")
    LEASE_ENDED = "lease.ended", _("lease ended")
    HOST_REWRAPPED = "host.rewrapped", _("client secret sealed under a newer key")
    HOST_ADDED = "host.added", _("host registered")
    HOST_CHANGED = "host.changed", _("host changed")
    HOST_ENABLED = "host.enabled", _("host enabled")
    HOST_DISABLED = "host.disabled", _("host disabled")
    HOST_CLIENT_SECRET_OPENED = "host.client_secret_opened", _("client secret of a host used")
    HOST_CLIENT_REFUSED = "host.client_refused", _("the host refuses its OAuth client")
    HOST_CLIENT_ACCEPTED = "host.client_accepted", _("the host accepts its OAuth client again")
    HOST_PANIC = "host.panic", _("emergency stop of a host")
    CLIENT_CREATED = "client.created", _("service client made")
    CLIENT_KEY_RENEWED = "client.key_renewed", _("service key renewed")
    CLIENT_REVOKED = "client.revoked", _("service client revoked")
    DOCTOR_LOOKED = "doctor.looked", _("the doctor tried whether an event can be written")
    USER_ADDED = "user.added", _("person added")
    USER_CHANGED = "user.changed", _("person changed")
    USER_REMOVED = "user.removed", _("person removed")
    USER_OFFBOARDED = "user.offboarded", _("person offboarded")
    REVOCATION_REWRAPPED = "revocation.rewrapped", _("token to be revoked sealed under a newer key")
    WEBHOOK_ADDED = "webhook.added", _("webhook endpoint added")
    WEBHOOK_CHANGED = "webhook.changed", _("webhook endpoint changed")
    WEBHOOK_REMOVED = "webhook.removed", _("webhook endpoint removed")
    WEBHOOK_REPLAYED = "webhook.replayed", _("webhook message sent again")
    WEBHOOK_SECRET_OPENED = "webhook.secret_opened", _("signing secret of a webhook endpoint used")
    WEBHOOK_REWRAPPED = "webhook.rewrapped", _("signing secret sealed under a newer key")
    IMPORT_REQUESTED = "import.requested", _("import asked for")
    IMPORT_STARTED = "import.started", _("import begun")
    IMPORT_SUCCEEDED = "import.succeeded", _("import succeeded")
    IMPORT_FAILED = "import.failed", _("import failed")
    IMPORT_CANCELED = "import.canceled", _("import canceled")
    LIBRARY_CREATED = "library.created", _("library made")
    LIBRARY_RENAMED = "library.renamed", _("library renamed")
    LIBRARY_REMOVED = "library.removed", _("library removed")
    SNAPSHOT_REMOVED = "snapshot.removed", _("old snapshot removed")
    SNAPSHOT_DOWNLOADED = "snapshot.downloaded", _("snapshot downloaded")
    PURPOSE_KEY_REWRAPPED = "purpose_key.rewrapped", _("purpose key sealed under a newer key")


# After these a credential's envelopes differ from before: the last of them says what its row holds.
WRITES_ENVELOPES = (
    Action.CREDENTIAL_CONNECTED,
    Action.CREDENTIAL_REPLACED,
    Action.CREDENTIAL_RECONNECTED,
    Action.CREDENTIAL_REWRAPPED,
    Action.CREDENTIAL_REFRESHED,
    Action.CREDENTIAL_HANDED_OVER,
)


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
