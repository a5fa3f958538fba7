"""``add_host``: register a Git host, or bring one up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.crypto.secret import Secret
from credentials.errors import ForgekeyError
from credentials.providers import registry
from credentials.services import hosts
from credentials.services.audit import Actor


class Command(BaseCommand):
    help = "Registers a Git host, or updates the one with this slug. A secret is never an argument."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", required=True, choices=registry.names())
        parser.add_argument("--slug", required=True, help="short name in addresses and in the API")
        parser.add_argument("--name", default="", help="what people read")
        parser.add_argument("--web-url", required=True)
        parser.add_argument("--api-url", default="", help="only where it is not in the usual place")
        parser.add_argument("--client-id", default="", help="of the OAuth app registered at the host")
        parser.add_argument("--client-secret-file", type=Path, help="file with the OAuth client secret")
        parser.add_argument("--scopes", nargs="*", default=[], help="instead of the least that works")
        parser.add_argument("--allow-private-network", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            host = hosts.add_host(
                actor=Actor.system("add_host"),
                slug=options["slug"],
                provider=options["provider"],
                name=options["name"],
                web_url=options["web_url"],
                api_url=options["api_url"],
                client_id=options["client_id"],
                client_secret=_client_secret(options["client_secret_file"]),
                oauth_scopes=options["scopes"],
                allow_private_network=options["allow_private_network"],
            )
        except ForgekeyError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{host.slug}: {host.web_url}")


def _client_secret(path: Path | None) -> Secret | None:
    if path is None:
        return None
    try:
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise CommandError(f"The client secret cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise CommandError("The file with the client secret holds no text.")
    return Secret(text)
