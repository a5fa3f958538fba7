"""Ends an import: with a snapshot, with a reason, or because somebody asked; or puts it back for another attempt.

Each in one transaction with its event and what clients are told, and only as long as the import is still this
holder's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F

from credentials.errors import (
    ContentRefused,
    ImportCanceled,
    ImportProblem,
    QuotaExceeded,
    TimeExceeded,
)
from credentials.models import Import, ImportState, Library, Snapshot, Stage, WebhookEvent
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.imports.claims import Claim, Lost, actor_of, circumstances_of, subject_of
from credentials.services.libraries import snapshots
from credentials.services.libraries.snapshots import Origin
from credentials.services.libraries.trees import PutTree
from credentials.services.webhooks import outbox
from credentials.verdicts import Verdict, VerdictCode

# How often an import is begun before it is given up: hosts and storages have their outages, workers are killed.
MOST_ATTEMPTS = 3
UNEXPECTED = "unexpected"
# Verdicts that may be another one in a minute.
_PASSING = frozenset({VerdictCode.HOST_UNREACHABLE, VerdictCode.RATE_LIMITED, VerdictCode.UNKNOWN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why an import did not succeed, as its row keeps it; one of the two is set."""

    verdict: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    is_passing: bool = False

    @property
    def code(self) -> str:
        told = self.verdict or self.error or {}
        return str(told.get("code", ""))


def reason_of(problem: ImportProblem) -> Reason:
    """What a typed error leaves in the row."""
    error: dict[str, Any] = {"code": problem.code, "retryable": problem.retryable}
    if isinstance(problem, ContentRefused):
        error |= {"reason": problem.reason.value, "entry": problem.entry, "limit": problem.limit}
    elif isinstance(problem, QuotaExceeded):
        error |= {"reason": problem.whose, "limit": problem.limit}
    elif isinstance(problem, TimeExceeded):
        error |= {"limit": problem.limit}
    return Reason(error=error, is_passing=problem.retryable and not isinstance(problem, QuotaExceeded))


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
            "digest": tree.digest,
            "snapshot": added.snapshot.number,
            "files": tree.files,
            "bytes": tree.bytes,
            "commit": origin.commit,
        },
        **circumstances_of(job),
    )
    _announce(job, now=now)
    return added.snapshot


@transaction.atomic
def fail(claim: Claim, reason: Reason, *, now: datetime) -> bool:
    """It did not succeed; what may pass by itself is put back for another attempt, up to MOST_ATTEMPTS.

    True where it has ended for good. Raises Lost.
    """
    job = _locked(claim)
    job.verdict, job.error = reason.verdict, reason.error
    if reason.is_passing and job.attempts < MOST_ATTEMPTS and job.cancel_requested_at is None:
        put_back(job, now=now)
        return False
    end_failed(job, code=reason.code, now=now)
    return True


@transaction.atomic
def release(claim: Claim, *, now: datetime) -> None:
    """This process ends and another one goes on: the attempt does not count. Raises Lost."""
    job = _locked(claim)
    Import.objects.filter(pk=job.pk).update(attempts=F("attempts") - 1)
    put_back(job, now=now)


def put_back(job: Import, *, now: datetime) -> None:
    """It waits again, and is taken after about a minute (services/imports/recovery.py); its row is locked."""
    job.state, job.stage, job.holder, job.queued_at = ImportState.QUEUED, Stage.NONE, "", now
    job.save(update_fields=["state", "stage", "holder", "queued_at", "verdict", "error"])


def end_failed(job: Import, *, code: str, now: datetime) -> None:
    """It has failed for good, inside the caller's transaction with its row locked."""
    _end(job, ImportState.FAILED, now=now)
    audit.record(
        "import.failed",
        actor=actor_of(job),
        subject=subject_of(job),
        data={"code": code, "attempts": job.attempts},
        **circumstances_of(job),
    )
    _announce(job, now=now)


@transaction.atomic
def cancel(claim: Claim, *, now: datetime) -> None:
    """It stopped because somebody asked, or because its person left. Raises Lost."""
    end_canceled(_locked(claim), now=now)


def end_canceled(job: Import, *, now: datetime, actor: Actor | None = None) -> None:
    """As above, inside the caller's transaction with its row locked; ``actor`` is who asked, where that is known."""
    job.verdict = job.error = None
    _end(job, ImportState.CANCELED, now=now)
    audit.record(
        "import.canceled", actor=actor or actor_of(job), subject=subject_of(job), **circumstances_of(job)
    )
    _announce(job, now=now)


def _end(job: Import, state: ImportState, *, now: datetime) -> None:
    job.state, job.ended_at, job.holder, job.stage = state, now, "", Stage.NONE
    job.save(
        update_fields=[
            *(
                "state",
                "ended_at",
                "holder",
                "stage",
                "snapshot",
                "is_unchanged",
                "commit",
                "verdict",
                "error",
            )
        ]
    )


def _locked(claim: Claim) -> Import:
    """The import with its person, its library and its own row locked, in this order; raises Lost."""
    people = get_user_model()._default_manager.select_for_update()
    people.filter(pk=claim.job.library.owner_id).values_list("pk", flat=True).first()
    libraries = Library.objects.select_for_update().filter(pk=claim.job.library_id)
    libraries.values_list("pk", flat=True).first()
    rows = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    job = rows.filter(pk=claim.job.pk, holder=claim.token, state=ImportState.RUNNING).first()
    if job is None:
        raise Lost
    return job


def _announce(job: Import, *, now: datetime) -> None:
    def data() -> Mapping[str, object]:
        return {
            "import": str(job.pk),
            "user": job.library.owner.get_username(),
            "library": str(job.library_id),
            "state": job.state,
            "snapshot": str(job.snapshot_id) if job.snapshot_id else None,
        }

    outbox.announce(WebhookEvent.IMPORT_FINISHED, host=job.host, data=data, now=now)
