"""``doctor``: whether the installation is well, and what to do where it is not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from credentials.services import doctor
from credentials.services.remarks import Level, Remark


class Command(BaseCommand):
    help = (
        "Examines the installation with a canary credential, and says what is wrong and what mends it. "
        "Changes nothing. Ends with status 1 where there is a problem. Run it as the user that runs Forgekey."
    )
    requires_system_checks: list[str] = []  # they are a part of the examination

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="do not ask the Git hosts")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        found: list[Remark] = []
        for remark in doctor.examine(now=timezone.now(), offline=options["offline"]):
            found.append(remark)
            if not options["json"]:
                self._show(remark)
        levels = Counter(remark.level for remark in found)
        problems = levels[Level.PROBLEM]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not problems, "findings": [asdict(one) for one in found]}))
        if problems:
            raise CommandError(f"Problems: {problems}. Warnings: {levels[Level.WARNING]}.")
        if not options["json"]:
            self.stdout.write(f"No problem. Warnings: {levels[Level.WARNING]}.")

    def _show(self, remark: Remark) -> None:
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }[remark.level]
        self.stdout.write(f"{style(f'{remark.level:<8}')} {remark.check}: {remark.text}")
        if remark.remedy:
            self.stdout.write(f"         {remark.remedy}")
