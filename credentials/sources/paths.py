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
# What Windows reads as something else than a letter of a name; NTFS takes what follows a colon for a stream.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_SPECIAL = re.compile(r'[:<>"|?*]')
# Names of devices, whatever follows the first dot (same page).
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$|clock\$)"
    r" *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)
# Control characters, what turns the direction of text around, so that a name reads as another one (Unicode
# Technical Report 36), and what ends a line or a paragraph.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What HFS+ passes over in names: "g\u200cit" is "git" there (CVE-2014-9390).
_PASSED_OVER = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT = ".git"


def checked(name: str) -> str:
    """``name`` (a path with ``/`` between its parts) in composed form; raises ContentRefused for one that no
    file may have."""
    # Composing can make another character of one (a Kelvin sign becomes a K), so the result is judged.
    path = name if name.isascii() else unicodedata.normalize("NFC", name)
    _check_whole(path)
    parts = path.split("/")
    for part in parts:
        _check_part(part, path)
    if len(parts) - 1 > DEPTH:
        raise ContentRefused(Refusal.PATH_TOO_DEEP, entry=shown(path), limit=DEPTH)
    return path


def git_folder(name: str) -> str | None:
    """The path of Git's own folder (spelled ``.git``, nothing else) that ``name`` is or lies in, in composed form,
    or None. What lies in it is never taken, so how long and how deep it is does not matter; raises ContentRefused
    where a part of ``name`` has no place in any archive."""
    if _GIT not in name or _GIT not in (parts := name.split("/")):
        return None
    _check_letters(name)
    for part in parts:
        if part in {"", ".", ".."}:
            raise ContentRefused(Refusal.PATH_TRAVERSAL if part else Refusal.PATH_EMPTY, entry=shown(name))
    return checked("/".join([*parts[: parts.index(_GIT)], "-"]))[:-1] + _GIT


def _check_letters(path: str) -> None:
    reason = None
    if _CONTROL.search(path):
        reason = Refusal.PATH_CONTROL
    elif "\\" in path:
        reason = Refusal.PATH_BACKSLASH
    elif path.startswith("/"):
        reason = Refusal.PATH_ABSOLUTE
    elif _DRIVE.match(path):
        reason = Refusal.PATH_DRIVE
    if reason is not None:
        raise ContentRefused(reason, entry=shown(path))


def _check_whole(path: str) -> None:
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise ContentRefused(Refusal.PATH_ENCODING, entry=shown(path)) from None
    if length > PATH_BYTES:
        raise ContentRefused(Refusal.PATH_TOO_LONG, entry=shown(path), limit=PATH_BYTES)
    _check_letters(path)


def _check_part(part: str, path: str) -> None:
    reason = None
    if not part:
        reason = Refusal.PATH_EMPTY
    elif part in {".", ".."}:
        reason = Refusal.PATH_TRAVERSAL
    elif is_git_folder(part):
        reason = Refusal.GIT_FOLDER
    # Windows drops dots and spaces at the end.
    elif part[-1] in ". " or _SPECIAL.search(part) or _DEVICE.fullmatch(part):
        reason = Refusal.PATH_RESERVED
    if reason is not None:
        raise ContentRefused(reason, entry=shown(path))
    if len(part.encode()) > NAME_BYTES:
        raise ContentRefused(Refusal.PATH_TOO_LONG, entry=shown(path), limit=NAME_BYTES)


def is_git_folder(part: str) -> bool:
    """Whether one part of a path is Git's own folder to some system: ``.git``, ``.GIT.``, ``git~1`` …"""
    plain = _PASSED_OVER.sub("", part).partition(":")[0].rstrip(". ").lower()
    return plain in {_GIT, "git~1"}


def shown(name: str, *, most: int = 200) -> str:
    """A name for people: without what cannot be printed, and no longer than ``most`` characters."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(slots=True)
class Names:
    """The names of one tree: no two of them may be the same to any system.

    Both tables go from the folded form to the path, as it was first met, and to the entry that brought it.
    """

    _files: dict[str, tuple[str, str]] = field(default_factory=dict)
    _folders: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, path: str, *, entry: str) -> None:
        """Note the file at ``path``, which :func:`checked` gave for ``entry``; raises ContentRefused where another
        name of this tree is the same, or is a folder where this is a file."""
        folded = _folded(path)
        if folded in self._files:
            raise ContentRefused(_clash(self._files[folded], path, entry), entry=shown(entry))
        if folded in self._folders:
            raise ContentRefused(Refusal.FILE_AS_FOLDER, entry=shown(entry))
        self._files[folded] = (path, entry)
        if "/" in path:
            self._add_folders(path.rpartition("/")[0], folded.rpartition("/")[0], entry)

    def add_folder(self, path: str, *, entry: str) -> None:
        """Note a folder that is named by itself, however often; raises ContentRefused as :meth:`add`."""
        self._add_folders(path, _folded(path), entry)

    def _add_folders(self, path: str, folded: str, entry: str) -> None:
        """Note a folder and those above it, up to one that is known: those above that are known too."""
        while path:
            if folded in self._files:
                raise ContentRefused(Refusal.FILE_AS_FOLDER, entry=shown(entry))
            known = self._folders.setdefault(folded, (path, entry))
            if known[0] != path:
                raise ContentRefused(_clash(known, path, entry), entry=shown(entry))
            if known[1] is not entry:
                return
            path, folded = path.rpartition("/")[0], folded.rpartition("/")[0]


def _clash(known: tuple[str, str], path: str, entry: str) -> Refusal:
    known_path, known_entry = known
    if known_path == path:
        return Refusal.DUPLICATE if known_entry == entry else Refusal.COLLISION_UNICODE
    return Refusal.COLLISION_CASE if known_path.casefold() == path.casefold() else Refusal.COLLISION_UNICODE


def _folded(path: str) -> str:
    """Unicode's canonical caseless form (The Unicode Standard, section 3.13, D145), without what some systems pass
    over."""
    if path.isascii():
        return path.lower()
    apart = unicodedata.normalize("NFD", _PASSED_OVER.sub("", path)).casefold()
    return unicodedata.normalize("NFD", apart)
