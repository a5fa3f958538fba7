"""``worker``: runs queued tasks, and the periodic duties between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils import timezone

from credentials.conf import conf
from credentials.services import maintenance


class Command(BaseCommand):
    help = "Runs background tasks and the periodic duties until it is told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        rounds = [
            threading.Thread(target=self._rounds, args=(stop, duties), name=name, daemon=True)
            for name, duties in (
                ("duties", lambda: maintenance.run(now=timezone.now())),
                ("hosts", maintenance.ask_hosts),
            )
        ]
        for thread in rounds:
            thread.start()
        try:
            call_command("db_worker", queue_name="*", verbosity=options["verbosity"])
        finally:
            stop.set()
            for thread in rounds:
                thread.join(timeout=10)

    def _rounds(self, stop: threading.Event, duties: Callable[[], object]) -> None:
        while True:
            try:
                duties()
            except Exception as error:
                # The next round tries again; a worker that died of a short outage would seal nothing.
                self.stderr.write(f"maintenance failed: {type(error).__name__}")
            finally:
                connection.close()
            if stop.wait(conf.seal_interval.total_seconds()):
                return
