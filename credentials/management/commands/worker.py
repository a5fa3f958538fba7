"""``worker``: runs queued tasks, imports and the periodic duties, and keeps a refresher beside it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error, close_old_connections, connection
from django_tasks_db.management.commands.db_worker import Worker

from credentials.management.supervisor import Supervisor
from credentials.services import duties, processes, queue
from credentials.services.duties import PeriodicDuty, Result
from credentials.services.imports import claims
from credentials.services.processes import Kind

# How often duties are looked at; one whose interval is shorter is looked at as often.
_LOOK_SECONDS = 5.0
_AGAIN_SECONDS = 5.0
_THREADS_END_SECONDS = 10.0
# Beyond it, threads of one process only wait for each other: start another worker.
MOST_IMPORTS = 16
# A key ring in the environment is taken out of it by whoever reads it first; the refresher needs it, too.
_STARTED_WITH = dict(os.environ)
# Errors of a database that is out, which the next duty would only meet again.
_OUT = {"OperationalError", "InterfaceError"}

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Runs imports and other tasks, the periodic duties and a refresher until it is told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-refresher", action="store_true", help="where the refresher is a service of its own"
        )
        imports = parser.add_mutually_exclusive_group()
        imports.add_argument(
            "--imports",
            type=_number,
            default=1,
            metavar="N",
            help="how many imports at the same time; one unless said",
        )
        imports.add_argument(
            "--no-imports",
            action="store_const",
            const=0,
            dest="imports",
            help="where other workers carry out the imports",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        threads = [*_duty_threads()]
        threads += [(run_imports, (), f"imports {number + 1}") for number in range(options["imports"])]
        if not options["no_refresher"]:
            threads.append((_refresher().run, (), "refresher"))
        with processes.beating(Kind.WORKER), _running(threads):
            _run_tasks(verbosity=options["verbosity"])


def _number(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= MOST_IMPORTS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_IMPORTS}")
    return int(word)


def _leave(*_: Any) -> NoReturn:
    sys.exit(0)


@contextmanager
def _running(threads: Sequence[tuple[Any, tuple[Any, ...], str]]) -> Iterator[None]:
    """Run these beside the block; afterwards the refresher may take as long as its calls do."""
    stop = threading.Event()
    started = [
        threading.Thread(target=run, args=(*words, stop), name=name, daemon=True)
        for run, words, name in threads
    ]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        claims.stop_all()
        until = time.monotonic() + _THREADS_END_SECONDS
        for thread in started:
            late = Supervisor.LATE + 1 if thread.name == "refresher" else 0
            thread.join(timeout=max(0.0, until - time.monotonic(), late))


def _duty_threads() -> Iterator[tuple[Any, tuple[Any, ...], str]]:
    """One thread for all that is done here, and one for each duty that waits for others."""
    yield look_after, ([duty for duty in duties.REGISTRY if not duty.waits],), "duties"
    for duty in duties.REGISTRY:
        if duty.waits:
            yield look_after, ([duty],), duty.name


def look_after(chosen: Sequence[PeriodicDuty], stop: threading.Event) -> None:
    """Carry these duties out whenever they are due, until ``stop``."""
    while not stop.is_set():
        for duty in chosen:
            outcome = duties.carry_out(duty)
            if stop.is_set() or (outcome.result is Result.FAILED and outcome.error in _OUT):
                break
        close_old_connections()
        stop.wait(min(_LOOK_SECONDS, *(duty.interval().total_seconds() for duty in chosen)))
    connection.close()


class _Imports(Worker):
    """The queue of imports, in a thread of its own: they take minutes, and nothing else waits for them.

    A thread and no child, as the refresher is one: an import may be interrupted at any moment, so nothing has to
    outlive this process; what fetches is a child anyway (git), and what reads and stores waits for disks.
    """

    def __init__(self, alias: str, stop: threading.Event) -> None:
        self._stop = stop
        super().__init__(
            queue_names=[queue.IMPORTS],
            excluded_queue_names=[],
            interval=1.0,
            batch=False,
            backend_name=alias,
            startup_delay=False,
            max_tasks=None,
            worker_id=processes.identity(),
        )

    @property
    def running(self) -> bool:
        return not self._stop.is_set()

    @running.setter
    def running(self, value: bool) -> None:
        """Only ``stop`` decides."""


def run_imports(stop: threading.Event) -> None:
    """Carry out queued imports, one after the other, until ``stop``; an outage of the database ends nothing."""
    alias = queue.database_alias()
    while not stop.is_set():
        try:
            _Imports(alias, stop).run()
        except Error as error:
            logger.error("imports stand still: %s", type(error).__name__)
            connection.close()
            stop.wait(_AGAIN_SECONDS)
    connection.close()


def _refresher() -> Supervisor:
    words = (sys.executable, "manage.py", "refresher", "--parent", str(os.getpid()))
    return Supervisor(words, name="refresher", folder=settings.BASE_DIR, environment=lambda: _STARTED_WITH)


def _run_tasks(*, verbosity: int) -> None:
    """Run queued tasks until a signal ends this process; an outage of the database does not."""
    alias = queue.database_alias()
    while True:
        try:
            queue.restart_own()
            call_command(
                "db_worker",
                f"--backend={alias}",
                queue_name="*",
                exclude_queues=queue.IMPORTS,
                verbosity=verbosity,
                worker_id=processes.identity(),
                reload=False,
            )
        except Error as error:
            logger.error("tasks stand still: %s", type(error).__name__)
            connection.close()
            time.sleep(_AGAIN_SECONDS)
        else:
            return
