"""Puts imports into the background queue: ids only. An entry says where to look; the import's row decides."""

from __future__ import annotations

from uuid import UUID

from django_tasks import task

from credentials.services.imports import running

QUEUE = "imports"


@task(queue_name=QUEUE)
def run_import(import_id: str) -> None:
    """Carry out one import, if it still waits and nobody else has it; then see who waited behind it."""
    for waiting in running.run(UUID(import_id)):
        enqueue(waiting)


def enqueue(import_id: UUID) -> None:
    """Have an import carried out by a worker, with the caller's transaction or not at all."""
    run_import.enqueue(str(import_id))
