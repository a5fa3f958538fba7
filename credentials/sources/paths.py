"""Which names content may have: those that mean the same file on every system, and nothing but a file.

One set of rules for archives and for repositories, so that the same content is taken or refused whichever way it
comes. Names are kept in Unicode's composed form (NFC): systems that decompose them would otherwise make another
tree out of the same files.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from credentials.errors import ContentRefused
from credentials.verdicts.refusals import Refusal

PATH_BYTES: Final = 1000
"""Bytes of a whole path in UTF-8. Windows takes 260 characters by default, 32,767 at most; Linux 4,096 bytes."""
NAME_BYTES: Final = 255
"""Bytes of one part of a path in UTF-8: what common file systems take."""
DEPTH: Final = 40
"""Folders above a file."""

_DRIVE = re.compile(r"[A-Za-z]:")
# Names of devices, whatever follows the first dot.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$|clock\$)"
    r" *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)
# What turns the direction of text around, so that a name reads as another one (Unicode Technical Report 36).
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What HFS+ passes over in names: "g\u200cit" is "git" there (CVE-2014-9390).
_PASSED_OVER = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def checked(name: str) -> str:
    """``name`` (a path with ``/`` between its parts) in composed form; raises ContentRefused for one that no
    file may have."""
    reason = _refusal(name)
    if reason is not None:
        raise ContentRefused(reason, entry=shown(name))
    path = unicodedata.normalize("NFC", name)
    parts = path.split("/")
    if len(path.encode()) > PATH_BYTES or any(len(part.encode()) > NAME_BYTES for part in parts):
        raise ContentRefused(Refusal.PATH_TOO_LONG, entry=shown(path), limit=PATH_BYTES)
    if len(parts) - 1 > DEPTH:
        raise ContentRefused(Refusal.PATH_TOO_DEEP, entry=shown(path), limit=DEPTH)
    return path


def _refusal(name: str) -> Refusal | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return Refusal.PATH_ENCODING
    if any(unicodedata.category(letter) == "Cc" or letter in _TURNING for letter in name):
        return Refusal.PATH_CONTROL
    if "\\" in name:
        return Refusal.PATH_BACKSLASH
    if name.startswith("/"):
        return Refusal.PATH_ABSOLUTE
    if _DRIVE.match(name):
        return Refusal.PATH_DRIVE
    return next((reason for part in name.split("/") if (reason := _part_refusal(part))), None)


def _part_refusal(part: str) -> Refusal | None:
    if not part:
        return Refusal.PATH_EMPTY
    if part in {".", ".."}:
        return Refusal.PATH_TRAVERSAL
    if is_git_folder(part):
        return Refusal.GIT_FOLDER
    # NTFS reads what follows a colon as a stream of the file, and drops dots and spaces at the end.
    if ":" in part or part[-1] in ". " or _DEVICE.fullmatch(part):
        return Refusal.PATH_RESERVED
    return None


def is_git_folder(part: str) -> bool:
    """Whether one part of a path is Git's own folder to some system: ``.git``, ``.GIT.``, ``git~1`` …"""
    plain = _PASSED_OVER.sub("", part).partition(":")[0].rstrip(". ").lower()
    return plain in {".git", "git~1"}


def shown(name: str, *, most: int = 200) -> str:
    """A name for people: without what cannot be printed, and no longer than ``most`` characters."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(slots=True)
class Names:
    """The names of one tree: no two of them may be the same to any system."""

    _files: dict[str, str] = field(default_factory=dict)
    _folders: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, *, entry: str) -> None:
        """Note the file at ``path``, which :func:`checked` gave for ``entry``; raises ContentRefused where another
        name of this tree is the same, or is a folder where this is a file."""
        folded = _folded(path)
        if folded in self._files:
            raise ContentRefused(_clash(self._files[folded], path, entry), entry=shown(entry))
        if folded in self._folders:
            raise ContentRefused(Refusal.FILE_AS_FOLDER, entry=shown(entry))
        self._add_folders(path, folded, entry)
        self._files[folded] = path

    def _add_folders(self, path: str, folded: str, entry: str) -> None:
        spelled, plain = path, folded
        while "/" in plain:
            spelled, plain = spelled.rpartition("/")[0], plain.rpartition("/")[0]
            if plain in self._files:
                raise ContentRefused(Refusal.FILE_AS_FOLDER, entry=shown(entry))
            known = self._folders.setdefault(plain, spelled)
            if known != spelled:
                raise ContentRefused(Refusal.COLLISION_CASE, entry=shown(entry))


def _clash(known: str, path: str, entry: str) -> Refusal:
    if known != path:
        return Refusal.COLLISION_CASE
    return Refusal.DUPLICATE if entry == path else Refusal.COLLISION_UNICODE


def _folded(path: str) -> str:
    """Unicode's canonical caseless form (The Unicode Standard, section 3.13, D145)."""
    apart = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFD", apart)
