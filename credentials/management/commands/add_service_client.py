"""``add_service_client``: make a machine caller; its key is printed once, alone on stdout."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from credentials.errors import ForgekeyError
from credentials.models import Scope
from credentials.services import clients
from credentials.services.audit import Actor


class Command(BaseCommand):
    help = "Makes a service client and prints its key, once, alone on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--scope", action="append", required=True, choices=Scope.values)
        parser.add_argument("--host", action="append", default=[], help="slug; may be given again")
        parser.add_argument("--allow-ip", action="append", default=[], help="CIDR block; may be given again")
        parser.add_argument("--expires", help="a time (2027-01-31T00:00Z) or days from now (90)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            client, key = clients.create(
                actor=Actor.system("add_service_client"),
                name=options["name"],
                scopes=options["scope"],
                hosts=options["host"],
                allowed_networks=options["allow_ip"],
                expires_at=_expiry(options["expires"]),
            )
        except ForgekeyError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"{client.name}: this key is shown once.")
        self.stdout.write(key.reveal())


def _expiry(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,5}", text):
            end = timezone.now() + timedelta(days=int(text))
        else:
            end = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError("Write --expires as 2027-01-31T00:00Z, or as a number of days.") from error
    end = end if timezone.is_aware(end) else timezone.make_aware(end)
    if end <= timezone.now():
        raise CommandError("--expires has to lie ahead: a key that has ended already serves nobody.")
    return end
