"""Takes up what was left lying: imports whose worker is gone, imports that no worker took, files of dead attempts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.core.files.storage import default_storage
from django.db import transaction

from credentials.conf import conf
from credentials.errors import ImportInterrupted
from credentials.models import Import, ImportState
from credentials.services.imports import ending, queueing, workspaces
from credentials.services.imports.claims import is_given_up
from credentials.services.imports.requests import UPLOADS
from credentials.services.libraries import trees

# A queue that works has offered an import to some worker by then.
OFFERED: Final = timedelta(minutes=1)
UPLOADS_KEPT: Final = timedelta(days=1)
_AT_ONCE = 200


def recover(*, now: datetime) -> int:
    """Put back imports whose worker is gone, offer those that nobody took, and remove the folders of dead workers;
    how many of all."""
    return _put_back_abandoned(now=now) + _offer_again(now=now) + workspaces.sweep(now=now)


def _put_back_abandoned(*, now: datetime) -> int:
    running = Import.objects.filter(state=ImportState.RUNNING).values_list("pk", "holder", "heartbeat_at")
    left = [
        (pk, holder)
        for pk, holder, heartbeat_at in list(running)
        if is_given_up(holder, now=now, heartbeat_at=heartbeat_at)
    ]
    return sum(_put_back(pk, holder, now=now) for pk, holder in left)


@transaction.atomic
def _put_back(pk: object, holder: str, *, now: datetime) -> int:
    rows = Import.objects.select_related("library__owner").select_for_update(of=("self",))
    job = rows.filter(pk=str(pk), holder=holder, state=ImportState.RUNNING).first()
    if job is None:
        return 0
    archive = job.archive
    if job.cancel_requested_at is not None:
        ending.end_canceled(job, now=now)
    elif job.attempts >= ending.MOST_ATTEMPTS:
        reason = ending.reason_of(ImportInterrupted())
        job.error = reason.error
        ending.end_failed(job, code=reason.code, now=now)
    else:
        ending.put_back(job, now=now)
        queueing.enqueue(job.pk)
    transaction.on_commit(lambda: trees.discard(archive))
    return 1


def _offer_again(*, now: datetime) -> int:
    waiting = Import.objects.filter(state=ImportState.QUEUED, queued_at__lte=now - OFFERED)
    oldest = waiting.order_by("created_at").values_list("pk", flat=True)[:_AT_ONCE]
    missing = queueing.missing(list(oldest))
    for pk in missing:
        queueing.enqueue(pk)
    return len(missing)


def drop_leftovers(*, now: datetime) -> int:
    """Forget imports that ended long ago, and uploads that nobody wants any more; how many."""
    old = Import.objects.filter(ended_at__lt=now - conf.imports_kept)
    return old.delete()[0] + _drop_uploads(now=now)


def _drop_uploads(*, now: datetime) -> int:
    """Uploads older than a day that no open import reads."""
    try:
        names = [f"{UPLOADS}/{name}" for name in default_storage.listdir(UPLOADS)[1]]
    except FileNotFoundError:
        return 0
    wanted = set(Import.objects.filter(upload__in=names, ended_at=None).values_list("upload", flat=True))
    left = [name for name in names if name not in wanted and _is_old(name, now=now)]
    for name in left:
        trees.discard(name)
    return len(left)


def _is_old(name: str, *, now: datetime) -> bool:
    try:
        return now - default_storage.get_modified_time(name) > UPLOADS_KEPT
    except FileNotFoundError:
        return False
