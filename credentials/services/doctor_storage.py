"""What the doctor sees of the storage: whether it takes, gives and removes files, and has what the rows name."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from credentials.services.libraries import trees
from credentials.services.remarks import Remark, ok, problem

_OTHERS = 0o077
_MAY_ENTER = 0o011


def storage() -> Iterator[Remark]:
    """Whether imported content can be stored and read; the file that tries it is removed."""
    name = f"doctor-{secrets.token_hex(8)}"
    try:
        came_back = _try(name)
    except Exception as error:
        # Each storage has errors of its own; their words may name what is nobody's business.
        yield problem(
            "storage",
            f"The storage does not take, give and remove a file ({type(error).__name__}): imports fail.",
            "See that it runs, that this machine reaches it, and that STORAGE_URL and its keys are right.",
        )
        return
    if not came_back:
        yield problem("storage", "A file came back altered.", "Look for what changes stored bytes.")
        return
    bad = list(_exposed())
    yield from bad
    if not bad:
        yield ok("storage", "A file was stored, read and removed.")


def _try(name: str) -> bool:
    planted = secrets.token_bytes(32)
    saved = default_storage.save(name, ContentFile(planted))
    try:
        with default_storage.open(saved) as opened:
            return bool(opened.read() == planted)
    finally:
        default_storage.delete(saved)


def _exposed() -> Iterator[Remark]:
    try:
        folder = Path(default_storage.path(""))
    except NotImplementedError:
        return
    if not folder.is_dir():
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    behind = stat.S_IMODE(folder.parent.stat().st_mode)
    if mode & _OTHERS and behind & _MAY_ENTER:
        yield problem(
            "storage",
            f"The storage {folder} is open to other users (mode {mode:04o}).",
            f"chmod 700 {folder}",
        )


def archives() -> Iterator[Remark]:
    """Whether the archive of every stored tree is there."""
    total, missing = trees.missing()
    if missing:
        yield problem(
            "archives",
            f"{len(missing)} of {total} archives are not in the storage, {missing[0]} among them.",
            "Restore the storage from its backup, or import again what its snapshots came from.",
        )
    else:
        yield ok("archives", f"{total} archives are in the storage.")
