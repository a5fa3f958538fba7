"""Libraries and their snapshots: whose, from where, how large. Never what is in them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from credentials.admin.display import EMPTY, moment
from credentials.admin.paging import CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin, ReadOnlyRows
from credentials.models import Library, Snapshot

# Rows of one library's page; CREDENTIALS_SNAPSHOTS_KEPT may allow many more.
MOST_SHOWN = 200


class SnapshotRows(ReadOnlyRows):
    """The versions of a library, the newest first."""

    model = Snapshot
    fields = ("version", "came", "origin", "commit", "subdirectory", "brought_by", "files", "size", "digest")
    readonly_fields = fields
    max_num = 0
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """The newest of this library, without the lists of their files."""
        match = request.resolver_match
        shown = match.kwargs.get("object_id") if match else None
        newest = Snapshot.objects.filter(library=shown).order_by("-number").values("pk")
        every: QuerySet[Snapshot] = super().get_queryset(request)
        return every.filter(pk__in=newest[:MOST_SHOWN]).select_related("tree").defer("tree__manifest")

    @admin.display(description=gettext_lazy("number"))
    def version(self, snapshot: Snapshot) -> SafeString:
        address = reverse("admin:credentials_snapshot_change", args=[snapshot.pk])
        return format_html('<a href="{}">{}</a>', address, snapshot.number)

    @admin.display(description=gettext_lazy("created"))
    def came(self, snapshot: Snapshot) -> str:
        return moment(snapshot.created_at)

    @admin.display(description=gettext_lazy("from"))
    def origin(self, snapshot: Snapshot) -> str:
        return snapshot.repository_url or snapshot.file_name or EMPTY

    @admin.display(description=gettext_lazy("files"))
    def files(self, snapshot: Snapshot) -> int:
        return snapshot.tree.files

    @admin.display(description=gettext_lazy("size"))
    def size(self, snapshot: Snapshot) -> str:
        return str(filesizeformat(snapshot.tree.bytes))

    @admin.display(description=gettext_lazy("digest"))
    def digest(self, snapshot: Snapshot) -> str:
        return snapshot.tree.digest


@admin.register(Library)
class LibraryAdmin(ReadOnlyAdmin):
    """What people have imported."""

    list_display = ("name", "owner_name", "versions", "last", "when")
    list_filter = ("created_at",)
    search_fields = ("=owner__username", "name")
    search_help_text = gettext_lazy("A person, or a part of a library's name.")
    sortable_by = ("when",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = None
    inlines = (SnapshotRows,)
    fields = ("name", "owner_name", "when")
    readonly_fields = fields
    subject_kind = "library"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Every library with its owner's name and how many versions it has."""
        every: QuerySet[Any] = super().get_queryset(request)
        whose = every.select_related("owner").defer("owner__password")
        counted: QuerySet[Any] = whose.annotate(count=Count("snapshots"), newest=Max("snapshots__created_at"))
        return counted

    @admin.display(description=gettext_lazy("owner"))
    def owner_name(self, library: Library) -> str:
        return library.owner.get_username()

    @admin.display(description=gettext_lazy("versions"))
    def versions(self, library: Any) -> int:
        return int(library.count)

    @admin.display(description=gettext_lazy("newest version"))
    def last(self, library: Any) -> str:
        return moment(library.newest)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def when(self, library: Library) -> str:
        return moment(library.created_at)
