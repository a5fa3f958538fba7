"""Snapshots: where each came from, and how large it is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from credentials.admin.display import listing, moment
from credentials.admin.filters import ImportHostFilter
from credentials.admin.paging import REACH, CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import Snapshot
from credentials.verdicts.refusals import Remark


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    """Every version of every library. Its files are not shown: they are its owner's."""

    list_display = ("__str__", "owner_name", "source", "origin", "ref", "files", "size", "when")
    list_filter = ("source", ImportHostFilter, "created_at")
    search_fields = ("library__name", "=library__owner__username", "repository_url", "=commit", "file_name")
    search_help_text = format_lazy(
        gettext_lazy(
            "A library, its owner, a part of an address or of a file's name, or a whole commit. "
            "Lists reach back {reach} snapshots; narrow them by a filter to see older ones."
        ),
        reach=REACH,
    )
    sortable_by = ("when",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = None
    fields = (
        *("library", "number", "owner_name", "source", "repository_url", "host", "ref", "commit"),
        *("subdirectory", "file_name", "brought_by", "files", "size", "digest", "left_out", "when"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Every snapshot with its owner's name, without the list of its files."""
        every: QuerySet[Snapshot] = super().get_queryset(request)
        return every.select_related("library__owner", "tree").defer(
            "library__owner__password", "tree__manifest"
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """A snapshot's events are told of its library."""
        return {"subject_kind": "library", "subject_id": str(found.library_id)}

    @admin.display(description=gettext_lazy("owner"))
    def owner_name(self, snapshot: Snapshot) -> str:
        return snapshot.library.owner.get_username()

    @admin.display(description=gettext_lazy("from"))
    def origin(self, snapshot: Snapshot) -> str:
        return snapshot.repository_url or snapshot.file_name

    @admin.display(description=gettext_lazy("files"))
    def files(self, snapshot: Snapshot) -> int:
        return snapshot.tree.files

    @admin.display(description=gettext_lazy("size"))
    def size(self, snapshot: Snapshot) -> str:
        return filesizeformat(snapshot.tree.bytes)

    @admin.display(description=gettext_lazy("digest"))
    def digest(self, snapshot: Snapshot) -> str:
        return snapshot.tree.digest

    @admin.display(description=gettext_lazy("left out, or taken otherwise"))
    def left_out(self, snapshot: Snapshot) -> str:
        """How often each reason occurs among the remarks that are kept; not where."""
        reasons = [str(remark.get("reason", "")) for remark in snapshot.remarks]
        return listing(f"{kind}: {reasons.count(kind)}" for kind in Remark if kind in reasons)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def when(self, snapshot: Snapshot) -> str:
        return moment(snapshot.created_at)
