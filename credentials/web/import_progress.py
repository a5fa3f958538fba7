"""How the page of an import tells how far it is, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.errors import QuotaExceeded
from credentials.models import Import, ImportState, ProgressUnit, Snapshot, Source, Stage
from credentials.services.imports import outcomes
from credentials.services.imports.outcomes import Next
from credentials.verdicts import Text
from credentials.verdicts.refusal_texts import describe
from credentials.verdicts.refusals import Remark
from credentials.web.diagnose import shown_verdict
from credentials.web.words import Badge

MOST_SHOWN = 50
_STAGES = {
    Source.GIT: (Stage.CHECKING, Stage.FETCHING, Stage.READING, Stage.STORING),
    Source.ZIP: (Stage.OPENING, Stage.READING, Stage.STORING),
}
_BADGES = {
    ImportState.QUEUED: Badge(tone="wait", icon="clock", word=gettext_lazy("waiting")),
    ImportState.RUNNING: Badge(tone="wait", icon="clock", word=gettext_lazy("running")),
    ImportState.SUCCEEDED: Badge(tone="ok", icon="check", word=gettext_lazy("done")),
    ImportState.FAILED: Badge(tone="bad", icon="cross", word=gettext_lazy("failed")),
    ImportState.CANCELED: Badge(tone="", icon="minus", word=gettext_lazy("canceled")),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownStage:
    """One stage: over, at work, or to come."""

    text: Text
    is_over: bool
    is_now: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownRemarks:
    """What was left out for one reason; ``paths`` are the first of them."""

    text: Text
    paths: Sequence[str]


def badge_of(state: str) -> Badge:
    """How the pages mark an import."""
    return _BADGES[ImportState(state)]


def context(request: HttpRequest, job: Import) -> dict[str, object]:
    """Everything the page says."""
    verdict, problem = outcomes.verdict_of(job), outcomes.problem_of(job)
    return {
        "job": job,
        "badge": badge_of(job.state),
        "stages": stages_of(job),
        "progress": progress_of(job),
        "said": said(job),
        "since": timezone.now() - (job.started_at or job.created_at),
        "shown": shown_verdict(request, verdict) if verdict else None,
        "problem": problem,
        "may_retry": job.state in {ImportState.FAILED, ImportState.CANCELED}
        and (problem is None or problem.next is Next.RETRY),
        "remarks": remarks_of(job.snapshot) if job.snapshot else (),
    }


def stages_of(job: Import) -> list[ShownStage]:
    """What this import goes through; none of it before it has begun or after it has ended."""
    if job.state != ImportState.RUNNING:
        return []
    stages = _STAGES[Source(job.source)]
    at = stages.index(Stage(job.stage)) if job.stage in stages else 0
    return [
        ShownStage(text=Stage(stage).label, is_over=number < at, is_now=number == at)
        for number, stage in enumerate(stages)
    ]


def progress_of(job: Import) -> str:
    """How far the present stage is, in words; empty where nobody knows."""
    if not job.progress_total:
        return ""
    if job.progress_unit == ProgressUnit.OBJECTS:
        return _("%(done)d of %(total)d objects") % {"done": job.progress_done, "total": job.progress_total}
    sizes = {"done": filesizeformat(job.progress_done), "total": filesizeformat(job.progress_total)}
    if not job.files_total:
        return _("%(done)s of %(total)s") % sizes
    counts = {"files": job.files_done, "all_files": job.files_total}
    return _("%(files)d of %(all_files)d files, %(done)s of %(total)s") % {**sizes, **counts}


def said(job: Import) -> str:
    """What a screen reader hears when it changes: the state, or the stage."""
    if job.state == ImportState.RUNNING and job.stage:
        return str(Stage(job.stage).label)
    return str(badge_of(job.state).word)


def remarks_of(snapshot: Snapshot) -> list[ShownRemarks]:
    """What was left out or changed, by reason."""
    by_reason: dict[str, list[str]] = {}
    for one in snapshot.remarks:
        by_reason.setdefault(one["reason"], []).append(one["path"])
    return [
        ShownRemarks(text=describe(Remark(reason)), paths=paths[:MOST_SHOWN])
        for reason, paths in by_reason.items()
    ]


def quota_text(problem: QuotaExceeded) -> Text:
    """Why there is no room, and who can make some."""
    whose = outcomes.YOURS if problem.whose == "user" else outcomes.ALL
    return str(whose) % {"limit": filesizeformat(problem.limit)}
