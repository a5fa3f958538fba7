"""Imports: who asked for what, how far it is, and how it ended. Never what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import EMPTY, badge, moment
from credentials.admin.filters import ImportHostFilter, ImportProblemFilter
from credentials.admin.guarded import actor_of
from credentials.admin.paging import CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.errors import AuditUnavailable, Conflict, NotFound
from credentials.models import Import, ImportState
from credentials.services.imports import canceling

_TONES = {
    ImportState.QUEUED: "wait",
    ImportState.RUNNING: "wait",
    ImportState.SUCCEEDED: "ok",
    ImportState.FAILED: "bad",
    ImportState.CANCELED: "idle",
}


def state_badge(state: str) -> SafeString:
    """How an import is, as a word on a colored ground."""
    return badge(ImportState(state).label, _TONES[ImportState(state)])


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    """Who may change libraries may cancel an import that is under way."""

    list_display = ("name", "owner", "origin", "answer", "why", "asked_by", "when", "took")
    list_filter = ("state", ImportProblemFilter, "source", ImportHostFilter, "created_at")
    search_fields = (
        "=library__owner__username",
        "library__name",
        "repository_url",
        "=actor_name",
        "=reference",
    )
    search_help_text = gettext_lazy("A person, a library, a part of a repository's address, or a reference.")
    sortable_by = ("when",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = ("cancel",)
    page_actions = {"cancel": gettext_lazy("Cancel")}
    fields = (
        "name",
        "owner",
        "source",
        "origin",
        "ref",
        "commit",
        "subdirectory",
        "answer",
        "stage",
        "why",
        "attempts",
        "snapshot",
        "is_unchanged",
        "asked_by",
        "reference",
        "when",
        "started_at",
        "ended_at",
        "took",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Import]:
        """Every import with the names it speaks of, without those of files in the storage."""
        every: QuerySet[Import] = super().get_queryset(request)
        return every.select_related("library__owner", "snapshot__library").defer(
            "library__owner__password", "upload", "archive"
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """An import's events are told of its library."""
        return {"subject_kind": "library", "subject_id": str(found.library_id)}

    @admin.display(description=gettext_lazy("library"))
    def name(self, job: Import) -> str:
        return job.library.name

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, job: Import) -> str:
        return job.library.owner.get_username()

    @admin.display(description=gettext_lazy("from"))
    def origin(self, job: Import) -> str:
        return job.repository_url or job.file_name or EMPTY

    @admin.display(description=gettext_lazy("state"))
    def answer(self, job: Import) -> SafeString:
        return state_badge(job.state)

    @admin.display(description=gettext_lazy("reason"))
    def why(self, job: Import) -> str:
        """The codes that the API tells; which file it was is for the library's owner to read."""
        told = job.error or job.verdict or {}
        parts = [str(told.get(name, "")) for name in ("code", "reason")]
        return ", ".join(part for part in parts if part) or EMPTY

    @admin.display(description=gettext_lazy("asked for by"))
    def asked_by(self, job: Import) -> str:
        return job.actor_name

    @admin.display(description=gettext_lazy("asked for"), ordering="created_at")
    def when(self, job: Import) -> str:
        return moment(job.created_at)

    @admin.display(description=gettext_lazy("took"))
    def took(self, job: Import) -> str:
        if job.started_at is None:
            return EMPTY
        until = job.ended_at or timezone.now()
        return _("%(seconds).1f s") % {"seconds": (until - job.started_at).total_seconds()}

    def offered(self, found: Import) -> Iterable[str]:
        return () if found.has_ended else ("cancel",)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("credentials.change_library"))

    @admin.action(description=gettext_lazy("Cancel"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Import]) -> HttpResponse | None:
        """Stop those that are under way."""
        found, stopped = list(chosen), 0
        for job in found:
            try:
                canceling.cancel(actor=actor_of(request), job=job, now=timezone.now())
            except (Conflict, NotFound):
                continue
            except AuditUnavailable as error:
                self.message_user(request, str(error), messages.ERROR)
                return self.back(request, found)
            stopped += 1
        if stopped:
            text = ngettext("%d import is stopped.", "%d imports are stopped.", stopped) % stopped
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, _("All of these have ended."), messages.INFO)
        return self.back(request, found)
