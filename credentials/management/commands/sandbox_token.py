"""``sandbox_token``: make a token at the running sandbox."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.models import Host
from project.sandbox import client


class Command(BaseCommand):
    help = "Makes a token at the running sandbox and prints it, alone on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", required=True, help="slug of a sandbox host")
        parser.add_argument("--account", required=True)
        parser.add_argument("--kind", required=True)
        parser.add_argument("--scope", action="append", default=[])
        parser.add_argument("--expires-in", type=float, help="seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        host = Host.objects.filter(slug=options["host"]).first()
        if host is None:
            raise CommandError("No host with this slug is set up here; start the demo first.")
        try:
            made = client.mint(
                host.web_url,
                account=options["account"],
                kind=options["kind"],
                scopes=options["scope"],
                expires_in=options["expires_in"],
            )
        except client.SandboxError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(made["token"])
