"""``refresher``: renews OAuth tokens; a process of its own, so that nobody kills it in the middle of a call."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from credentials.services import processes
from credentials.services.processes import Kind
from credentials.services.refresh import loop

_LOOK_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Renews OAuth tokens ahead of time, and when a lease needs it, until it is told to stop; then it "
        "finishes what it holds. The worker starts one by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parent", type=int, help="the process without which it ends, too")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if options["parent"]:
            threading.Thread(target=_end_with, args=(options["parent"], stop), daemon=True).start()
        with processes.beating(Kind.REFRESHER):
            loop.run(stop)


def _end_with(parent: int, stop: threading.Event) -> None:
    """Stop once the parent is gone, however it went: the system gives this process another one."""
    while os.getppid() == parent and not stop.wait(_LOOK_SECONDS):
        pass
    stop.set()
