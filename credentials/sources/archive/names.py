"""What an entry is called: only where every reader gives the same answer."""

from __future__ import annotations

import zlib
from typing import Final

from credentials.errors import ContentRefused
from credentials.sources.paths import shown
from credentials.verdicts.refusals import Refusal

UTF_8: Final = 1 << 11
"""The flag that says: this name is UTF-8 (APPNOTE, appendix D)."""

UNIX: Final = frozenset({3, 19})
"""Systems of origin that write names as they are, and modes: Unix and macOS (APPNOTE 4.4.2)."""

_UNICODE_PATH_VERSION = 1
_UNICODE_PATH_HEAD = 5


def decoded(raw: bytes, *, flags: int, system: int, unicode_path: bytes | None) -> str:
    """The name in ``raw``; raises ContentRefused where it cannot be told for certain.

    Without the flag a name should be in code page 437. What is there in truth depends on the machine that made
    it, and readers guess differently, so beyond ASCII such a name is taken in two cases: Unix tools write UTF-8
    without saying so, and a Unicode Path field may say what is meant.
    """
    name = _plain(raw, flags=flags, system=system)
    if unicode_path is not None:
        said = _said(raw, unicode_path)
        if name is None and raw.decode("cp437") == said:
            return said
        if name != said:
            raise ContentRefused(Refusal.HEADER_MISMATCH, entry=readable(raw))
    if name is None:
        raise ContentRefused(Refusal.PATH_ENCODING, entry=readable(raw))
    return name


def _plain(raw: bytes, *, flags: int, system: int) -> str | None:
    if raw.isascii():
        return raw.decode("ascii")
    if not flags & UTF_8 and system not in UNIX:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _said(raw: bytes, field: bytes) -> str:
    """The name in a Unicode Path field; it must be meant for the name that stands in the header."""
    head, said = field[:_UNICODE_PATH_HEAD], field[_UNICODE_PATH_HEAD:]
    if head != bytes([_UNICODE_PATH_VERSION]) + zlib.crc32(raw).to_bytes(4, "little"):
        raise ContentRefused(Refusal.HEADER_MISMATCH, entry=readable(raw))
    try:
        return said.decode()
    except UnicodeDecodeError:
        raise ContentRefused(Refusal.PATH_ENCODING, entry=readable(raw)) from None


def readable(raw: bytes) -> str:
    """A name that may be in no order at all, for people."""
    return shown(raw.decode("utf-8", "replace"))
