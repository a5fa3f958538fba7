"""Carries out Forgekey's background tasks on Celery: ``celery -A project.celery worker -Q imports,default``.

Whoever may write to the broker may have these tasks carried out with ids of their choice, and nothing else: tasks
are known by name, none of Celery's own is among them, messages are JSON, and workers take no remote orders.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import django
from celery import Celery, signals
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from kombu.entity import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
if not apps.ready:
    django.setup()

from credentials.conf import conf  # Django must know its apps before
from credentials.services import processes  # as above
from credentials.services.imports import pulse  # as above
from credentials.services.imports.queueing import run_import  # as above
from credentials.services.processes import Kind  # as above
from credentials.services.queue import verify_credential  # as above

# All there is. A task that is not listed cannot be carried out (tests/project/test_celery.py).
TASKS = (verify_credential, run_import)
# Beyond the longest import: only then does Redis take an entry for lost and hand it out again.
_LONGER = timedelta(minutes=15)
_AGAIN_SECONDS = 5
_ANSWERS_SECONDS = 2

logger = logging.getLogger(__name__)


def _configured() -> Celery:
    backend: dict[str, Any] = settings.TASKS["default"]
    facts: dict[str, str] = backend.get("OPTIONS", {})
    if "secret_url" not in facts:
        raise ImproperlyConfigured(
            "TASK_QUEUE_URL is not set: the database is the queue, and needs no Celery."
        )
    made = Celery("forgekey", broker=facts["secret_url"], set_as_current=False)
    made.conf.update(
        broker_transport_options=_transport(facts),
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_ANSWERS_SECONDS,
        # A request waits for it; what is not taken at once is kept elsewhere (project/task_backends.py).
        task_publish_retry=False,
        task_queues=[_queue(name) for name in backend["QUEUES"]],
        task_default_queue="default",
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # An entry is done with only when its task is: whoever dies over it leaves it to another worker.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return made


def _queue(name: str) -> Any:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]  # kombu's own


def _transport(facts: dict[str, str]) -> dict[str, Any]:
    if not facts["secret_url"].startswith("redis"):
        return {"confirm_publish": True}
    return {
        "global_keyprefix": f"{facts['prefix']}:",
        "visibility_timeout": int((conf.import_duration + _LONGER).total_seconds()),
        "socket_connect_timeout": _ANSWERS_SECONDS,
        # More than the second for which a worker waits for entries.
        "socket_timeout": _ANSWERS_SECONDS + 1,
    }


def _register(task: Any) -> None:
    def carry_out(self: Any, *args: Any, **kwargs: Any) -> None:
        _show_life()
        try:
            task.call(*args, **kwargs)
            return
        except Error as error:
            kind = type(error).__name__
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Neither its words nor a traceback: both may repeat what was stored.
            logger.error(
                "%s failed: %s at %s:%s", task.name, type(error).__name__, place.filename, place.lineno
            )
            return
        logger.error("%s stands still: %s", task.name, kind)
        # Outside of the handler, so that the database's words stay out of the broker.
        raise self.retry(countdown=_AGAIN_SECONDS)

    app.task(carry_out, name=task.module_path, bind=True, max_retries=None)


app = _configured()
app.finalize()
for _name in [name for name in app.tasks if name.startswith("celery.")]:
    app.tasks.unregister(_name)
for _task in TASKS:
    _register(_task)


# --- The worker's processes ---------------------------------------------------------------------------

_life = ExitStack()
_living: set[int] = set()
_line: dict[str, int] = {}


def _show_life() -> None:
    """Give signs of life from this process, whichever kind of pool it belongs to: others would take its imports."""
    pid = os.getpid()
    if pid not in _living:
        _living.clear()  # a parent's, where this is a child
        _living.add(pid)
        _life.enter_context(processes.beating(Kind.RUNNER))


def _open_line(**_: Any) -> None:
    """Before there are children: when its other end closes, with a word or by a kill, they know of the end."""
    _line.update(zip(("read", "write"), os.pipe(), strict=True), parent=os.getpid())


def _begin(**_: Any) -> None:
    # Some pools have no children, and say the same.
    if _line and _line["parent"] != os.getpid():
        os.close(_line["write"])
        threading.Thread(target=_wait_for_end, args=(_line["read"],), name="parent", daemon=True).start()
    _show_life()


def _wait_for_end(read_end: int) -> None:
    os.read(read_end, 1)
    pulse.stop_all()


def _end(**_: Any) -> None:
    _life.close()


def _shut_down(**_: Any) -> None:
    """A running import is put back instead of waited for."""
    pulse.stop_all()
    if _line:
        os.close(_line["write"])
        _line.clear()  # a second signal must not close what has the number by then


def _leave_logging_alone(**_: Any) -> None:
    """Django has set it up: as JSON, and without secrets."""


signals.setup_logging.connect(_leave_logging_alone, weak=False)
signals.worker_init.connect(_open_line, weak=False)
signals.worker_process_init.connect(_begin, weak=False)
signals.worker_process_shutdown.connect(_end, weak=False)
signals.worker_shutting_down.connect(_shut_down, weak=False)
signals.worker_shutdown.connect(_end, weak=False)
