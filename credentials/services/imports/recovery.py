"""Takes up what was left lying: imports whose worker is gone, imports that no worker took, files of dead attempts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q

from credentials.conf import conf
from credentials.errors import ImportInterrupted
from credentials.models import Import, ImportState
from credentials.models.import_job import ENDED
from credentials.services.audit import Actor
from credentials.services.imports import claims, ending, queueing, workspaces
from credentials.services.imports.requests import UPLOADS
from credentials.services.libraries import trees

OFFERED: Final = timedelta(minutes=1)
"""A queue that works has offered an import to some worker by then."""
UPLOADS_KEPT: Final = timedelta(days=1)
_AT_ONCE = 200


def recover(*, now: datetime) -> int:
    """Put back imports whose worker is gone, offer those that nobody took, and remove what dead attempts left in the
    storage and on this machine; how many of all."""
    done = _put_back_abandoned(now=now) + _forget_archives()
    return done + _offer_again(now=now) + workspaces.sweep(now=now)


def _put_back_abandoned(*, now: datetime) -> int:
    running = Import.objects.filter(state=ImportState.RUNNING).values_list("pk", "holder", "heartbeat_at")
    left = [
        (pk, holder)
        for pk, holder, heartbeat_at in list(running)
        if claims.is_given_up(holder, heartbeat_at=heartbeat_at)
    ]
    return sum(_put_back(pk, holder, now=now) for pk, holder in left)


@transaction.atomic
def _put_back(pk: UUID, holder: str, *, now: datetime) -> int:
    seen = Import.objects.select_related("library").filter(pk=pk).first()
    # The person and the library first: what the person is told refers to the person's row.
    if seen is None or not claims.lock_above(seen):
        return 0
    rows = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    job = rows.filter(pk=pk, holder=holder, state=ImportState.RUNNING).first()
    if job is None:
        return 0
    if job.cancel_requested_at is not None:
        ending.end_canceled(job, now=now)
    elif not job.library.owner.is_active:
        ending.end_canceled(job, now=now, actor=Actor.system("worker"))
    elif job.attempts >= ending.MOST_ATTEMPTS:
        reason = ending.reason_of(ImportInterrupted())
        job.verdict, job.error = None, reason.error
        ending.end_failed(job, code=reason.code, now=now)
    else:
        ending.put_back(job, now=now)
    return 1


def _forget_archives() -> int:
    """What attempts that are over have brought into the storage in vain."""
    left = list(Import.objects.exclude(archive="").exclude(state=ImportState.RUNNING).only("pk")[:_AT_ONCE])
    for job in left:
        ending.forget_archive(job)
    return len(left)


def _offer_again(*, now: datetime) -> int:
    """Those that wait and could be taken, but were in no queue lately: a queue may have lost them. Those that were
    put back for a while were in none since."""
    lately = Q(heartbeat_at__gt=now - OFFERED, heartbeat_at__lte=now)
    waiting = claims.takeable(now=now).exclude(lately).values_list("pk", flat=True)
    put_back = list(waiting.filter(heartbeat_at=None)[:_AT_ONCE])
    lost = queueing.missing(list(waiting.exclude(heartbeat_at=None)[:_AT_ONCE]))
    return sum(_offer(pk, now=now) for pk in [*put_back, *lost])


@transaction.atomic
def _offer(pk: UUID, *, now: datetime) -> int:
    if not Import.objects.filter(pk=pk, state=ImportState.QUEUED).update(heartbeat_at=now):
        return 0
    queueing.enqueue(pk)
    return 1


def drop_leftovers(*, now: datetime) -> int:
    """Forget imports that ended long ago, and uploads that nobody wants any more; how many."""
    done = _let_go_of_uploads(now=now) + _drop_uploads(now=now)
    old = Import.objects.filter(ended_at__lt=now - conf.imports_kept, archive="", upload="")
    return done + old.delete()[0]


def _let_go_of_uploads(*, now: datetime) -> int:
    """What was kept for another attempt that nobody has wanted for a day."""
    old = Import.objects.filter(state__in=ENDED, ended_at__lt=now - UPLOADS_KEPT).exclude(upload="")
    return sum(_let_go_of_upload(pk) for pk in list(old.values_list("pk", flat=True)))


def _let_go_of_upload(pk: UUID) -> int:
    """Somebody may have it begun anew at this moment: the row decides."""
    with transaction.atomic():
        rows = Import.objects.select_for_update().filter(pk=pk, state__in=ENDED)
        job = rows.exclude(upload="").first()
        if job is None:
            return 0
        ending.drop_upload(job)
        job.save(update_fields=ending.OF_FILES)
    ending.forget_archive(job)
    return 1


def _drop_uploads(*, now: datetime) -> int:
    """Uploads older than a day that no row names."""
    try:
        names = [f"{UPLOADS}/{name}" for name in default_storage.listdir(UPLOADS)[1]]
    except FileNotFoundError:
        return 0
    old = [name for name in names if _is_old(name, now=now)]
    wanted = set(Import.objects.filter(upload__in=old).values_list("upload", flat=True))
    left = [name for name in old if name not in wanted]
    for name in left:
        trees.discard(name)
    return len(left)


def _is_old(name: str, *, now: datetime) -> bool:
    try:
        return now - default_storage.get_modified_time(name) > UPLOADS_KEPT
    except FileNotFoundError:
        return False
