"""Everything is denied unless a view names what it allows."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from credentials.errors import NotAuthenticated
from credentials.models import Scope, ServiceClient
from credentials.services import clients
from credentials.services.clients import PresentedKey


class Denied(BasePermission):
    """The default: a view that names no permission serves nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class StaffOnly(BasePermission):
    """Signed-in staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_active and request.user.is_staff


class KnownCaller(BasePermission):
    """Any client with a valid key, and any signed-in person."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, ServiceClient) and not request.user.is_authenticated:
            raise NotAuthenticated("Send a service key, or sign in.")
        return True


class ScopeOrOwner(KnownCaller):
    """A client with the scope the view names for this method, or a person, for what is theirs.

    The view's ``scopes`` maps lower-case methods to scopes; a method that is not named is denied.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        super().has_permission(request, view)
        scope: Scope | None = view.scopes.get(str(request.method).lower())
        if scope is None:
            return False
        if isinstance(request.auth, ServiceClient):
            clients.require_scope(request.auth, scope)
        return True


class LendingClient(BasePermission):
    """A client that may borrow. People never borrow over the API."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, PresentedKey):
            return True  # services.lend checks the key and its scope in its own statement
        if not isinstance(request.auth, ServiceClient):
            raise NotAuthenticated("Only a service key can borrow a credential.")
        clients.require_scope(request.auth, Scope.CREDENTIALS_LEND)
        return True
