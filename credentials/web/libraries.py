"""A person's libraries: their versions, what is in each, and what changed between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credentials.errors import (
    AddressInvalid,
    Conflict,
    InputInvalid,
    NotFound,
    QuotaExceeded,
    StorageUnavailable,
    TooManyRequests,
)
from credentials.forms import LibraryNameForm
from credentials.models import Library, Snapshot, Source
from credentials.services.circumstances import actor_of_user
from credentials.services.imports import requests
from credentials.services.libraries import libraries as service
from credentials.services.libraries import snapshots
from credentials.sources.snapshot import Entry, Manifest
from credentials.web import import_progress, library_queries
from credentials.web.import_progress import badge_of, remarks_of

PER_PAGE = 200
_LIBRARIES_PER_PAGE = 50
_VERSIONS_PER_PAGE = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFolder:
    """One folder of a snapshot: ``path`` is empty at the top, ``files`` counts all that is below."""

    path: str
    name: str
    files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFile:
    """One file in the folder that is shown."""

    name: str
    entry: Entry


@never_cache
@require_safe
def libraries(request: HttpRequest) -> HttpResponse:
    """All libraries, newest first."""
    page = Paginator(library_queries.own_libraries(request.user), _LIBRARIES_PER_PAGE).get_page(
        request.GET.get("page")
    )
    shown = [(one, badge_of(one.last_state) if _is_news(one.last_state) else None) for one in page]
    return render(request, "credentials/libraries.html", {"page": page, "libraries": shown})


def _is_news(state: str | None) -> bool:
    """That the last import succeeded shows by itself."""
    return bool(state) and state != "succeeded"


@never_cache
@require_safe
def library(request: HttpRequest, library_id: UUID) -> HttpResponse:
    """One library with its versions."""
    return _library(request, library_queries.own_library(request.user, library_id), LibraryNameForm())


def _library(
    request: HttpRequest, shown: Library, form: LibraryNameForm, *, status: int = 200
) -> HttpResponse:
    if not form.is_bound:
        form.initial = {"name": shown.name}
    rows = library_queries.snapshots_of(shown)
    page = Paginator(rows, _VERSIONS_PER_PAGE).get_page(request.GET.get("page"))
    last = library_queries.imports_of(shown).first()
    context = {
        "library": shown,
        "page": page,
        "newest": rows.first(),
        "last": last,
        "badge": badge_of(last.state) if last is not None and _is_news(last.state) else None,
        "can_update": rows.filter(source=Source.GIT).exists(),
        "form": form,
    }
    return render(request, "credentials/library.html", context, status=status)


@never_cache
@require_POST
def rename(request: HttpRequest, library_id: UUID) -> HttpResponse:
    """Give a library another name."""
    chosen = library_queries.own_library(request.user, library_id)
    form = LibraryNameForm(request.POST)
    if form.is_valid():
        try:
            service.rename(
                actor=actor_of_user(request.META, request.user),
                library=chosen,
                name=form.cleaned_data["name"],
            )
        except (InputInvalid, Conflict) as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, _("The library has its new name."))
            return redirect("library", library_id=chosen.pk)
    return _library(request, chosen, form, status=422)


@never_cache
@require_POST
def update(request: HttpRequest, library_id: UUID) -> HttpResponse:
    """Import a library once more from where it came."""
    chosen = library_queries.own_library(request.user, library_id)
    try:
        job = requests.update(
            actor=actor_of_user(request.META, request.user), library=chosen, now=timezone.now()
        )
    except QuotaExceeded as error:
        messages.warning(request, str(import_progress.quota_text(error)))
    except (AddressInvalid, Conflict, InputInvalid, TooManyRequests) as error:
        messages.warning(request, str(error))
    else:
        return redirect("import", import_id=job.pk)
    return redirect("library", library_id=chosen.pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, library_id: UUID) -> HttpResponse:
    """GET: what goes. POST: it goes."""
    chosen = library_queries.own_library(request.user, library_id)
    if request.method == "POST":
        try:
            service.remove(actor=actor_of_user(request.META, request.user), library=chosen)
        except Conflict as error:
            messages.warning(request, str(error))
            return redirect("library", library_id=chosen.pk)
        messages.success(request, _("The library was removed."))
        return redirect("libraries")
    versions = library_queries.snapshots_of(chosen).count()
    return render(request, "credentials/library_remove.html", {"library": chosen, "versions": versions})


@never_cache
@require_safe
def snapshot(request: HttpRequest, library_id: UUID, number: int) -> HttpResponse:
    """One version: where it came from, and its files folder by folder."""
    chosen = library_queries.own_library(request.user, library_id)
    shown = snapshots.numbered(chosen, number)
    folder = request.GET.get("folder", "").strip("/")
    folders, files = inside(snapshots.manifest_of(shown), folder)
    if folder and not folders and not files:
        raise NotFound("There is no such folder.")
    page = Paginator([*folders, *files], PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "library": chosen,
        "snapshot": shown,
        "folder": folder,
        "above": _above(folder),
        "folders": [one for one in page if isinstance(one, ShownFolder)],
        "files": [one for one in page if isinstance(one, ShownFile)],
        "page": page,
        "remarks": remarks_of(shown),
    }
    return render(request, "credentials/snapshot.html", context)


def inside(manifest: Manifest, folder: str) -> tuple[list[ShownFolder], list[ShownFile]]:
    """The folders and files right in ``folder``, which is empty for the top."""
    prefix = f"{folder}/" if folder else ""
    counts: dict[str, int] = {}
    files: list[ShownFile] = []
    for entry in manifest.entries:
        if not entry.path.startswith(prefix):
            continue
        name, slash, _rest = entry.path[len(prefix) :].partition("/")
        if slash:
            counts[name] = counts.get(name, 0) + 1
        else:
            files.append(ShownFile(name=name, entry=entry))
    folders = [ShownFolder(path=f"{prefix}{name}", name=name, files=count) for name, count in counts.items()]
    return folders, files


def _above(folder: str) -> Sequence[tuple[str, str]]:
    """Each folder on the way, as its name and its path."""
    parts = folder.split("/") if folder else []
    return [(name, "/".join(parts[: end + 1])) for end, name in enumerate(parts)]


@never_cache
@require_safe
def compare(request: HttpRequest, library_id: UUID) -> HttpResponse:
    """What changed between two versions; without ``from`` and ``to``, between the last two."""
    chosen = library_queries.own_library(request.user, library_id)
    numbers = list(chosen.snapshots.order_by("-number").values_list("number", flat=True))
    context: dict[str, object] = {"library": chosen, "numbers": numbers}
    if len(numbers) > 1:
        before = _number(request.GET.get("from"), default=numbers[1])
        after = _number(request.GET.get("to"), default=numbers[0])
        old, new = (snapshots.numbered(chosen, number) for number in (before, after))
        context |= {"before": old, "after": new, **_difference(old, new)}
    return render(request, "credentials/compare.html", context)


def _number(text: str | None, *, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) <= 9 else default  # noqa: PLR2004  # what a column holds


def _difference(old: Snapshot, new: Snapshot) -> dict[str, object]:
    """The first of each kind, and how many there are."""
    found = snapshots.difference_of(old, new)
    kinds = {"added": found.added, "removed": found.removed, "changed": found.changed, "moved": found.moved}
    return {
        "is_same": found.is_empty,
        "counts": {name: len(entries) for name, entries in kinds.items()},
        **{name: entries[:PER_PAGE] for name, entries in kinds.items()},
        "most": PER_PAGE,
    }


@never_cache
@require_safe
def archive(request: HttpRequest, library_id: UUID, number: int) -> HttpResponseBase:
    """The version's ZIP."""
    chosen = library_queries.own_library(request.user, library_id)
    shown = snapshots.numbered(chosen, number)
    try:
        opened = snapshots.open_archive(actor=actor_of_user(request.META, request.user), snapshot=shown)
    except StorageUnavailable as error:
        messages.warning(request, str(error))
        return redirect("snapshot", library_id=chosen.pk, number=number)
    response = FileResponse(opened, content_type="application/zip")
    response["Content-Disposition"] = disposition(chosen.name, number)
    response["X-Content-Type-Options"] = "nosniff"
    return response


def disposition(name: str, number: int) -> str:
    """What the file is called where it is saved (RFC 6266)."""
    plain = f"{slugify(name) or 'library'}-{number}.zip"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(f'{name}-{number}.zip', safe='')}"
