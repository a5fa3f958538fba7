"""``maintain``: every periodic duty, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from credentials.services import maintenance


class Command(BaseCommand):
    help = "Carries out every periodic duty once. Safe to run twice, also at the same time."

    def handle(self, *args: Any, **options: Any) -> None:
        for duty, done in (maintenance.run(now=timezone.now()) | maintenance.ask_hosts()).items():
            self.stdout.write(f"{duty}: {done}")
