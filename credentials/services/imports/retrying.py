"""Begins an import anew that has failed or was canceled."""

from __future__ import annotations

from datetime import datetime

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _

from credentials.errors import Conflict, StorageUnavailable
from credentials.models import Import, ImportState, Source
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.imports import queueing, requests
from credentials.services.imports.canceling import locked
from credentials.services.imports.claims import NOTHING_DONE, circumstances_of, subject_of


@transaction.atomic
def retry(*, actor: Actor, job: Import, now: datetime) -> Import:
    """Put an import that failed or was canceled into the queue again, with all its attempts before it.

    Raises Conflict where it has not failed, its person is not active, or its uploaded file is not kept any more;
    TooManyRequests and QuotaExceeded as for a new one; StorageUnavailable where nobody can tell.
    """
    requests.lock_active(job.library.owner)
    requests.refuse_used_up(job.library.owner)
    current = locked(job)
    if current.state not in {ImportState.FAILED, ImportState.CANCELED}:
        raise Conflict(_("Only an import that failed or was canceled can be begun anew."))
    if current.source == Source.ZIP and not _is_kept(current.upload):
        raise Conflict(_("The uploaded file is not kept any more. Upload it again."))
    current.state, current.attempts = ImportState.QUEUED, 0
    current.queued_at = current.heartbeat_at = now
    current.cancel_requested_at = current.ended_at = current.started_at = None
    current.verdict = current.error = None
    for name, value in NOTHING_DONE.items():
        setattr(current, name, value)
    current.save()
    audit.record(
        "import.requested",
        actor=actor,
        subject=subject_of(current),
        data={"source": current.source, "status": "again"},
        **circumstances_of(current),
    )
    queueing.enqueue(current.pk)
    return current


def _is_kept(name: str) -> bool:
    try:
        return bool(name) and default_storage.exists(name)
    except Exception:
        raise StorageUnavailable("The storage does not answer at present.") from None
