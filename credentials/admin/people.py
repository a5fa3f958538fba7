"""People: Django's own pages, without password hashes, and with every change in the audit trail."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.guarded import MAY_SEE_TRAIL, TRAIL, actor_of
from credentials.admin.offboarding import OffboardAction
from credentials.models import Credential, Lease, Status
from credentials.services import audit, departures

if TYPE_CHECKING:
    AnyUserAdmin = UserAdmin[User]
else:  # Django's class takes no type argument at run time
    AnyUserAdmin = UserAdmin

if admin.site.is_registered(User):
    admin.site.unregister(User)

# What makes a person powerful: only a superuser hands it out.
_POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class PersonAdmin(OffboardAction, AnyUserAdmin):
    """The people who sign in here."""

    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    # Django's two-box picker labels icons that may carry no label; a plain list can be used by everyone.
    filter_horizontal = ()
    actions = ("offboard",)
    delete_confirmation_template = "admin/credentials/delete_person.html"
    readonly_fields = ("password_state", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password_state")}),
        (gettext_lazy("About"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Rights"), {"fields": ("is_active", *_POWERS)}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without deletion in bulk: each person is looked at first."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = () if request.user.is_superuser else _POWERS
        return (*super().get_readonly_fields(request, obj), *powers)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_delete_permission(request, obj)

    def _may_touch(self, request: HttpRequest, obj: Any) -> bool:
        """Who may change people could otherwise set a superuser's password and become one."""
        return request.user.is_superuser or not getattr(obj, "is_superuser", False)

    @admin.display(description=gettext_lazy("password"))
    def password_state(self, person: User) -> str:
        if not person.pk:
            return "-"
        word = _("set") if person.has_usable_password() else _("none: signs in some other way, or not at all")
        address = reverse("admin:auth_user_password_change", args=[person.pk])
        return format_html('{} (<a href="{}">{}</a>)', word, address, _("set another"))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What goes with the person, credential by credential; the rest in numbers."""
        held = Credential.objects.filter(owner__in=objs).exclude(status=Status.DISCONNECTED)
        told = [*(str(person) for person in objs)]
        for credential in held.select_related("host"):
            words = {"credential": credential, "host": credential.host.name}
            told.append(_("%(credential)s at %(host)s: revoked, then deleted") % words)
        every = Credential.objects.filter(owner__in=objs)
        counts = {
            str(Credential._meta.verbose_name_plural): every.count(),
            str(Lease._meta.verbose_name_plural): Lease.objects.filter(credential__in=every).count(),
        }
        return told, counts, set(), []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whoever is made inactive loses what is lent of theirs in the same transaction."""
        with departures.acting(actor_of(request)):
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """What the person holds is handed to revocation by the deletion itself, which records it, too."""
        with departures.acting(actor_of(request)):
            super().delete_model(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        person = kwargs.get("obj")
        context["may_offboard"] = (
            person is not None
            and person != request.user
            and self.has_change_permission(request, person)
            and self.has_offboard_permission(request)
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What happened to the person, as the trail tells it."""
        person = self.get_object(request, unquote(object_id))
        if person is not None and self.has_view_permission(request, person) and _sees_trail(request):
            asked = {"subject_kind": "user", "subject_id": str(person.pk)}
            return redirect(f"{reverse(TRAIL)}?{urlencode(asked)}")
        return super().history_view(request, object_id, extra_context)

    def log_addition(self, request: HttpRequest, obj: User, message: Any) -> LogEntry:
        _record("user.added", request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> LogEntry:
        """Called for the form and for the page that sets a password."""
        _record("user.changed", request, obj, changed=_fields_of(message))
        return super().log_change(request, obj, message)


def _sees_trail(request: HttpRequest) -> bool:
    return bool(request.user.has_perm(MAY_SEE_TRAIL))


def _record(action: str, request: HttpRequest, person: User, *, changed: Collection[str] = ()) -> None:
    data = {"changed": list(changed)} if changed else {}
    audit.record(action, actor=actor_of(request), subject=departures.subject_of(person), data=data)


def _fields_of(message: Any) -> list[str]:
    """The names of the fields in Django's account of a change; a bare text is the password page's."""
    if not isinstance(message, list):
        return ["password"]
    return [str(name) for part in message for name in part.get("changed", {}).get("fields", ())]
