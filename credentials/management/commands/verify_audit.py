"""``verify_audit``: prove the audit trail."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credentials.conf import conf
from credentials.errors import ForgekeyError
from credentials.models import AuditHead
from credentials.services import audit_proof

_WIDTH = 40


class Command(BaseCommand):
    help = "Proves every event, link and seal of the audit trail, and every credential row against it."

    def handle(self, *args: Any, **options: Any) -> None:
        head = AuditHead.objects.first()
        total = max(head.seq if head else 0, 1)

        def progress(done: int) -> None:
            if self.stderr.isatty():
                filled = _WIDTH * done // total
                self.stderr.write(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {done}", ending="")

        try:
            proof = audit_proof.verify(anchor=conf.data_dir / "audit-anchor", progress=progress)
        except ForgekeyError as error:
            raise CommandError(str(error)) from error
        if self.stderr.isatty():
            self.stderr.write("")
        if not proof.holds:
            raise CommandError(proof.problem)
        self.stdout.write(self.style.SUCCESS(f"{proof.events} events and {proof.seals} seals hold."))
