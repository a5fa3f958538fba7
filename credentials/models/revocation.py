"""A token whose host is asked to kill it, until that is proved or a person must do it."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.crypto.envelope import Binding
from credentials.models.credential import Credential, EnvelopeName, secret_binding
from credentials.models.host import Host
from credentials.models.pending import PENDING_MODEL


class RevocationState(models.TextChoices):
    """What became of it (contract, section 3); mirrors :class:`credentials.providers.facts.Revocation`."""

    PENDING = "pending", _("being revoked")
    REVOKED = "revoked", _("revoked")
    ALREADY_INVALID = "already_invalid", _("was invalid already")
    MANUAL = "manual", _("to be revoked by hand")


class RevocationReason(models.TextChoices):
    """Why a token should live no longer."""

    DISCONNECTED = "disconnected", _("disconnected")
    REPLACED = "replaced", _("replaced by another")
    OFFBOARDED = "offboarded", _("its owner left")
    PANIC = "panic", _("emergency stop")
    LATE_REFRESH = "late_refresh", _("came after the account was disconnected")
    DECLINED = "declined", _("never confirmed by its owner")


class Revocation(models.Model):
    """One secret that left its credential and is to die at its host, with the receipt of what happened.

    The envelopes are those of the credential (or, for ``declined``, of the connection that was never
    confirmed), still bound to its ``row``, owner and ``generation``, and are destroyed as soon as the state is
    final. Names are copied, so that the receipt outlives its credential. ``in_doubt``: a refresh was under way
    when the credential was closed, so the host may have made a newer pair out of this one. ``mark`` names the
    refresh that a late pair came from. Until
    ``claimed_until`` one process is asking; ``attempts`` is also what its answer is compared with.
    ``accepted_at`` is when the host first said that it would revoke the token, ``verified_at`` when it was
    seen to refuse it, ``acknowledged_at`` when its owner, or an administrator, said that the rest was done by
    hand.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(
        Credential,
        on_delete=models.SET_NULL,
        null=True,
        related_name="revocations",
        verbose_name=_("credential"),
    )
    host = models.ForeignKey(
        Host, on_delete=models.PROTECT, related_name="revocations", verbose_name=_("host")
    )
    row = models.UUIDField(editable=False, db_index=True)
    owner_id = models.CharField(max_length=40, editable=False, db_index=True)
    owner_name = models.CharField(_("owner"), max_length=150)
    generation = models.PositiveBigIntegerField(editable=False)
    kind = models.CharField(_("kind"), max_length=30)
    label = models.CharField(_("label"), max_length=200, blank=True)
    account_name = models.CharField(_("account"), max_length=200, blank=True)
    email = models.EmailField(blank=True)
    username = models.CharField(max_length=200, blank=True)
    oauth_redirect_uri = models.CharField(max_length=500, blank=True)
    reason = models.CharField(_("reason"), max_length=20, choices=RevocationReason.choices)
    state = models.CharField(
        _("state"), max_length=20, choices=RevocationState.choices, default=RevocationState.PENDING
    )
    evidence = models.CharField(_("evidence"), max_length=300, blank=True)
    manual_url = models.URLField(_("where to do it by hand"), max_length=500, blank=True)
    mark = models.CharField(max_length=100, blank=True, editable=False)
    in_doubt = models.BooleanField(default=False, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    requested_at = models.DateTimeField(_("asked for"))
    claimed_until = models.DateTimeField(null=True, editable=False)
    accepted_at = models.DateTimeField(_("accepted by the host"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    verified_at = models.DateTimeField(_("proved"), null=True)
    acknowledged_at = models.DateTimeField(_("done by hand"), null=True)
    key_id = models.CharField(max_length=16, blank=True, editable=False, db_index=True)
    access_envelope = models.BinaryField(null=True, editable=False)
    refresh_envelope = models.BinaryField(null=True, editable=False)

    class Meta:
        ordering = ("-requested_at",)
        verbose_name = _("revocation")
        verbose_name_plural = _("revocations")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("next_attempt_at",), name="revocation_due"),
            models.Index(fields=("state", "-requested_at"), name="revocation_by_state"),
        )

    def __str__(self) -> str:
        return self.label or self.account_name or self.kind

    def binding(self, field: EnvelopeName) -> Binding:
        """What the envelopes are bound to: what they were bound to in their credential."""
        return secret_binding(
            row=self.row,
            owner_id=self.owner_id,
            host_key=self.host.binding_key,
            field=field,
            generation=self.generation,
            **({"model": PENDING_MODEL} if self.reason == RevocationReason.DECLINED else {}),
        )
