"""Ends an import: with a snapshot, with a reason, or because somebody asked; or puts it back for another attempt.

Each in one transaction with its event and what clients are told, and only as long as the import is still this
holder's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from credentials.errors import (
    ContentRefused,
    ForgekeyError,
    ImportCanceled,
    QuotaExceeded,
    TimeExceeded,
    TooManyRequests,
)
from credentials.models import Import, ImportState, Snapshot, Source, Stage, WebhookEvent
from credentials.services import audit, notices
from credentials.services.audit import Actor
from credentials.services.imports.claims import (
    Claim,
    Lost,
    actor_of,
    circumstances_of,
    lock_above,
    subject_of,
)
from credentials.services.libraries import snapshots, trees
from credentials.services.libraries.snapshots import Origin
from credentials.services.libraries.trees import PutTree
from credentials.services.webhooks import outbox
from credentials.verdicts import Verdict, VerdictCode

MOST_ATTEMPTS: Final = 3
"""How often an import is begun before it is given up: hosts and storages have their outages, workers are killed."""
UNEXPECTED: Final = "unexpected"
OF_FILES: Final = ("upload", "archive")
# Until the second attempt, and until the third.
_PAUSES: Final = (timedelta(seconds=30), timedelta(minutes=2))
_PAUSE_OF_A_PERSON: Final = timedelta(minutes=1)
# Verdicts that may be another one in a minute.
_PASSING: Final = frozenset({VerdictCode.HOST_UNREACHABLE, VerdictCode.RATE_LIMITED, VerdictCode.UNKNOWN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why an import did not succeed, as its row keeps it; one of the first two is set.

    What ``is_passing`` is tried again by itself; where ``is_counted`` is False, as often as need be.
    """

    verdict: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    is_passing: bool = False
    is_counted: bool = True

    @property
    def code(self) -> str:
        told = self.verdict or self.error or {}
        return str(told.get("code", ""))


def reason_of(problem: ForgekeyError) -> Reason:
    """What a typed error leaves in the row."""
    error: dict[str, Any] = {"code": problem.code, "retryable": problem.retryable}
    if isinstance(problem, ContentRefused):
        error |= {"reason": problem.reason.value, "entry": problem.entry, "limit": problem.limit}
    elif isinstance(problem, QuotaExceeded):
        error |= {"reason": problem.whose, "limit": problem.limit}
    elif isinstance(problem, TimeExceeded):
        error |= {"limit": problem.limit}
    return Reason(
        error=error,
        is_passing=problem.retryable and not isinstance(problem, QuotaExceeded),
        is_counted=not isinstance(problem, TooManyRequests),
    )


def reason_of_verdict(verdict: Verdict) -> Reason:
    """What a diagnosis leaves in the row; its words are made anew for whoever reads them."""
    return Reason(
        verdict={
            "code": verdict.code.value,
            "credential": verdict.credential,
            "organization": verdict.organization,
            "checked": [
                {"step": check.step, "result": check.result, "at": check.at.isoformat()}
                for check in verdict.checked
            ],
        },
        is_passing=verdict.code in _PASSING,
    )


def unexpected() -> Reason:
    """What nobody has foreseen. Nothing of it is kept here: its words may repeat anything."""
    return Reason(error={"code": UNEXPECTED, "retryable": True})


@transaction.atomic
def succeed(claim: Claim, *, put: PutTree, origin: Origin, now: datetime) -> Snapshot:
    """The library has what was asked for.

    Raises Lost, ImportCanceled (also where its person is not active any more), QuotaExceeded, and Conflict where the
    content that was there has just been removed.
    """
    job = _locked(claim)
    if job.cancel_requested_at is not None or not job.library.owner.is_active:
        raise ImportCanceled
    actor = actor_of(job)
    added = snapshots.add(actor=actor, library=job.library, put=put, origin=origin, now=now)
    job.snapshot, job.is_unchanged, job.commit = added.snapshot, added.is_unchanged, origin.commit
    job.verdict = job.error = None
    _end(job, ImportState.SUCCEEDED, now=now)
    tree = added.snapshot.tree
    audit.record(
        "import.succeeded",
        actor=actor,
        subject=subject_of(job),
        data={
            "source": job.source,
            "digest": tree.digest,
            "snapshot": added.snapshot.number,
            "files": tree.files,
            "bytes": tree.bytes,
            "commit": origin.commit,
            "ref": origin.ref,
            "subdirectory": origin.subdirectory,
        },
        **circumstances_of(job),
    )
    _announce(job, code="", now=now)
    return added.snapshot


@transaction.atomic
def fail(claim: Claim, reason: Reason, *, now: datetime) -> None:
    """It did not succeed; what may pass by itself is put back for another attempt, up to MOST_ATTEMPTS.

    Where somebody has asked to stop meanwhile, it is canceled. Raises Lost.
    """
    job = _locked(claim)
    if job.cancel_requested_at is not None:
        end_canceled(job, now=now)
        return
    job.verdict, job.error = reason.verdict, reason.error
    if not reason.is_counted:
        _put_back_uncounted(job, after=_PAUSE_OF_A_PERSON, now=now)
    elif reason.is_passing and job.attempts < MOST_ATTEMPTS:
        put_back(job, after=pause_after(job.attempts), now=now)
    else:
        end_failed(job, code=reason.code, now=now)


def pause_after(attempts: int) -> timedelta:
    """How long an import is left alone after so many attempts."""
    return _PAUSES[min(attempts, len(_PAUSES)) - 1]


@transaction.atomic
def release(claim: Claim, *, now: datetime) -> None:
    """This process ends and another one goes on: the attempt does not count. Raises Lost."""
    _put_back_uncounted(_locked(claim), after=timedelta(0), now=now)


def _put_back_uncounted(job: Import, *, after: timedelta, now: datetime) -> None:
    Import.objects.filter(pk=job.pk).update(attempts=F("attempts") - 1)
    put_back(job, after=after, now=now)


def put_back(job: Import, *, now: datetime, after: timedelta = timedelta(0)) -> None:
    """It waits again, inside the caller's transaction with its row locked; from then on anybody may take it. Why it
    has to is kept until it is taken up and ends."""
    job.state, job.stage, job.holder = ImportState.QUEUED, Stage.NONE, ""
    job.queued_at, job.heartbeat_at = now + after, None
    job.save(update_fields=["state", "stage", "holder", "queued_at", "heartbeat_at", "verdict", "error"])


def end_failed(job: Import, *, code: str, now: datetime) -> None:
    """It has failed for good, inside the caller's transaction with its row locked."""
    _end(job, ImportState.FAILED, now=now)
    audit.record(
        "import.failed",
        actor=actor_of(job),
        subject=subject_of(job),
        data={"source": job.source, "code": code, "attempts": job.attempts},
        **circumstances_of(job),
    )
    _announce(job, code=code, now=now)
    if job.actor_kind == "client":
        # People who ask themselves look at its page.
        notices.about_import(job, now=now)


@transaction.atomic
def cancel(claim: Claim, *, now: datetime) -> None:
    """It stopped because somebody asked, or because its person left. Raises Lost."""
    job = _locked(claim)
    # Whoever asked for it is in the trail already.
    end_canceled(job, now=now, actor=None if job.cancel_requested_at else Actor.system("worker"))


def end_canceled(job: Import, *, now: datetime, actor: Actor | None = None) -> None:
    """As above, inside the caller's transaction with its row locked. The event names ``actor``; None where there is
    one already."""
    job.verdict = job.error = None
    _end(job, ImportState.CANCELED, now=now)
    if actor is not None:
        audit.record("import.canceled", actor=actor, subject=subject_of(job), **circumstances_of(job))
    _announce(job, code="", now=now)


def _end(job: Import, state: ImportState, *, now: datetime) -> None:
    job.state, job.ended_at, job.holder, job.stage = state, now, "", Stage.NONE
    if job.upload and not _is_of_use(job):
        drop_upload(job)
    names = ("state", "ended_at", "holder", "stage", "snapshot", "is_unchanged", "commit", "verdict", "error")
    job.save(update_fields=[*names, *OF_FILES])


def _is_of_use(job: Import) -> bool:
    """Whether another attempt may come to another end with the same upload; then it is kept for a day."""
    if job.state == ImportState.FAILED:
        return bool((job.error or {}).get("retryable"))
    return job.state == ImportState.CANCELED


def drop_upload(job: Import) -> None:
    """The upload is of no use any more: from now on nobody is led to it, and :func:`forget_archive` removes it, or
    the duty. The row is locked and not saved yet (OF_FILES).

    What the attempt itself has brought into the storage became a tree or is gone by now.
    """
    job.upload, job.archive = "", job.upload


def forget_archive(job: Import) -> None:
    """Remove what an attempt that is over brought into the storage, unless it became a tree."""
    current = Import.objects.filter(pk=job.pk).exclude(state=ImportState.RUNNING)
    for name in current.exclude(archive="").values_list("archive", flat=True):
        trees.discard(name)
        current.filter(archive=name).update(archive="")


def _locked(claim: Claim) -> Import:
    """The import with its person, its library and its own row locked, in this order; raises Lost."""
    if not lock_above(claim.job):
        raise Lost
    rows = claim.rows.select_related("library__owner").select_for_update(of=("self",))
    job = rows.first()
    if job is None:
        raise Lost
    return job


def _announce(job: Import, *, code: str, now: datetime) -> None:
    def data() -> Mapping[str, object]:
        return {
            "import": str(job.pk),
            "user": job.library.owner.get_username(),
            "host": job.host or None,
            "library": str(job.library_id),
            "state": job.state,
            "reason": code or None,
            "snapshot": str(job.snapshot_id) if job.snapshot_id else None,
        }

    # What was uploaded came from no host: whoever listens may know.
    host = None if job.source == Source.ZIP else job.host
    outbox.announce(WebhookEvent.IMPORT_FINISHED, host=host, data=data, now=now)
