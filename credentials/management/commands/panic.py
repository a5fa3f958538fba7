"""``panic``: the emergency stop of one host, or of all of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from credentials.errors import ForgekeyError
from credentials.models import Host
from credentials.services import panic
from credentials.services.audit import Actor
from credentials.services.panic import Report

_WIDTH = 40
ALL = "all hosts"
ORDER = ("quarantined", "pending", "revoked", "already_invalid", "manual")
_MOST_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Quarantines every credential of a host at once, so that nothing is lent any more, then disconnects "
        "each and asks the host to revoke its token. May be ended and started again at any point. Ends with "
        "status 1 while a token is neither revoked nor left to a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--host", action="append", metavar="SLUG", help="may be given several times")
        which.add_argument("--all-hosts", action="store_true")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--no-revoke", action="store_true", help="quarantine only; a release undoes that")
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON, mode 0600")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = _hosts(options["host"])
        revoking = not options["no_revoke"]
        if not options["yes"]:
            self._ask(chosen, everywhere=options["all_hosts"], revoking=revoking)
        actor = Actor.system("panic")
        try:
            self._stop(chosen, actor=actor, revoking=revoking)
            if revoking:
                self._revoke(chosen, actor=actor)
        except ForgekeyError as error:
            raise CommandError(f"{error} Run the same command again to go on.") from error
        told = panic.report(chosen)
        self._tell(told)
        if options["report"]:
            _write(options["report"], told)
        unsettled = told.total("pending") + (told.total("quarantined") if revoking else 0)
        if unsettled:
            raise CommandError(
                f"Not settled: {unsettled}. The worker goes on asking; run this again to see how it stands."
            )

    def _ask(self, chosen: list[Host], *, everywhere: bool, revoking: bool) -> None:
        word = ALL if everywhere else ", ".join(host.slug for host in chosen)
        what = "quarantined, disconnected and revoked" if revoking else "quarantined"
        self.stdout.write(f"{panic.live(chosen).count()} credentials will be {what}.")
        if revoking:
            self.stdout.write("Their owners have to connect again. This cannot be undone.")
        self.stdout.write(f"Type “{word}” to go on: ", ending="")
        self.stdout.flush()
        try:
            typed = input()
        except EOFError:
            typed = ""
        if typed.strip() != word:
            raise CommandError("Nothing was done.")

    def _stop(self, chosen: list[Host], *, actor: Actor, revoking: bool) -> None:
        bar = _Bar(self, "quarantined", panic.live(chosen).count())
        now = timezone.now()
        done = panic.stop(actor=actor, chosen=chosen, revoking=revoking, now=now, progress=bar.show)
        bar.end(done)

    def _revoke(self, chosen: list[Host], *, actor: Actor) -> None:
        bar = _Bar(self, "disconnected and asked about", panic.live(chosen).count())
        bar.end(panic.revoke(actor=actor, chosen=chosen, progress=bar.show))

    def _tell(self, told: Report) -> None:
        for slug, counts in told.counts.items():
            known = ", ".join(f"{name} {counts[name]}" for name in ORDER if counts.get(name))
            self.stdout.write(f"{slug}: {known or 'nothing'}")
        if told.by_hand:
            self.stdout.write(f"To be revoked by hand: {len(told.by_hand)}")
        for one in told.by_hand[:_MOST_SHOWN]:
            self.stdout.write(
                f"  {one.user} at {one.host} ({one.account or one.label or one.kind}): {one.url}"
            )
        if len(told.by_hand) > _MOST_SHOWN:
            self.stdout.write(f"  … and {len(told.by_hand) - _MOST_SHOWN} more; --report lists them all")


def _hosts(slugs: list[str] | None) -> list[Host]:
    """Switched off ones too: what was stored for them lives on there."""
    chosen = list(Host.objects.order_by("slug").filter(**({"slug__in": slugs} if slugs else {})))
    unknown = sorted(set(slugs or ()) - {host.slug for host in chosen})
    if unknown:
        raise CommandError(f"There is no host {', '.join(unknown)}.")
    return chosen


def _write(path: Path, told: Report) -> None:
    """The report, readable by nobody else, and never half of it: it takes the place of an older one at once."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        body = {"at": timezone.now().isoformat(), "hosts": told.counts}
        json.dump({**body, "by_hand": [asdict(one) for one in told.by_hand]}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class _Bar:
    """A bar with counts and rate on a terminal, a line at the end everywhere."""

    def __init__(self, command: BaseCommand, word: str, total: int) -> None:
        self._out, self._err = command.stdout, command.stderr
        self._word, self._total = word, max(total, 1)
        self._began, self._next = time.monotonic(), 0.0

    def show(self, done: int) -> None:
        if self._err.isatty() and time.monotonic() >= self._next:
            filled = min(_WIDTH * done // self._total, _WIDTH)
            bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"
            line = f"\r{bar} {done} of {self._total} {self._word}, {self._rate(done):.0f} a second"
            self._err.write(line, ending="")
            self._err.flush()
            self._next = time.monotonic() + 0.2

    def end(self, done: int) -> None:
        if self._err.isatty():
            self._next = 0.0
            self.show(done)
            self._err.write("")
        seconds = time.monotonic() - self._began
        self._out.write(f"{done} {self._word} in {seconds:.1f} s ({self._rate(done):.0f} a second)")

    def _rate(self, done: int) -> float:
        return done / max(time.monotonic() - self._began, 0.001)
