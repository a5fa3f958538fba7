"""``generate_key``: a new key-ring entry, in a file of its own or in the one that there is."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.crypto.key_file import append_entry, prepend_entry, promote_entry
from credentials.crypto.keyring import KeyRing, generate_entry
from credentials.crypto.sources import create_key_file
from credentials.errors import CryptoError

_WHICH = """
Changing the key, where one key file serves every process and all are restarted together:

  generate_key --prepend --file PATH     a new first entry
  restart every Forgekey process
  rotate_keys                            what is stored moves to the new key

A process that still lacks the new key answers 503 key_unavailable for what the others seal with it.
Where several machines have a key file each, or processes are restarted one after the other, let
every process know the key before any uses it:

  generate_key --append --file PATH      on one machine; copy the file to the others
  restart every Forgekey process
  generate_key --promote ID --file PATH  on one machine; copy the file to the others
  restart every Forgekey process, then rotate_keys

Old entries stay in the file. Remove one only when rotate_keys --dry-run counts no row under it and no
backup that you keep needs it. docs/security.md tells more.
"""


class Command(BaseCommand):
    help = "Prints a new key-ring entry, writes it to a new file, or adds it to the key file that there is."
    requires_system_checks: list[str] = []  # a key is made before anything else works

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=_WHICH, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="a new key file; alone it never changes one")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--prepend", action="store_true", help="add a new first entry to --file")
        how.add_argument("--append", action="store_true", help="add a new last entry, which encrypts nothing")
        how.add_argument("--promote", metavar="ID", help="put the entry with this id before all others")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path | None = options["file"]
        changes = options["prepend"] or options["append"] or options["promote"]
        if path is None and changes:
            raise CommandError("Name the key file: --file PATH.")
        if path is None:
            self.stdout.write(generate_entry())
            return
        try:
            self.stdout.write(_done(path.absolute(), options))
        except CryptoError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} was not changed: {error.strerror}.") from error


def _done(path: Path, options: dict[str, Any]) -> str:
    """Carry it out, and say what to do next."""
    if options["prepend"]:
        return _next_steps(prepend_entry(path), path, "is new and first")
    if options["promote"]:
        return _next_steps(promote_entry(path, options["promote"]), path, "is first")
    if options["append"]:
        key_id = append_entry(path).ids[-1]
        return (
            f"Key {key_id} is new and last in {path}. Back the file up apart from the database, copy it to "
            "every machine and restart every process; then use --promote."
        )
    made = create_key_file(path)
    return f"Key {made.primary.id} is in {path}. Back it up apart from the database."


def _next_steps(ring: KeyRing, path: Path, state: str) -> str:
    return (
        f"Key {ring.primary.id} {state} in {path}. Back the file up apart from the database, restart every "
        "process, then run rotate_keys."
    )
