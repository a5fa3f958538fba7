"""Who works on an import: one holder at a time, and whoever has lost it writes nothing any more.

An import is claimed by compare-and-set, under the lock of the person whose library it is, so that two workers
cannot both find room for one more. The holder's name is in every later statement about the row.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F

from credentials.conf import conf
from credentials.errors import ImportCanceled, TimeExceeded
from credentials.models import Import, ImportState, ProgressUnit, Stage
from credentials.services import audit, processes
from credentials.services.audit import Actor, Subject
from credentials.services.libraries.libraries import subject_of as library_subject

# How often a running import looks at its row: often enough to stop soon after somebody asked for it.
_LOOK_SECONDS = 0.5

_numbers = itertools.count(1)
_active: set[str] = set()
_stopping = threading.Event()


class Lost(Exception):  # no error: somebody else has the import
    """The import is somebody else's by now, or is no more. Nothing may be written about it."""


class Stopped(Exception):  # no error: another worker goes on
    """This process ends; the import is put back."""


def stop_all() -> None:
    """Have every import of this process put back within a second or so: the process is about to end."""
    _stopping.set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to carry out one import; ``token`` is this holder's name."""

    job: Import
    token: str


def actor_of(job: Import) -> Actor:
    """Who asked for it, in whose name it is carried out."""
    return Actor(kind=job.actor_kind, id=job.actor_id, name=job.actor_name)


def subject_of(job: Import) -> Subject:
    """The import's library, as an event names it."""
    return library_subject(job.library)


def take(import_id: UUID, *, now: datetime) -> Claim | None:
    """Claim an import that waits; None where it does not, or where it has to go on waiting.

    It waits for another import of its library, and where as many of its person's run as may.
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
    waiting = Import.objects.select_related("library__owner").filter(pk=import_id, state=ImportState.QUEUED)
    job = waiting.first()
    if job is None or not _has_room(job):
        return None
    try:
        with transaction.atomic():
            claimed = Import.objects.filter(pk=import_id, state=ImportState.QUEUED).update(
                state=ImportState.RUNNING,
                stage=Stage.NONE,
                holder=token,
                attempts=F("attempts") + 1,
                heartbeat_at=now,
                started_at=now,
                archive="",
                **_NOTHING_DONE,
            )
    except IntegrityError:
        # Another one of this library runs.
        return None
    if not claimed:
        return None
    audit.record("import.started", actor=actor_of(job), subject=subject_of(job), **circumstances_of(job))
    job.refresh_from_db(fields=["state", "stage", "holder", "attempts", "started_at", "archive"])
    return job


_NOTHING_DONE: dict[str, Any] = {
    "progress_done": 0,
    "progress_total": 0,
    "progress_unit": ProgressUnit.NONE,
    "files_done": 0,
    "files_total": 0,
}


def _has_room(job: Import) -> bool:
    """Whether one more import of this person may run; the person's row stays locked until it does."""
    people = get_user_model()._default_manager.select_for_update()
    people.filter(pk=job.library.owner_id).values_list("pk", flat=True).first()
    running = Import.objects.filter(library__owner=job.library.owner_id, state=ImportState.RUNNING)
    return running.count() < conf.imports_per_user


def circumstances_of(job: Import) -> dict[str, Any]:
    """What every event about an import says beside its own."""
    return {"repository": job.repository_url, "purpose": "import", "reference": str(job.pk)}


def let_go(claim: Claim) -> None:
    """This process has done with it."""
    _active.discard(claim.token)


def is_given_up(holder: str, *, now: datetime, heartbeat_at: datetime | None) -> bool:
    """Whether nobody works any more under the name ``holder``.

    Its process is gone; or it is this very one, which has let go without being able to say so; or nothing has
    been heard of it for longer than any import may take.
    """
    process, _, _number = holder.partition("/")
    if process == processes.identity():
        return holder not in _active
    silent = heartbeat_at is None or abs(now - heartbeat_at) > 2 * conf.import_duration
    return silent or processes.is_gone(process, now=now)


def waiting_behind(job: Import) -> tuple[UUID, ...]:
    """Who may be taken now that ``job`` is over: of its library and of its person, the oldest first.

    Itself, if it waits again, is left its pause.
    """
    waiting = Import.objects.filter(library__owner=job.library.owner_id, state=ImportState.QUEUED)
    waiting = waiting.exclude(pk=job.pk)
    return tuple(waiting.order_by("created_at").values_list("pk", flat=True)[: conf.imports_per_user])


@dataclass(kw_only=True)
class Pulse:
    """How a running import looks at its row: tells how far it is, and hears that it shall stop.

    ``deadline`` is a reading of ``monotonic``. Called as often as anything happens, it touches the row twice a
    second at most.
    """

    claim: Claim
    now: Callable[[], datetime]
    deadline: float
    monotonic: Callable[[], float] = time.monotonic
    _stage: Stage = field(default=Stage.NONE, init=False)
    _next: float = field(default=0.0, init=False)

    def enter(
        self, stage: Stage, *, unit: ProgressUnit = ProgressUnit.NONE, total: int = 0, files: int = 0
    ) -> None:
        """A new stage begins. Raises as :meth:`beat` does."""
        self._stage = stage
        self._write(
            {
                **_NOTHING_DONE,
                "stage": stage,
                "progress_unit": unit,
                "progress_total": total,
                "files_total": files,
            }
        )

    def objects(self, done: int, total: int) -> None:
        """So many of Git's objects have come."""
        self.beat(progress_done=done, progress_total=total)

    def files(self, files: int, size: int) -> None:
        """So many files and bytes have been read."""
        self.beat(files_done=files, progress_done=size)

    def beat(self, **facts: int) -> None:
        """A sign of life. Raises ImportCanceled, TimeExceeded, Lost, Stopped."""
        if _stopping.is_set():
            raise Stopped
        if self.monotonic() > self.deadline:
            raise TimeExceeded(limit=int(conf.import_duration.total_seconds()))
        if self.monotonic() >= self._next:
            self._write(facts)

    def _write(self, facts: dict[str, Any]) -> None:
        self._next = self.monotonic() + _LOOK_SECONDS
        mine = Import.objects.filter(pk=self.claim.job.pk, holder=self.claim.token)
        if not mine.update(heartbeat_at=self.now(), **facts):
            raise Lost
        facts_now = mine.values_list("cancel_requested_at", "library__owner__is_active").first()
        if facts_now is None:
            raise Lost
        asked, is_active = facts_now
        if asked is not None or not is_active:
            raise ImportCanceled

    @property
    def seconds_left(self) -> float:
        """Until the deadline; at least one."""
        return max(1.0, self.deadline - self.monotonic())
