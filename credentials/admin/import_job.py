"""Imports: who asked for what, how far each is, and why one failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.display import EMPTY, import_badge, kept, moment
from credentials.admin.filters import HostSlugFilter, ImportProblemFilter
from credentials.admin.guarded import actor_of
from credentials.admin.paging import REACH, CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.errors import AuditUnavailable, Conflict, NotFound
from credentials.models import Import, ProgressUnit
from credentials.services.imports import canceling

MOST_AT_ONCE = 50


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    """Every import that is still told of. Whoever may change libraries may stop one that is under way."""

    list_display = ("library_name", "owner_name", "source", "origin", "answer", "problem", "when", "lasted")
    list_filter = ("state", ImportProblemFilter, "source", HostSlugFilter, "created_at")
    search_fields = (
        *("library__name", "=library__owner__username", "=actor_name"),
        *("repository_url", "file_name", "=reference", "=commit"),
    )
    search_help_text = format_lazy(
        gettext_lazy(
            "A library, its owner, who asked, a part of an address or of a file's name, a reference, or a whole "
            "commit. Lists reach back {reach} imports; narrow them by a filter to see older ones."
        ),
        reach=REACH,
    )
    sortable_by = ("when",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = ("cancel",)
    page_actions = {"cancel": gettext_lazy("Stop this import")}
    fields = (
        *("library", "owner_name", "source", "repository_url", "host", "ref", "subdirectory", "unwrap"),
        *("file_name", "upload_size", "actor_name", "actor_kind", "reference", "answer", "stage", "progress"),
        *("problem", "commit", "snapshot", "is_unchanged", "attempts", "when", "started_at", "ended_at"),
        *("lasted", "cancel_requested"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Import]:
        """Every import with the names it speaks of, without names in the storage."""
        every: QuerySet[Import] = super().get_queryset(request)
        return every.select_related("library__owner", "snapshot__library").defer(
            "library__owner__password", "upload", "archive"
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """An import's events are told of its library."""
        return {"subject_kind": "library", "subject_id": str(found.library_id)}

    @admin.display(description=gettext_lazy("library"))
    def library_name(self, job: Import) -> str:
        return job.library.name

    @admin.display(description=gettext_lazy("owner"))
    def owner_name(self, job: Import) -> str:
        return job.library.owner.get_username()

    @admin.display(description=gettext_lazy("from"))
    def origin(self, job: Import) -> str:
        return job.repository_url or job.file_name

    actor_kind = kept("actor_kind", gettext_lazy("kind of caller"))
    cancel_requested = kept("cancel_requested_at", gettext_lazy("asked to stop"))

    @admin.display(description=gettext_lazy("upload"))
    def upload_size(self, job: Import) -> str:
        return filesizeformat(job.upload_bytes) if job.upload_bytes else EMPTY

    @admin.display(description=gettext_lazy("state"))
    def answer(self, job: Import) -> SafeString:
        return import_badge(job.state)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, job: Import) -> str:
        in_bytes = job.progress_unit == ProgressUnit.BYTES
        done, total = (
            filesizeformat(number) if in_bytes else str(number)
            for number in (job.progress_done, job.progress_total)
        )
        return f"{done} / {total}" if job.progress_unit else EMPTY

    @admin.display(description=gettext_lazy("problem"))
    def problem(self, job: Import) -> str:
        """The codes that the API tells; which file it was is its owner's to read."""
        told = job.verdict or job.error or {}
        return " / ".join(str(told[name]) for name in ("code", "reason") if told.get(name)) or EMPTY

    @admin.display(description=gettext_lazy("asked for"), ordering="created_at")
    def when(self, job: Import) -> str:
        return moment(job.created_at)

    @admin.display(description=gettext_lazy("took"))
    def lasted(self, job: Import) -> str:
        if job.started_at is None:
            return EMPTY
        return str(
            timedelta(seconds=int(((job.ended_at or timezone.now()) - job.started_at).total_seconds()))
        )

    def offered(self, found: Import) -> Iterable[str]:
        return () if found.has_ended or found.cancel_requested_at else ("cancel",)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("credentials.change_library"))

    @admin.action(description=gettext_lazy("Stop these imports"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Import]) -> HttpResponse | None:
        """Stop each that is under way; one that has ended meanwhile is said so."""
        found = list(chosen[: MOST_AT_ONCE + 1])
        if len(found) > MOST_AT_ONCE:
            text = _("At most %d can be stopped at once. Please choose fewer.") % MOST_AT_ONCE
            self.message_user(request, text, messages.ERROR)
            return None
        for job in found:
            text, level = _stopped(request, job)
            self.message_user(request, f"{job}: {text}", level)
        return self.back(request, found)


def _stopped(request: HttpRequest, job: Import) -> tuple[str, int]:
    try:
        now = canceling.cancel(actor=actor_of(request), job=job, now=timezone.now())
    except (Conflict, NotFound) as error:
        return str(error), messages.WARNING
    except AuditUnavailable as error:
        return str(error), messages.ERROR
    if now.has_ended:
        return _("It is stopped."), messages.SUCCESS
    return _("It stops within a few seconds."), messages.SUCCESS
