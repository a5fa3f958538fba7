"""Organizations: which ones are known at each host, and what each answers to whom."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.display import access_badge, moment
from credentials.admin.filters import HostFilter
from credentials.admin.read_only import ReadOnlyAdmin, ReadOnlyRows
from credentials.models import AccessState, Organization, OrganizationAccess

# Rows of one organization's page; those that changed last. A large one is in more people's hands than that.
MOST_SHOWN = 200


class AccessInline(ReadOnlyRows):
    """What the organization answers through each credential, what changed last first."""

    model = OrganizationAccess
    fields = ("owner", "account", "answer", "evidence", "since", "checked_at")
    readonly_fields = fields
    ordering = ("-since",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrganizationAccess]:
        """The latest of this organization, without anything sealed."""
        match = request.resolver_match
        shown = match.kwargs.get("object_id") if match else None
        latest = OrganizationAccess.objects.filter(organization=shown).order_by("-since").values("pk")
        every: QuerySet[OrganizationAccess] = super().get_queryset(request)
        return (
            every.filter(pk__in=latest[:MOST_SHOWN])
            .select_related("credential__owner", "credential__host")
            .defer(
                "credential__access_envelope",
                "credential__refresh_envelope",
                "credential__fingerprint",
                "credential__owner__password",
                "credential__host__client_secret_envelope",
            )
        )

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, access: OrganizationAccess) -> str:
        return access.credential.owner.get_username()

    @admin.display(description=gettext_lazy("account"))
    def account(self, access: OrganizationAccess) -> str:
        credential = access.credential
        if credential.account_name:
            return credential.account_name
        return f"#{credential.account_id}" if credential.account_id else _("unknown")

    @admin.display(description=gettext_lazy("state"))
    def answer(self, access: OrganizationAccess) -> SafeString:
        return access_badge(access.state)


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    """Every organization that a credential listed, or that an address named."""

    list_display = ("name", "key", "host", "lets_in", "others", "first_seen", "last_named")
    list_filter = (HostFilter,)
    search_fields = ("name", "key")
    search_help_text = gettext_lazy("A part of its name.")
    inlines = (AccessInline,)
    actions = None
    fields = ("name", "key", "host", "lets_in", "others", "first_seen", "last_named")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        every: QuerySet[Organization] = super().get_queryset(request)
        accessible = Q(accesses__state=AccessState.ACCESSIBLE)
        return (
            every.select_related("host")
            .defer("host__client_secret_envelope")
            .annotate(
                open_count=Count("accesses", filter=accessible),
                other_count=Count("accesses", filter=~accessible & Q(accesses__isnull=False)),
            )
        )

    @admin.display(description=gettext_lazy("lets in"), ordering="open_count")
    def lets_in(self, organization: Any) -> int:
        return int(organization.open_count)

    @admin.display(description=gettext_lazy("other answers"), ordering="other_count")
    def others(self, organization: Any) -> int:
        return int(organization.other_count)

    @admin.display(description=gettext_lazy("first seen"), ordering="first_seen_at")
    def first_seen(self, organization: Organization) -> str:
        return moment(organization.first_seen_at)

    @admin.display(description=gettext_lazy("last asked for"), ordering="last_named_at")
    def last_named(self, organization: Organization) -> str:
        return moment(organization.last_named_at)
