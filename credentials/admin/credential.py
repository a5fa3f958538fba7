"""Credentials: what is known of them, and who used them. Never a secret."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from credentials.admin.read_only import ReadOnlyAdmin, actor_of
from credentials.models import Credential, Lease, OrganizationAccess
from credentials.services import verify

# One by one, while the page waits.
_MOST_CHECKS = 20


class OrganizationInline(admin.TabularInline[OrganizationAccess, Credential]):
    """What each organization answers."""

    model = OrganizationAccess
    fields = ("name", "state", "evidence", "first_seen_at", "checked_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Who connected which account where."""

    list_display = (
        "account",
        "owner",
        "host",
        "kind",
        "status",
        "expires_at",
        "last_verified_at",
        "last_used",
    )
    list_filter = ("status", "host", "kind")
    search_fields = ("owner__username", "account_name", "label")
    list_select_related = ("owner", "host")
    date_hierarchy = None
    inlines = (OrganizationInline,)
    actions = ("check_now",)
    fields = (
        ("owner", "host"),
        ("kind", "label"),
        ("status", "status_detail"),
        ("account_id", "account_name"),
        "scopes",
        "missing_scopes",
        "oauth_client_id",
        ("expires_at", "last_verified_at"),
        ("created_at", "disconnected_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        last = (
            Lease.objects.filter(credential=OuterRef("pk")).order_by("-created_at").values("created_at")[:1]
        )
        found: QuerySet[Any] = super().get_queryset(request).annotate(last_used_at=Subquery(last))
        return found

    @admin.display(description=_("account"))
    def account(self, credential: Credential) -> str:
        return credential.account_name or str(_("identity not readable"))

    @admin.display(description=_("last used"))
    def last_used(self, credential: Any) -> Any:
        return credential.last_used_at

    @admin.action(description=_("Check the selected credentials now"), permissions=["view"])
    def check_now(self, request: HttpRequest, chosen: QuerySet[Credential]) -> None:
        for credential in chosen[:_MOST_CHECKS]:
            if credential.is_connected:
                verify.verify(actor=actor_of(request), credential=credential, purpose="check by staff")
        self.message_user(request, _("At most %d were checked.") % _MOST_CHECKS)
