"""One lending of one credential to one client for one purpose, with an end."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credentials.models.credential import Credential
from credentials.models.service_client import ServiceClient


class Outcome(models.TextChoices):
    """What the borrower said of the credential."""

    NONE = "", _("not reported")
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")


class Lease(models.Model):
    """Who borrowed what, for which repository, why, and until when.

    Until ``reserved_until`` the lent token is kept alive: some providers end it at once when it is refreshed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        ServiceClient, on_delete=models.PROTECT, related_name="leases", verbose_name=_("client")
    )
    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="leases", verbose_name=_("credential")
    )
    repository_url = models.CharField(_("repository"), max_length=1000, blank=True)
    purpose = models.CharField(_("purpose"), max_length=200)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    chosen_because = models.CharField(_("chosen because"), max_length=50)
    created_at = models.DateTimeField(_("borrowed"))
    expires_at = models.DateTimeField(_("ends"))
    reserved_until = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True)
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.NONE, blank=True
    )
    outcome_detail = models.CharField(_("outcome detail"), max_length=200, blank=True)
    reported_at = models.DateTimeField(_("reported"), null=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("lease")
        verbose_name_plural = _("leases")
        indexes = (
            models.Index(fields=("credential", "-created_at"), name="lease_by_credential"),
            models.Index(fields=("client", "-created_at"), name="lease_by_client"),
            models.Index(fields=("-created_at",), name="lease_by_time"),
        )

    def __str__(self) -> str:
        return gettext("%(client)s for %(purpose)s") % {"client": self.client, "purpose": self.purpose}

    def is_active(self, now: datetime) -> bool:
        return self.ended_at is None and self.expires_at > now
