"""django-allauth's OAuth plumbing, pointed at a Host row.

allauth's own providers fix one base URL per process, ask for scopes a request may widen, and put
tokens into query strings. This one provider serves every host: addresses, client and scopes come from
the row, PKCE (S256) is always on, and each host has a redirect URI of its own.
"""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from django.http import HttpRequest
from django.urls import reverse

from credentials.models import Host
from credentials.services import hosts, oauth


class HostAdapter(OAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """The addresses of one host, as allauth asks for them."""

    def __init__(self, request: HttpRequest, host: Host) -> None:
        super().__init__(request)
        self.host = host
        self.provider_id = host.slug
        endpoints = hosts.provider_of(host).oauth()
        self.authorize_url = endpoints.authorize_url
        self.access_token_url = endpoints.token_url
        self.scope_delimiter = endpoints.scope_delimiter

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """A redirect URI per host, so that no host can answer for another (RFC 9700, section 4.4)."""
        return request.build_absolute_uri(reverse("connect_callback", kwargs={"slug": self.host.slug}))


class HostProvider(OAuth2Provider):  # type: ignore[misc]  # allauth ships no types
    """One host, as allauth's provider. It only ever connects; it signs nobody in."""

    id = "forgekey"
    name = "Git host"

    def __init__(self, request: HttpRequest, host: Host) -> None:
        # The client secret stays in its envelope; services.oauth opens it for the one call that needs it.
        app = SocialApp(provider=self.id, provider_id=host.slug, name=host.name, client_id=host.client_id)
        super().__init__(request, app=app)
        self.host = host

    def get_oauth2_adapter(self, request: HttpRequest) -> HostAdapter:
        return HostAdapter(request, self.host)

    def get_pkce_params(self) -> dict[str, Any]:
        """Always: a stolen code is worth nothing without the verifier (RFC 7636)."""
        self.app.settings = {"oauth_pkce_enabled": True}
        params: dict[str, Any] = super().get_pkce_params()
        return params

    def get_scope(self) -> list[str]:
        return list(oauth.scopes_of(self.host))

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """What the address asks for is nobody's business."""
        return self.get_scope()

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, Any]:
        """allauth would take them from the address, ``redirect_uri`` included."""
        return {}
