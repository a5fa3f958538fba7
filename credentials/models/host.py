"""One installation of a provider, with its base URLs, OAuth client and policy."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.crypto.envelope import Binding


class Host(models.Model):
    """A Git host people may connect accounts at.

    ``web_origin`` is ``scheme://host[:port]`` of ``web_url``; repository addresses are matched by it.
    The OAuth client secret is an envelope; it is never shown again. Since ``client_refused_since`` the host
    refuses it (``invalid_client``): nothing can be refreshed until an administrator sets the right one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("slug"), max_length=50, unique=True)
    provider = models.CharField(_("provider"), max_length=30)
    name = models.CharField(_("name"), max_length=100)
    web_url = models.URLField(_("web address"), max_length=300)
    api_url = models.URLField(_("API address"), max_length=300)
    web_origin = models.CharField(max_length=300, editable=False, db_index=True)
    allow_private_network = models.BooleanField(
        _("may be on a private network"),
        default=False,
        help_text=_("Lets requests go to loopback and private addresses; never to link-local ones."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    client_id = models.CharField(_("OAuth client id"), max_length=200, blank=True)
    client_secret_envelope = models.BinaryField(null=True, editable=False)
    client_secret_generation = models.PositiveBigIntegerField(default=0, editable=False)
    oauth_scopes = models.JSONField(
        _("OAuth scopes"), default=list, blank=True, help_text=_("Empty: the least that an import needs.")
    )
    client_refused_since = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("host")
        verbose_name_plural = _("hosts")

    def __str__(self) -> str:
        return self.name

    @property
    def binding_key(self) -> str:
        """What an envelope is bound to: moving a token to another address makes it unreadable."""
        return host_binding(self.provider, self.web_url, self.api_url)

    @property
    def offers_oauth(self) -> bool:
        return bool(self.client_id and self.client_secret_envelope)

    def client_secret_binding(self, generation: int) -> Binding:
        return Binding(
            model="credentials.host",
            row=self.pk,
            field="client_secret",
            owner=f"host:{self.pk}",
            host=self.binding_key,
            generation=generation,
        )


def host_binding(provider: str, web_url: str, api_url: str) -> str:
    """The part of an envelope's binding that names its host (the lend path holds no model)."""
    return "|".join((provider, web_url, api_url))
