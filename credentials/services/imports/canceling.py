"""Stops imports: one that waits at once, one that runs as soon as its worker looks at it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
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
from credentials.services.libraries import trees


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
    current.cancel_requested_at = now
    current.save(update_fields=["cancel_requested_at"])
    if current.state == ImportState.QUEUED:
        ending.end_canceled(current, now=now, actor=actor)
        return current
    audit.record(
        "import.canceled",
        actor=actor,
        subject=subject_of(current),
        data={"status": "asked for"},
        **circumstances_of(current),
    )
    return current


def lock_all(owner: Any) -> None:
    """Lock every import of a person that has not ended: before the first word in the trail, as everybody does."""
    list(_open_ones(owner).values_list("pk", flat=True))


def _open_ones(owner: Any) -> QuerySet[Import]:
    mine = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    return mine.filter(library__owner=owner, state__in=(ImportState.QUEUED, ImportState.RUNNING)).order_by(
        "pk"
    )


def cancel_all(*, actor: Actor, owner: Any, now: datetime) -> int:
    """Stop every import of somebody who leaves, inside the caller's transaction; how many."""
    jobs = list(_open_ones(owner))
    for job in jobs:
        job.cancel_requested_at = now
        job.save(update_fields=["cancel_requested_at"])
    for job in jobs:
        if job.state == ImportState.QUEUED:
            ending.end_canceled(job, now=now, actor=actor)
            transaction.on_commit(partial(trees.discard, job.upload))
    return len(jobs)


def locked(job: Import) -> Import:
    """The import's row, locked for the caller's transaction; raises NotFound."""
    rows = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    current = rows.filter(pk=job.pk).first()
    if current is None:
        raise NotFound("There is no such import.")
    return current
