"""A machine caller, with a hashed key and scopes."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a service client may be allowed to do (contract, section 3)."""

    CREDENTIALS_READ = "credentials:read", _("see credentials, never a secret")
    CREDENTIALS_WRITE = "credentials:write", _("store, replace and disconnect credentials")
    CREDENTIALS_LEND = "credentials:lend", _("borrow credentials")
    CONNECT_CREATE = "connect:create", _("make connect links")
    IMPORTS_READ = "imports:read", _("see imports and libraries")
    IMPORTS_WRITE = "imports:write", _("start imports")
    ORGANIZATIONS_READ = "organizations:read", _("see the organization register")
    EVENTS_READ = "events:read", _("read the audit trail")
    USERS_WRITE = "users:write", _("create and offboard users")


class ServiceClient(models.Model):
    """A machine caller of the API.

    ``key_hash`` is HMAC-SHA256 of the whole key under the API-key pepper. ``hosts`` lists host slugs and
    ``allowed_networks`` CIDR blocks; an empty list leaves either open.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    public_id = models.CharField(_("public id"), max_length=24, unique=True, editable=False)
    key_hash = models.BinaryField(max_length=32, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    hosts = models.JSONField(_("hosts"), default=list, blank=True)
    allowed_networks = models.JSONField(_("allowed networks"), default=list, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("service client")
        verbose_name_plural = _("service clients")

    def __str__(self) -> str:
        return self.name

    def is_active(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
