"""Tasks on Celery, for deployments that have it: the same tasks, another way to a worker.

Only ids travel: what a task is about lies in the database. A broker that is out costs nothing but time, because an
import's row says that it waits, and a duty offers it again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.db import transaction
from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.utils import get_random_id
from kombu.exceptions import OperationalError

from project.celery import RUN, app

logger = logging.getLogger(__name__)


class CeleryBackend(BaseTaskBackend):
    """Hands tasks over to Celery once the caller's transaction is committed, and not at all if it is not."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Send a task on its way. Results are not kept: whoever wants to know asks the database."""
        self.validate_task(task)
        identity = get_random_id()
        transaction.on_commit(partial(_send, task, list(args), dict(kwargs), identity))
        return TaskResult(
            task=task,
            id=identity,
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=list(args),
            kwargs=dict(kwargs),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


def _send(task: Any, args: list[Any], kwargs: dict[str, Any], identity: str) -> None:
    try:
        app.send_task(
            RUN, args=[task.module_path, args, kwargs], queue=task.queue_name, task_id=identity, retry=False
        )
    except (OperationalError, OSError) as error:
        logger.error("the broker took no task: %s", type(error).__name__)
