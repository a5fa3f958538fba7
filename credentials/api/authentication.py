"""Who calls: a service client by its key, or a signed-in person by the session."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from credentials.errors import NotAuthenticated
from credentials.models import ServiceClient
from credentials.services import clients
from credentials.services.circumstances import address_of
from credentials.services.clients import PresentedKey

_SCHEME = "Bearer"


def presented_key(request: Request) -> PresentedKey | None:
    """The well-formed key of the ``Authorization`` header; None where there is no such header.

    Raises NotAuthenticated for anything else in it (RFC 6750 section 2.1).
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, text = header.partition(" ")
    if scheme.lower() != _SCHEME.lower():
        raise NotAuthenticated("Send the service key as: Authorization: Bearer fk_…")
    return clients.parse_key(text.strip())


class ServiceClientAuthentication(BaseAuthentication):
    """``Authorization: Bearer fk_…``; ``request.auth`` is then the :class:`ServiceClient`."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ServiceClient] | None:
        key = presented_key(request)
        if key is None:
            return None
        address = address_of(request.META)
        return AnonymousUser(), clients.authenticate(key, address=address, now=timezone.now())

    def authenticate_header(self, request: Request) -> str:
        return _SCHEME


class PresentedKeyAuthentication(BaseAuthentication):
    """Only reads the key: the lend path checks it in the same statement that finds the credential."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, PresentedKey] | None:
        key = presented_key(request)
        return None if key is None else (AnonymousUser(), key)

    def authenticate_header(self, request: Request) -> str:
        return _SCHEME


class BrowserSessionAuthentication(SessionAuthentication):
    """The session cookie, with CSRF enforced."""

    def authenticate_header(self, request: Request) -> Any:
        return _SCHEME
