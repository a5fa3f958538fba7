"""Puts work into the background queue: ids only, so that no secret ever lies in a queue."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, TaskResultStatus, task, task_backends
from django_tasks_db import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from credentials.errors import ConfigurationError
from credentials.models import Credential
from credentials.models.credential import LENDABLE
from credentials.services import processes, verify
from credentials.services.audit import Actor
from credentials.services.processes import Watch

# The queue whose entries only say which row to look at: that row counts its own attempts.
IMPORTS = "imports"
# A task that outlived so many workers may be what ends them.
MOST_WORKERS = 3
# What was done is of no interest after a while; what failed is looked at by people.
FINISHED_KEPT = timedelta(days=7)
# Names that no worker of ours has: Django Tasks' own command makes them up, and shows no sign of life.
FOREIGN_KEPT = timedelta(hours=1)
_watch = Watch()
logger = logging.getLogger(__name__)

REPORTED = "reported as rejected"


class Broker(Protocol):
    """A queue that is not in this database."""

    def waiting(self, queue_name: str) -> int | None:
        """How many entries no worker has taken yet; None where the broker does not answer."""


def broker() -> Broker | None:
    """The queue where it is not in this database; None where it is."""
    backend = task_backends[DEFAULT_TASK_BACKEND_ALIAS]
    return backend if hasattr(backend, "waiting") else None


def database_alias() -> str:
    """The name of the queue in this database: the default, or the one for what a broker does not take.

    Raises ConfigurationError where there is none.
    """
    aliases = sorted(settings.TASKS, key=lambda alias: alias != DEFAULT_TASK_BACKEND_ALIAS)
    for alias in aliases:
        if isinstance(task_backends[alias], DatabaseBackend):
            return alias
    raise ConfigurationError("TASKS has no queue in the database; see project/settings.py for what it needs.")


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


def restart_abandoned(*, now: datetime, watch: Watch = _watch) -> int:
    """Put back what workers left behind that were killed: the queue itself leaves it running for ever.

    A task only says where to look, so one that was nearly done is done again without harm.
    """
    return sum(_restart(left) for left in _running() if _is_left(left, now=now, watch=watch))


def restart_own() -> int:
    """Put back what this process's worker left behind when it lost the database; it runs nothing now.

    Imports run beside it and may well go on; what became of them their rows say.
    """
    mine = processes.identity()
    running = _running().exclude(queue_name=IMPORTS)
    return sum(_restart(left) for left in running if left.worker_ids[-1:] == [mine])


def drop_finished(*, now: datetime) -> int:
    """Forget what was done long ago."""
    old = DBTaskResult.objects.finished().filter(finished_at__lt=now - FINISHED_KEPT)
    return int(old.delete()[0])


def _running() -> QuerySet[Any]:
    running: QuerySet[Any] = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING)
    return running.only("id", "worker_ids", "started_at", "queue_name")


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
    if len(left.worker_ids) >= MOST_WORKERS and left.queue_name != IMPORTS:
        logger.error("task %s is given up: %d workers ended over it", left.pk, len(left.worker_ids))
        return int(same.update(status=TaskResultStatus.FAILED, finished_at=left.started_at))
    return int(same.update(status=TaskResultStatus.READY, started_at=None))
