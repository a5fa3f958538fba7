"""``rotate_keys``: everything that is stored under the ring's first key, while the product goes on."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.errors import ForgekeyError
from credentials.services import rotate, sealed_rows, vault

_WIDTH = 40
_MOST_FAILURES = 20


class Command(BaseCommand):
    help = (
        "Re-wraps everything that is stored under the key ring's first key, while Forgekey runs. It may be "
        "stopped at any point and started again, also twice at the same time. See generate_key --help for "
        "how to make a new first key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--batch",
            type=int,
            default=rotate.BATCH,
            help="rows in one transaction; other writers wait for one at most (default: %(default)s)",
        )
        parser.add_argument("--dry-run", action="store_true", help="count the rows per key, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch"] <= 10_000:  # noqa: PLR2004  # more would hold up every other writer
            raise CommandError("--batch is a number from 1 to 10000.")
        try:
            if options["dry_run"]:
                self._count()
            else:
                self._rotate(options["batch"])
        except ForgekeyError as error:
            raise CommandError(str(error)) from error

    def _count(self) -> None:
        first, *others = vault.ring().ids
        for key_id, kinds in sorted(sealed_rows.counts().items()):
            where = (
                "first" if key_id == first else "older" if key_id in others else "missing from the key ring"
            )
            rows = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
            self.stdout.write(f"{key_id} ({where}): {rows}")
        self.stdout.write(f"{rotate.remaining()} rows to re-wrap under key {first}.")

    def _rotate(self, batch: int) -> None:
        bar = _Bar(self)
        outcome = rotate.rotate(batch=batch, progress=bar.show)
        bar.end()
        for kind, count in sorted(outcome.rewrapped.items()):
            if count:
                self.stdout.write(f"{kind}: {count} re-wrapped")
        failures = list(outcome.failures.values())
        for failure in failures[:_MOST_FAILURES]:
            self.stderr.write(f"{failure.kind} {failure.id} was left as it is: {failure.reason}")
        if len(failures) > _MOST_FAILURES:
            self.stderr.write(f"… and {len(failures) - _MOST_FAILURES} more")
        if failures:
            raise CommandError(f"{len(failures)} rows do not open; everything else is done.")
        if not outcome.complete:
            raise CommandError(
                f"{outcome.remaining} rows came under an older key meanwhile: a process still runs with the "
                "old key ring. Restart every process, then run this again."
            )
        self.stdout.write(self.style.SUCCESS(f"Everything is under key {vault.primary_key_id()}."))


class _Bar:
    """A progress bar on a terminal, nothing elsewhere. What is left is counted in the database, so that it
    is true while another run helps; at most once a second, because counting takes its time."""

    def __init__(self, command: BaseCommand) -> None:
        self._err = command.stderr
        self._visible = self._err.isatty()
        self._total = rotate.remaining() if self._visible else 0
        self._next = 0.0

    def show(self) -> None:
        if self._visible and time.monotonic() >= self._next:
            self._write(rotate.remaining())
            self._next = time.monotonic() + 1

    def end(self) -> None:
        if self._visible:
            self._write(rotate.remaining())
            self._err.write("")

    def _write(self, left: int) -> None:
        total = max(self._total, left, 1)
        filled = _WIDTH * (total - left) // total
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"
        self._err.write(f"\r{bar} {total - left} of {total}", ending="")
        self._err.flush()
