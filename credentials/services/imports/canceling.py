"""Stops imports: one that waits at once, one that runs as soon as its worker looks at it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from credentials.errors import Conflict, NotFound
from credentials.models import Import, ImportState
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.imports import ending
from credentials.services.imports.claims import circumstances_of, subject_of


@transaction.atomic
def cancel(*, actor: Actor, job: Import, now: datetime) -> Import:
    """Stop an import. One that runs stops within a second or so; until then it says ``running``.

    Raises Conflict where it has ended, NotFound where it is no more.
    """
    current = locked(job)
    if current.has_ended:
        raise Conflict(_("This import has ended already."))
    if current.cancel_requested_at is not None:
        return current
    _stop(current, actor=actor, now=now)
    return current


def _stop(job: Import, *, actor: Actor, now: datetime) -> None:
    """One event in any case, which names who wanted it; a worker that hears of it ends the import without another."""
    job.cancel_requested_at = now
    job.save(update_fields=["cancel_requested_at"])
    if job.state == ImportState.QUEUED:
        ending.end_canceled(job, now=now, actor=actor)
    else:
        audit.record("import.canceled", actor=actor, subject=subject_of(job), **circumstances_of(job))


def lock_all(owner: Any) -> None:
    """Lock every import of a person that has not ended: before the first word in the trail, as everybody does."""
    list(_open_ones(owner).values_list("pk", flat=True))


def _open_ones(owner: Any) -> QuerySet[Import]:
    mine = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    return mine.filter(library__owner=owner, state__in=(ImportState.QUEUED, ImportState.RUNNING)).order_by(
        "pk"
    )


def cancel_all(*, actor: Actor, owner: Any, now: datetime) -> int:
    """Stop every import of somebody who leaves, inside the caller's transaction, who has locked them; how many."""
    jobs = [job for job in _open_ones(owner) if job.cancel_requested_at is None]
    for job in jobs:
        _stop(job, actor=actor, now=now)
    return len(jobs)


def has_open(owner: Any) -> bool:
    """Whether a person has an import that has not ended and was not asked to."""
    return _going_on().filter(library__owner=owner).exists()


def owners_of_open() -> QuerySet[Import, Any]:
    """The keys of those who have one."""
    return _going_on().values_list("library__owner", flat=True)


def _going_on() -> QuerySet[Import]:
    states = (ImportState.QUEUED, ImportState.RUNNING)
    return Import.objects.filter(state__in=states, cancel_requested_at=None).order_by()


def locked(job: Import) -> Import:
    """The import's row, locked for the caller's transaction; raises NotFound."""
    rows = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    current = rows.filter(pk=job.pk).first()
    if current is None:
        raise NotFound("There is no such import.")
    return current
