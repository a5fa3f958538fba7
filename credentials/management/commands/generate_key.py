"""``generate_key``: a new key-ring entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.crypto.keyring import generate_entry
from credentials.crypto.sources import create_key_file
from credentials.errors import CryptoError


class Command(BaseCommand):
    help = "Prints a new key-ring entry, or writes it to a new file that only you can read."
    requires_system_checks: list[str] = []  # a key is made before anything else works

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="write a new key file instead; never replaces one")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path | None = options["file"]
        if path is None:
            self.stdout.write(generate_entry())
            return
        try:
            made = create_key_file(path.absolute())
        except CryptoError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Key {made.primary.id} is in {path}. Back it up apart from the database.")
