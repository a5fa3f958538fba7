"""Libraries: whose they are, and which snapshots they consist of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from credentials.admin.display import moment
from credentials.admin.read_only import ReadOnlyAdmin, ReadOnlyRows
from credentials.models import Library, Snapshot

# Rows of one library's page, the newest.
MOST_SHOWN = 200


class SnapshotInline(ReadOnlyRows):
    """The library's snapshots, the newest first."""

    model = Snapshot
    fields = ("version", "source", "repository_url", "ref", "file_name", "brought_by", "when")
    readonly_fields = fields
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """The newest of this library, without their trees."""
        match = request.resolver_match
        shown = match.kwargs.get("object_id") if match else None
        newest = Snapshot.objects.filter(library=shown).order_by("-number").values("pk")
        every: QuerySet[Snapshot] = super().get_queryset(request)
        return every.filter(pk__in=newest[:MOST_SHOWN]).select_related("library")

    @admin.display(description=gettext_lazy("number"))
    def version(self, snapshot: Snapshot) -> SafeString:
        address = reverse("admin:credentials_snapshot_change", args=[snapshot.pk])
        return format_html('<a href="{}">{}</a>', address, snapshot.number)

    @admin.display(description=gettext_lazy("created"))
    def when(self, snapshot: Snapshot) -> str:
        return moment(snapshot.created_at)


@admin.register(Library)
class LibraryAdmin(ReadOnlyAdmin):
    """Every library. Their owners rename and remove them; what is in them is shown to nobody here."""

    list_display = ("name", "owner_name", "snapshots_kept", "newest", "when")
    list_filter = ("created_at",)
    search_fields = ("name", "=owner__username")
    search_help_text = gettext_lazy("A part of its name, or its owner.")
    sortable_by = ("name", "when")
    inlines = (SnapshotInline,)
    actions = None
    subject_kind = "library"
    fields = ("name", "owner_name", "snapshots_kept", "newest", "when")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Library]:
        """Every library with its owner's name and how many snapshots it has."""
        every: QuerySet[Library] = super().get_queryset(request)
        return (
            every.select_related("owner")
            .defer("owner__password")
            .annotate(kept=Count("snapshots"), latest=Max("snapshots__created_at"))
        )

    @admin.display(description=gettext_lazy("owner"))
    def owner_name(self, library: Library) -> str:
        return library.owner.get_username()

    @admin.display(description=gettext_lazy("snapshots"))
    def snapshots_kept(self, library: Any) -> int:
        return int(library.kept)

    @admin.display(description=gettext_lazy("newest snapshot"))
    def newest(self, library: Any) -> str:
        return moment(library.latest)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def when(self, library: Library) -> str:
        return moment(library.created_at)
