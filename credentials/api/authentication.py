"""Who calls: a service client by its key, or a signed-in person by the browser's session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from credentials.errors import NotAuthenticated
from credentials.models import ServiceClient
from credentials.services import clients
from credentials.services.audit import Actor
from credentials.services.circumstances import actor_of_user, address_of, request_id_of
from credentials.services.clients import PresentedKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whoever is behind a request: a service client or a signed-in person, never both.

    Views find it as ``request.auth``.
    """

    actor: Actor
    client: ServiceClient | None = None
    user: Any = None

    @property
    def id(self) -> str:
        """What remembers this caller's idempotency keys; a renewed key is the same caller."""
        return f"{self.actor.kind}:{self.actor.id}"

    @property
    def hosts(self) -> list[str]:
        """The slugs of the only hosts this caller may see, empty where it may see all."""
        return self.client.hosts if self.client else []


def client_caller(presented: PresentedKey, meta: Mapping[str, Any]) -> Caller:
    """The client behind a key; raises as :func:`credentials.services.clients.authenticate`."""
    address = address_of(meta)
    client = clients.authenticate(presented, address=address, now=timezone.now())
    actor = clients.actor_of(client, request_id=request_id_of(meta), address=address)
    return Caller(actor=actor, client=client)


class ServiceClientAuthentication(BaseAuthentication):
    """``Authorization: Bearer fk_<public id>_<secret>``. A key that is sent must be right, whatever
    session comes with it."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        presented = clients.presented_in(request.META)
        if presented is None:
            return None
        return AnonymousUser(), client_caller(presented, request.META)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BrowserSessionAuthentication(SessionAuthentication):
    """A signed-in person's session; every call that changes something needs the CSRF token too."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user, _nothing = found
        return user, Caller(actor=actor_of_user(request.META, user), user=user)


def caller_of(request: Request) -> Caller:
    """The caller of an authenticated request; raises NotAuthenticated where there is none."""
    if not isinstance(request.auth, Caller):
        raise NotAuthenticated("Send a service key as a bearer token, or sign in.")
    return request.auth
