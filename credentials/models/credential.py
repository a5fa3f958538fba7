"""Our row for one secret of one account on one host."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, Q
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual
from django.utils.translation import gettext_lazy as _

from credentials.conf import conf
from credentials.crypto.envelope import MINIMUM_LENGTH, Binding
from credentials.models.host import Host
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

LABEL_LENGTH = 100


class Status(models.TextChoices):
    """What is known of a credential (contract, section 4)."""

    UNVERIFIED = "unverified", _("not checked yet")
    VALID = "valid", _("works")
    LIMITED = "limited", _("lacks a right")
    EXPIRING = "expiring", _("expires soon")
    EXPIRED = "expired", _("expired")
    REJECTED = "rejected", _("rejected")
    RECONNECT_REQUIRED = "reconnect_required", _("reconnect")
    QUARANTINED = "quarantined", _("quarantined")
    DISCONNECTED = "disconnected", _("disconnected")


# What may be lent. Not checked yet is lent too: a provider's outage must not stop an import.
LENDABLE = (Status.VALID, Status.LIMITED, Status.EXPIRING, Status.UNVERIFIED)


# What is in nobody's use, whoever asks.
WITHDRAWN = (Status.QUARANTINED, Status.DISCONNECTED)


# What only a person can renew by going through the host's consent again.
_RENEWED_BY_CONSENT = (Kind.OAUTH, Kind.APP_TOKEN)


def ended(kind: str) -> tuple[Status, VerdictCode]:
    """What a credential of this kind is once its known end has come, and how that is told."""
    if kind in _RENEWED_BY_CONSENT:
        return Status.RECONNECT_REQUIRED, VerdictCode.RECONNECT_REQUIRED
    return Status.EXPIRED, VerdictCode.TOKEN_EXPIRED


def is_near(kind: str, ends: datetime | None, *, now: datetime) -> bool:
    """Whether a working credential of this kind counts as expiring: its end is near, or has come.

    What lives for hours by nature is never near its end.
    """
    return kind != Kind.OAUTH and ends is not None and ends - now <= conf.expiring_window


class QuarantineReason(models.TextChoices):
    """Why nobody may use a credential until a person decides otherwise."""

    ADMINISTRATOR = "administrator", _("by an administrator")
    OFFBOARDING = "offboarding", _("its owner leaves")
    PANIC = "panic", _("emergency stop")
    # No duty closes it: an administrator hands it over, or has said that it is not to be revoked yet.
    KEPT = "kept", _("its owner left; somebody decides what becomes of it")


class Hold(models.TextChoices):
    """Why a credential is left alone for a while."""

    REFUSED = "refused", _("refused")
    QUOTA = "quota", _("its quota is spent")


EnvelopeName = Literal["access", "refresh"]

# For queries that leave out what is sealed: whether there is a refresh token (Credential.is_renewable).
IS_PAIRED = ExpressionWrapper(Q(refresh_envelope__isnull=False), output_field=models.BooleanField())


class Credential(models.Model):
    """One secret of one account on one host, with what was learned about it.

    ``account_id`` and ``account_name`` are empty while the identity is unknown; ``scopes`` is null while
    the provider does not tell them. ``sealed_at`` is when the present secret was stored. ``refusals``
    counts refused calls in a row; until ``hold_until`` nobody asks with this credential of their own accord
    (services/holds.py). ``key_id`` names the ring key that wraps both envelopes. A disconnected row keeps
    its history but neither envelope nor fingerprint.

    Refresh (services/refresh): ``refresh_due_at`` is when the refresher renews the access token ahead of
    time, or tries again; ``refresh_wanted_at`` that somebody waits for it now. ``refreshing_since`` and
    ``refreshing_by`` are committed before the provider is called: a process that dies in between leaves them
    behind. ``refresh_ends_at`` is the known end of the refresh token. ``oauth_redirect_uri`` is the one the
    grant was made with; GitLab wants it again. ``told`` holds, by kind of end, which end its owner was last
    warned of and how many days ahead (services/calendar). ``is_kept``: whatever it was quarantined for, no duty
    closes it although its owner left (services/departures).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # With the person the row goes; its secrets are handed to revocation first (services/departures.py).
        on_delete=models.CASCADE,
        related_name="credentials",
        verbose_name=_("owner"),
    )
    host = models.ForeignKey(
        Host, on_delete=models.PROTECT, related_name="credentials", verbose_name=_("host")
    )
    kind = models.CharField(_("kind"), max_length=30)
    label = models.CharField(_("label"), max_length=LABEL_LENGTH, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.UNVERIFIED)
    status_detail = models.CharField(_("detail"), max_length=50, blank=True)
    account_id = models.CharField(_("account id"), max_length=200, blank=True)
    account_name = models.CharField(_("account"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail at the host"), blank=True)
    username = models.CharField(_("user name at the host"), max_length=200, blank=True)
    scopes = models.JSONField(_("scopes"), null=True)
    missing_scopes = models.JSONField(_("missing scopes"), default=list)
    oauth_client_id = models.CharField(_("OAuth client id"), max_length=200, blank=True)
    oauth_redirect_uri = models.CharField(max_length=500, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True)
    told = models.JSONField(default=dict, editable=False)
    refresh_ends_at = models.DateTimeField(null=True, editable=False)
    refresh_due_at = models.DateTimeField(null=True, editable=False)
    refresh_wanted_at = models.DateTimeField(null=True, editable=False)
    refresh_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    refreshing_since = models.DateTimeField(null=True, editable=False)
    refreshing_by = models.CharField(max_length=100, blank=True, editable=False)
    quarantine_reason = models.CharField(
        _("quarantined"), max_length=20, choices=QuarantineReason.choices, blank=True, editable=False
    )
    is_kept = models.BooleanField(default=False, editable=False)
    last_verified_at = models.DateTimeField(_("last verified"), null=True)
    sealed_at = models.DateTimeField(null=True, editable=False)
    refusals = models.PositiveSmallIntegerField(default=0, editable=False)
    hold_until = models.DateTimeField(null=True, editable=False)
    hold_reason = models.CharField(max_length=10, choices=Hold.choices, blank=True, editable=False)
    generation = models.PositiveBigIntegerField(default=1, editable=False)
    key_id = models.CharField(max_length=16, blank=True, editable=False, db_index=True)
    access_envelope = models.BinaryField(null=True, editable=False)
    refresh_envelope = models.BinaryField(null=True, editable=False)
    fingerprint = models.BinaryField(null=True, editable=False, db_index=True, max_length=32)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    disconnected_at = models.DateTimeField(_("disconnected"), null=True, editable=False)

    class Meta:
        ordering = ("host__name", "created_at")
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        indexes = (
            models.Index(fields=("owner", "host", "status"), name="credential_by_owner"),
            models.Index(fields=("expires_at",), name="credential_by_end"),
            models.Index(
                fields=("refresh_ends_at",),
                condition=Q(refresh_ends_at__isnull=False),
                name="credential_by_refresh_end",
            ),
            models.Index(
                fields=("refresh_due_at",),
                condition=Q(refresh_due_at__isnull=False),
                name="credential_refresh_due",
            ),
            models.Index(
                fields=("refresh_wanted_at",),
                condition=Q(refresh_wanted_at__isnull=False),
                name="credential_refresh_wanted",
            ),
            models.Index(
                fields=("refreshing_since",),
                condition=Q(refreshing_since__isnull=False),
                name="credential_refreshing",
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="credential_access_is_an_envelope",
                condition=Q(access_envelope__isnull=True)
                | Q(GreaterThanOrEqual(Length("access_envelope"), MINIMUM_LENGTH)),
            ),
            models.CheckConstraint(
                name="credential_refresh_is_an_envelope",
                condition=Q(refresh_envelope__isnull=True)
                | Q(GreaterThanOrEqual(Length("refresh_envelope"), MINIMUM_LENGTH)),
            ),
            models.CheckConstraint(
                name="credential_keeps_no_secret_once_disconnected",
                condition=~Q(status=Status.DISCONNECTED)
                | Q(access_envelope__isnull=True, refresh_envelope__isnull=True, fingerprint__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return self.label or self.account_name or str(_("unknown account"))

    @property
    def is_connected(self) -> bool:
        return self.status != Status.DISCONNECTED

    @property
    def is_renewable(self) -> bool:
        """Whether a new access token can be had without its owner (RFC 6749 section 6).

        A query that leaves out what is sealed tells it by the annotation ``is_paired``.
        """
        told: bool | None = self.__dict__.get("is_paired")
        return self.refresh_envelope is not None if told is None else told

    @property
    def ends_at(self) -> datetime | None:
        """When its owner has to act: the end of a token, or of the grant that makes new ones."""
        return self.refresh_ends_at if self.is_renewable else self.expires_at

    @property
    def is_lendable(self) -> bool:
        return self.status in LENDABLE

    def binding(self, field: EnvelopeName, *, generation: int | None = None) -> Binding:
        """What this row's envelopes are bound to, at its own or at a given generation."""
        return secret_binding(
            row=self.pk,
            owner_id=self.owner_id,
            host_key=self.host.binding_key,
            field=field,
            generation=self.generation if generation is None else generation,
        )


def secret_binding(
    *,
    row: uuid.UUID,
    owner_id: object,
    host_key: str,
    field: EnvelopeName,
    generation: int,
    model: str = "credentials.credential",
) -> Binding:
    """The binding of a credential's envelope, from plain values (the lend path holds no model)."""
    return Binding(
        model=model,
        row=row,
        field=field,
        owner=f"user:{owner_id}",
        host=host_key,
        generation=generation,
    )
