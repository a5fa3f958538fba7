"""Hands background tasks to Celery, where TASK_QUEUE_URL names a broker; without it the database is the queue.

Only imported where the settings name it, and Celery only once a task is sent or looked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from django.core.checks import CheckMessage, Error
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone
from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.signals import task_enqueued

# The queue beside it, for what the broker does not take.
DATABASE = "database"
_PACKAGES = {"redis": "redis", "rediss": "redis"}

logger = logging.getLogger(__name__)


class CeleryBackend(BaseTaskBackend):
    """Django Tasks on Celery: the task's path is its name there, and ids are all that is sent.

    A task is sent after the commit that asked for it. What the broker does not take then is put into the
    database's queue, so the request that asked has been answered well and nothing is lost.
    """

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Have a task sent with the caller's transaction, or not at all."""
        self.validate_task(task)
        result: TaskResult[Any] = TaskResult(
            task=task,
            id=str(uuid4()),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=list(args),
            kwargs=dict(kwargs),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        transaction.on_commit(partial(_send, result))
        task_enqueued.send(type(self), task_result=result)
        return result

    def waiting(self, queue_name: str) -> int | None:
        """How many entries no worker has taken yet; None where the broker does not answer."""
        from kombu.exceptions import OperationalError  # noqa: PLC0415  the extra celery

        try:
            with _application().connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
                # Declared as Celery does it: a queue to which nothing was ever sent is an empty one.
                named = {"durable": True, "auto_delete": False, "exclusive": False}
                return int(connection.default_channel.queue_declare(queue_name, **named).message_count)
        except (OperationalError, OSError) as error:
            logger.error("the broker does not answer: %s", type(error).__name__)
            return None

    def check(self, **_: Any) -> list[CheckMessage]:
        """What is missing for it, before anything is sent."""
        return [
            Error(
                f"TASK_QUEUE_URL needs the package {name}.",
                hint='pip install "celery[redis]>=5.5" (the extra celery), or remove TASK_QUEUE_URL.',
                id="project.E001",
            )
            for name in self._packages()
            if find_spec(name) is None
        ]

    def _packages(self) -> Iterator[str]:
        yield "celery"
        scheme = str(self.options["secret_url"]).partition(":")[0]
        if scheme in _PACKAGES:
            yield _PACKAGES[scheme]


def _application() -> Any:
    """Celery's application; it imports our tasks, which need this module first."""
    from project.celery import app  # noqa: PLC0415  see above

    return app


def _send(result: TaskResult[Any]) -> None:
    """Whatever goes wrong, the change that asked is committed: it is logged, and kept where it can be."""
    task = result.task
    try:
        _application().send_task(
            task.module_path,
            args=result.args,
            kwargs=result.kwargs,
            task_id=result.id,
            queue=task.queue_name,
            ignore_result=True,
        )
        return
    except Exception as error:
        # Without its words: they may hold the broker's address.
        logger.error("the broker took no task: %s", type(error).__name__)
    try:
        task.using(backend=DATABASE).enqueue(*result.args, **result.kwargs)
    except DatabaseError as error:
        logger.error("the task %s is not queued: %s", task.name, type(error).__name__)
