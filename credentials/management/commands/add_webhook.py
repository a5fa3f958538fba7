"""``add_webhook``: tell a client what happens; the signing secret is printed once, alone on stdout."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.errors import ForgekeyError
from credentials.models import ServiceClient, WebhookEvent
from credentials.services.audit import Actor
from credentials.services.webhooks import endpoints


class Command(BaseCommand):
    help = "Adds a webhook endpoint of a service client and prints its signing secret, once, alone on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client", help="name of the service client")
        parser.add_argument("--url", required=True, help="where messages are sent by POST")
        parser.add_argument(
            "--event",
            action="append",
            default=[],
            choices=WebhookEvent.values,
            help="may be given again; without it, every event",
        )
        parser.add_argument("--allow-private-network", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        client = ServiceClient.objects.filter(name=options["client"]).first()
        if client is None:
            raise CommandError("There is no service client with this name.")
        try:
            endpoint, secret = endpoints.add(
                actor=Actor.system("add_webhook"),
                client=client,
                url=options["url"],
                events=options["event"],
                allow_private_network=options["allow_private_network"],
            )
        except ForgekeyError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"{endpoint.url}: this secret is shown once.")
        self.stdout.write(secret.reveal())
