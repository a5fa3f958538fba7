"""Puts imports into the background queue: ids only. An entry says where to look; the import's row decides."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django_tasks import TaskResultStatus, task
from django_tasks_db.models import DBTaskResult

from credentials.services import queue
from credentials.services.imports import running


@task(queue_name=queue.IMPORTS)
def run_import(import_id: str) -> None:
    """Carry out one import, if it still waits and nobody else has it; then see who waited behind it."""
    for waiting in running.run(UUID(import_id)):
        enqueue(waiting)


def enqueue(import_id: UUID) -> None:
    """Have an import carried out by a worker, with the caller's transaction or not at all.

    In the database it is an INSERT; a broker is told after the commit. One entry too many does no harm.
    """
    run_import.enqueue(str(import_id))


def missing(import_ids: Collection[UUID]) -> list[UUID]:
    """Which of these no worker would find in the queue.

    A broker cannot be asked for one entry. As long as anything waits there, it is busy and nothing is missing;
    and where it does not answer, it would take nothing either.
    """
    broker = queue.broker()
    if broker is not None:
        return list(import_ids) if import_ids and broker.waiting(queue.IMPORTS) == 0 else []
    waiting = DBTaskResult.objects.filter(queue_name=queue.IMPORTS, status=TaskResultStatus.READY)
    queued = {UUID(entry["args"][0]) for entry in waiting.values_list("args_kwargs", flat=True)}
    return [import_id for import_id in import_ids if import_id not in queued]
