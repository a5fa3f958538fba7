"""``maintain``: every periodic duty that is due, once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.services import duties
from credentials.services.duties import Outcome, Result

_FACTS = ("name", "result", "done", "seconds", "error")


class Command(BaseCommand):
    help = (
        "Carries out every periodic duty that is due, once. Safe to run twice, also at the same time and "
        "beside a worker. Ends with status 1 if a duty failed; the others are carried out all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="also what is not due yet")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        outcomes = list(duties.once(force=options["force"]))
        failed = [outcome.name for outcome in outcomes if outcome.result is Result.FAILED]
        if options["json"]:
            facts = [{name: asdict(outcome)[name] for name in _FACTS} for outcome in outcomes]
            self.stdout.write(json.dumps({"ok": not failed, "duties": facts}))
        else:
            self._table(outcomes)
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}. The log says where.")

    def _table(self, outcomes: Sequence[Outcome]) -> None:
        width = max(len(outcome.name) for outcome in outcomes)
        self.stdout.write(f"{'duty':<{width}}  {'result':<10} {'seconds':>7}")
        for outcome in outcomes:
            said = f"{outcome.done} done" if outcome.result is Result.DONE else outcome.result.value
            self.stdout.write(
                f"{outcome.name:<{width}}  {said:<10} {outcome.seconds:>7.2f}  {outcome.error}".rstrip()
            )
