"""Organizations as addresses name them, and what each answers through one credential."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.models.credential import Credential
from credentials.models.host import Host


class AccessState(models.TextChoices):
    """Mirrors :class:`credentials.providers.facts.OrganizationState`, with the words people read."""

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


class Organization(models.Model):
    """An organization of one host: listed by a credential, or named by an address somebody asked about.

    ``key`` is its name as it stands in repository addresses, in lower case; a group of a group keeps its
    slashes. ``last_named_at`` is when an address named it last, None where only lists did.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(
        Host, on_delete=models.PROTECT, related_name="organizations", verbose_name=_("host")
    )
    key = models.CharField(_("organization"), max_length=200)
    name = models.CharField(_("name"), max_length=200)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_named_at = models.DateTimeField(_("last asked for"), null=True)

    class Meta:
        ordering = ("key",)
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        constraints = (models.UniqueConstraint(fields=("host", "key"), name="organization_once_per_host"),)
        indexes = (models.Index(fields=("host", "-last_named_at"), name="organization_by_naming"),)

    def __str__(self) -> str:
        return self.name


class OrganizationAccess(models.Model):
    """One organization through one credential: state, evidence, when.

    ``since`` is when the state last changed; the history before it is in the audit trail.
    ``requested_at`` is when the owner of the credential said that approval was asked for.
    ``next_check_at`` is when the worker looks again, later each time that nothing changed (``checks``).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="organizations", verbose_name=_("credential")
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="accesses", verbose_name=_("organization")
    )
    state = models.CharField(
        _("state"), max_length=20, choices=AccessState.choices, default=AccessState.UNKNOWN
    )
    evidence = models.CharField(_("evidence"), max_length=300, blank=True)
    mend_url = models.URLField(_("where to mend it"), max_length=500, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"), auto_now_add=True)
    since = models.DateTimeField(_("since"))
    checked_at = models.DateTimeField(_("checked"))
    requested_at = models.DateTimeField(_("requested"), null=True)
    next_check_at = models.DateTimeField(_("next check"), null=True, db_index=True)
    checks = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("organization__key",)
        verbose_name = _("organization access")
        verbose_name_plural = _("organization accesses")
        constraints = (
            models.UniqueConstraint(
                fields=("credential", "organization"), name="organization_once_per_credential"
            ),
        )

    def __str__(self) -> str:
        return f"{self.organization}: {self.get_state_display()}"
