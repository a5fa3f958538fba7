"""What the admin may only look at."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from credentials.admin.guarded import GuardedAdmin


class ReadOnlyAdmin(GuardedAdmin):
    """Nobody adds or changes by a form, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
