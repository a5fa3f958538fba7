"""The Celery application, where ``TASK_QUEUE_URL`` names a broker: ``celery -A project.celery worker``."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.conf import settings  # Celery's own settings depend on Django's

RUN = "forgekey.run"
# More than any import may take (CREDENTIALS_IMPORT_SECONDS): a broker that hears nothing for so long gives the task
# to another worker. One whose connection breaks is noticed at once.
_LONGEST_SECONDS = 22_200

app = Celery("forgekey")
app.conf.update(
    broker_url=settings.TASK_QUEUE_URL,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": _LONGEST_SECONDS},
    # Nothing but text is ever taken from the broker; pickle would run what stands there.
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="default",
    # A task is done when it is done: what a killed worker held is given to another one.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@cache
def _tasks() -> dict[str, Any]:
    """What may be run, by its path: whoever writes to the broker shall not run anything else."""
    from credentials.services import queue  # noqa: PLC0415  # only once Django is set up
    from credentials.services.imports import queueing  # noqa: PLC0415  # as above

    return {task.module_path: task for task in (queue.verify_credential, queueing.run_import)}


@app.task(name=RUN)  # type: ignore[untyped-decorator]  # Celery ships no types
def run(path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run one of our tasks; a sign of life tells other machines that this process works on it."""
    from credentials.services import processes  # noqa: PLC0415  # only once Django is set up
    from credentials.services.processes import Kind  # noqa: PLC0415  # as above

    with processes.beating(Kind.PASSING):
        _tasks()[path].call(*args, **kwargs)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]  # as above
def _put_back(*_: Any, **__: Any) -> None:
    """A worker that is told to end lets go of its import within a second."""
    from credentials.services.imports import claims  # noqa: PLC0415  # only once Django is set up

    claims.stop_all()
