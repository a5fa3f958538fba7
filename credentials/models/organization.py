"""What one organization answers through one credential."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.models.credential import Credential


class AccessState(models.TextChoices):
    """Mirrors :class:`credentials.providers.base.OrganizationState`, with the words people read."""

    ACCESSIBLE = "accessible", _("accessible")
    NOT_APPROVED = "not_approved", _("not approved yet")
    REQUESTED = "requested", _("requested")
    DENIED = "denied", _("denied")
    SSO_REQUIRED = "sso_required", _("single sign-on needed")
    POLICY_BLOCKED = "policy_blocked", _("blocked by a policy")
    TOKEN_PENDING = "token_pending", _("token waits for approval")
    IP_BLOCKED = "ip_blocked", _("network address blocked")
    NO_MEMBERSHIP = "no_membership", _("not a member")
    UNKNOWN = "unknown", _("not known")


class OrganizationAccess(models.Model):
    """One organization through one credential: state, evidence, when.

    ``key`` is the organization's name as it stands in repository addresses, in lower case.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="organizations", verbose_name=_("credential")
    )
    key = models.CharField(_("organization"), max_length=200)
    name = models.CharField(_("name"), max_length=200)
    state = models.CharField(
        _("state"), max_length=20, choices=AccessState.choices, default=AccessState.UNKNOWN
    )
    evidence = models.CharField(_("evidence"), max_length=300, blank=True)
    mend_url = models.URLField(_("where to mend it"), max_length=500, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"), auto_now_add=True)
    checked_at = models.DateTimeField(_("checked"))

    class Meta:
        ordering = ("key",)
        verbose_name = _("organization access")
        verbose_name_plural = _("organization accesses")
        constraints = (
            models.UniqueConstraint(fields=("credential", "key"), name="organization_once_per_credential"),
        )

    def __str__(self) -> str:
        return f"{self.name}: {self.get_state_display()}"
