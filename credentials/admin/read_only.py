"""What the admin may only look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from credentials.admin.guarded import GuardedAdmin

if TYPE_CHECKING:
    AnyInline = admin.TabularInline[Any, Any]
else:  # Django's class takes no type argument at run time
    AnyInline = admin.TabularInline


class ReadOnlyAdmin(GuardedAdmin):
    """Nobody adds or changes by a form, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyRows(AnyInline):
    """Rows beside the object they belong to, for reading only."""

    template = "admin/credentials/read_only_rows.html"
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
