"""``doctor``: whether the installation is well, and what to do where it is not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from credentials.services import doctor
from credentials.services.findings import Finding, Level


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
        found: list[Finding] = []
        for finding in doctor.examine(now=timezone.now(), offline=options["offline"]):
            found.append(finding)
            if not options["json"]:
                self._show(finding)
        levels = Counter(finding.level for finding in found)
        problems = levels[Level.PROBLEM]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not problems, "findings": [asdict(one) for one in found]}))
        if problems:
            raise CommandError(f"Problems: {problems}. Warnings: {levels[Level.WARNING]}.")
        if not options["json"]:
            self.stdout.write(f"No problem. Warnings: {levels[Level.WARNING]}.")

    def _show(self, finding: Finding) -> None:
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }[finding.level]
        self.stdout.write(f"{style(f'{finding.level:<8}')} {finding.check}: {finding.text}")
        if finding.remedy:
            self.stdout.write(f"         {finding.remedy}")
