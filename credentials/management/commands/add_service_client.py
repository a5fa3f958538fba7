"""``add_service_client``: make a machine caller; its key is printed once, alone on stdout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime, parse_duration

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


def _expiry(text: str | None) -> Any:
    if not text:
        return None
    if text.isdigit():
        return timezone.now() + timedelta(days=int(text))
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or parse_duration(text) is not None:
        raise CommandError("Write --expires as 2027-01-31T00:00Z, or as a number of days.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
