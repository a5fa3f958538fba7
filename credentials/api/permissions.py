"""What a caller may do: one function for every route and both ways of authenticating.

A view says in ``needs`` what each of its methods asks for. A method it does not name, and a view without
``needs``, let nobody in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from credentials.api.authentication import Caller, caller_of
from credentials.errors import PermissionRefused
from credentials.models import Scope
from credentials.services import clients


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What one method asks of its caller.

    ``scope`` is what a service client must have, None where any key will do. ``people`` says that a
    signed-in person may call it too, and then reaches nothing but what is their own.
    """

    scope: Scope | None
    people: bool = False


def authorize(caller: Caller, need: Need) -> None:
    """Raises PermissionRefused where ``caller`` may not do what asks for ``need``."""
    if caller.client is None:
        if not need.people:
            raise PermissionRefused("This call is for service clients only.")
    elif need.scope is not None:
        clients.require_scope(caller.client, need.scope)


class Allowed(BasePermission):
    """Asks :func:`authorize` with what the view needs for this method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = caller_of(request)
        needs: Mapping[str, Need] = view.needs
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in needs:
            raise MethodNotAllowed(method)
        authorize(caller, needs[method])
        return True


class Denied(BasePermission):
    """What holds where a view says nothing: nobody may."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller_of(request)
        return False


class StaffOnly(BasePermission):
    """Signed-in staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = caller_of(request)
        if caller.user is None or not caller.user.is_staff:
            raise PermissionRefused("This page is for staff.")
        return True
