"""Puts work into the background queue: ids only, so that no secret ever lies in a queue."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, TaskResultStatus, task, task_backends
from django_tasks_db.backend import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from credentials.models import Credential
from credentials.models.credential import LENDABLE
from credentials.services import processes, verify
from credentials.services.audit import Actor
from credentials.services.processes import Watch

# A task that outlived so many workers may be what ends them.
MOST_WORKERS = 3
# Names that no worker of ours has: Django Tasks' own command makes them up, and shows no sign of life.
FOREIGN_KEPT = timedelta(hours=1)
_watch = Watch()
logger = logging.getLogger(__name__)

REPORTED = "reported as rejected"


@task()
def verify_credential(credential_id: str, purpose: str = REPORTED) -> None:
    """Verify one credential, if it is still lent and its host is open.

    One that is known to be dead by now is not asked about again: refusals add up at its host.
    """
    credential = (
        Credential.objects.select_related("host", "owner")
        .filter(pk=credential_id, host__is_enabled=True, owner__is_active=True, status__in=LENDABLE)
        .first()
    )
    if credential is not None:
        verify.verify(
            actor=Actor.system("worker"),
            credential=credential,
            purpose=purpose,
            in_doubt=purpose == REPORTED,
        )


def verify_later(credential_id: UUID, *, purpose: str = REPORTED) -> None:
    """Have a credential verified by a worker; by default because its borrower was refused.

    The entry is an INSERT in the caller's transaction: it appears, and disappears, with the change that
    asked for it.
    """
    why = {} if purpose == REPORTED else {"purpose": purpose}
    verify_credential.enqueue(str(credential_id), **why)


def is_in_database() -> bool:
    """Whether tasks are queued in the database, and a worker of ours runs them."""
    return isinstance(task_backends[DEFAULT_TASK_BACKEND_ALIAS], DatabaseBackend)


def restart_abandoned(*, now: datetime, watch: Watch = _watch) -> int:
    """Put back what workers left behind that were killed: the queue itself leaves it running for ever.

    A task only says where to look, so one that was nearly done is done again without harm.
    """
    return sum(_restart(left) for left in _running() if _is_left(left, now=now, watch=watch))


def restart_own() -> int:
    """Put back what this process's worker left behind when it lost the database; it runs nothing now."""
    mine = processes.identity()
    return sum(_restart(left) for left in _running() if left.worker_ids[-1:] == [mine])


def _running() -> QuerySet[Any]:
    running: QuerySet[Any] = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING)
    return running.only("id", "worker_ids", "started_at")


def _is_left(running: Any, *, now: datetime, watch: Watch) -> bool:
    worker = running.worker_ids[-1] if running.worker_ids else ""
    if ":" not in worker and abs(now - running.started_at) < FOREIGN_KEPT:
        return False
    return processes.is_gone(worker, now=now, watch=watch)


def _restart(left: Any) -> int:
    """By compare-and-set: a worker that took it meanwhile keeps it."""
    same = DBTaskResult.objects.filter(
        pk=left.pk, status=TaskResultStatus.RUNNING, started_at=left.started_at
    )
    if len(left.worker_ids) >= MOST_WORKERS:
        logger.error("task %s is given up: %d workers ended over it", left.pk, len(left.worker_ids))
        return int(same.update(status=TaskResultStatus.FAILED, finished_at=left.started_at))
    return int(same.update(status=TaskResultStatus.READY, started_at=None))
