"""Who works on an import: one holder at a time, and whoever has lost it writes nothing any more.

An import is claimed by compare-and-set, under the locks of its person and its library, so that two workers cannot
both find room for one more, and nobody removes a library from under its import. The holder's name is in every later
statement about the row.

``queued_at`` is the moment from which a waiting import may be taken; it lies ahead where a host or a storage is to
be left alone for a while. ``heartbeat_at`` is a running import's last sign of life, and of a waiting one the moment at
which it was last put into the queue.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from credentials.conf import conf
from credentials.models import Import, ImportState, Library, ProgressUnit, Stage
from credentials.services import audit, processes
from credentials.services.audit import Actor, Subject
from credentials.services.libraries.libraries import subject_of as library_subject
from credentials.services.processes import Watch

SILENT: Final = timedelta(seconds=45)
"""Without a sign of life for so long, by this process's own clock, a holder elsewhere is taken for gone."""

_numbers = itertools.count(1)
_active: set[str] = set()
_watch = Watch()

NOTHING_DONE: Final[dict[str, Any]] = {
    "progress_done": 0,
    "progress_total": 0,
    "progress_unit": ProgressUnit.NONE,
    "files_done": 0,
    "files_total": 0,
}


class Lost(Exception):  # no error: somebody else has the import
    """The import is somebody else's by now, or is no more. Nothing may be written about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to carry out one import; ``token`` is this holder's name."""

    job: Import
    token: str

    @property
    def rows(self) -> QuerySet[Import]:
        """The import's row as long as it is this holder's; none afterwards."""
        return Import.objects.filter(pk=self.job.pk, holder=self.token, state=ImportState.RUNNING)


def actor_of(job: Import) -> Actor:
    """Who asked for it, in whose name it is carried out."""
    return Actor(kind=job.actor_kind, id=job.actor_id, name=job.actor_name)


def subject_of(job: Import) -> Subject:
    """The import's library, as an event names it."""
    return library_subject(job.library)


def circumstances_of(job: Import) -> dict[str, Any]:
    """What every event about an import says beside its own."""
    return {"repository": job.repository_url, "purpose": "import", "reference": str(job.pk)}


def take(import_id: UUID, *, now: datetime) -> Claim | None:
    """Claim the import that is first in line where ``import_id`` waits: the one of its library that has waited
    longest. None where it does not wait, or where all of them have to go on waiting.

    They wait for another import of their library, for their own time, and where as many of their person's run as
    may.
    """
    token = f"{processes.identity()}/{next(_numbers)}"
    # Active first: this process itself must not take it for given up in between.
    _active.add(token)
    try:
        job = _claimed(import_id, token, now=now)
    except BaseException:
        _active.discard(token)
        raise
    if job is None:
        _active.discard(token)
        return None
    return Claim(job=job, token=token)


@transaction.atomic
def _claimed(import_id: UUID, token: str, *, now: datetime) -> Import | None:
    asked = Import.objects.select_related("library").filter(pk=import_id, state=ImportState.QUEUED).first()
    if asked is None or not lock_above(asked) or not _has_room(asked.library.owner_id):
        return None
    job = due(now=now).filter(library=asked.library_id).select_related("library__owner").first()
    if job is None:
        return None
    try:
        with transaction.atomic():
            claimed = Import.objects.filter(pk=job.pk, state=ImportState.QUEUED).update(
                state=ImportState.RUNNING,
                stage=Stage.NONE,
                holder=token,
                attempts=F("attempts") + 1,
                heartbeat_at=now,
                started_at=now,
                **NOTHING_DONE,
            )
    except IntegrityError:
        # Another one of this library runs.
        return None
    if not claimed:
        return None
    audit.record("import.started", actor=actor_of(job), subject=subject_of(job), **circumstances_of(job))
    job.refresh_from_db(fields=["state", "stage", "holder", "attempts", "started_at", "archive"])
    return job


def lock_above(job: Import) -> bool:
    """Lock the person and the library of an import, in this order; False where the library is no more."""
    people = get_user_model()._default_manager.select_for_update()
    people.filter(pk=job.library.owner_id).values_list("pk", flat=True).first()
    libraries = Library.objects.select_for_update().filter(pk=job.library_id)
    return libraries.values_list("pk", flat=True).first() is not None


def _has_room(owner_id: Any) -> bool:
    running = Import.objects.filter(library__owner=owner_id, state=ImportState.RUNNING)
    return running.count() < conf.imports_per_user


def due(*, now: datetime) -> QuerySet[Import]:
    """The imports that wait and may be taken, as far as their own time goes, those that have waited longest first."""
    return Import.objects.filter(state=ImportState.QUEUED, queued_at__lte=now).order_by(
        "queued_at", "created_at", "pk"
    )


def takeable(*, now: datetime) -> QuerySet[Import]:
    """Those of :func:`due` whose library has none that runs."""
    running = Import.objects.filter(state=ImportState.RUNNING)
    return due(now=now).exclude(library__in=running.values("library"))


def waiting_behind(job: Import, *, now: datetime) -> tuple[UUID, ...]:
    """Who may be taken now that ``job`` has ended: of its person, one of each library at most."""
    mine = takeable(now=now).filter(library__owner=job.library.owner_id)
    first: dict[UUID, UUID] = {}
    for pk, library in mine.values_list("pk", "library"):
        first.setdefault(library, pk)
    return tuple(first.values())[: conf.imports_per_user]


def let_go(claim: Claim) -> None:
    """This process has done with it."""
    _active.discard(claim.token)


def is_given_up(holder: str, *, heartbeat_at: datetime | None, watch: Watch = _watch) -> bool:
    """Whether nobody works any more under the name ``holder``.

    Its process is one of this machine's and has ended; or it is this very one, which has let go without being able
    to say so; or it has given no sign of life for SILENT, measured here. Elsewhere, the first answer is never yes.
    """
    process, _, _number = holder.partition("/")
    if process == processes.identity():
        return holder not in _active
    if processes.ended_here(process):
        watch.forget(holder)
        return True
    return watch.unchanged(holder, heartbeat_at) >= SILENT.total_seconds()
