"""What the pages of libraries and imports read, each in a number of statements that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery

from credentials.errors import NotFound
from credentials.models import Import, Library, Snapshot


def own_libraries(user: Any) -> QuerySet[Any]:
    """The user's libraries, newest first, each with ``versions``, ``last_at`` and ``last_state``."""
    last = Import.objects.filter(library=OuterRef("pk")).order_by("-created_at")
    newest = Snapshot.objects.filter(library=OuterRef("pk")).order_by("-number")
    return (
        Library.objects.filter(owner=user)
        .annotate(
            versions=Count("snapshots"),
            last_at=Subquery(newest.values("created_at")[:1]),
            last_source=Subquery(newest.values("source")[:1]),
            last_address=Subquery(newest.values("repository_url")[:1]),
            last_file=Subquery(newest.values("file_name")[:1]),
            last_state=Subquery(last.values("state")[:1]),
            last_import=Subquery(last.values("pk")[:1]),
        )
        .order_by("-created_at")
    )


def names_of_libraries(user: Any) -> Sequence[str]:
    """What the user's libraries are called."""
    return list(Library.objects.filter(owner=user).order_by("name").values_list("name", flat=True)[:200])


def own_library(user: Any, library_id: UUID) -> Library:
    """One of the user's libraries; raises NotFound for anybody else's."""
    found = Library.objects.select_related("owner").filter(pk=library_id, owner=user).first()
    if found is None:
        raise NotFound("There is no such library.")
    return found


def own_import(user: Any, import_id: UUID) -> Import:
    """One of the user's imports; raises NotFound for anybody else's."""
    rows = Import.objects.select_related("library__owner", "snapshot__tree").defer("snapshot__tree__manifest")
    found = rows.filter(pk=import_id, library__owner=user).first()
    if found is None:
        raise NotFound("There is no such import.")
    return found


def snapshots_of(library: Library) -> QuerySet[Snapshot]:
    """A library's snapshots, the newest first."""
    return library.snapshots.select_related("tree").defer("tree__manifest").order_by("-number")


def imports_of(library: Library) -> QuerySet[Import]:
    """What was asked for lately, the newest first."""
    return library.imports.select_related("snapshot").order_by("-created_at")
