"""Extra fields of a header (APPNOTE 4.5): the two that change what an entry is are read, the rest is passed over."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

BIG_SIZES: Final = 0x0001
"""Zip64 extended information: numbers that have no room in the header."""
UNICODE_PATH: Final = 0x7075
"""Info-ZIP's Unicode Path: another name (APPNOTE 4.6.9)."""

_FIELD = struct.Struct("<HH")
_KNOWN = (BIG_SIZES, UNICODE_PATH)
# What would make another thing of the entry for those who know it: WinZip's AES, and libarchive's "xl", which
# states the type once more. libarchive also gives up at a field of times that is empty.
_UNWANTED = (0x9901, 0x6C78)
_TIMES = 0x5455


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """Contents of the fields, or None where a header has none of the kind."""

    big_sizes: bytes | None = None
    unicode_path: bytes | None = None


NONE: Final = Extras()


def read(data: bytes) -> Extras | None:
    """The fields in ``data``, or None where they cannot be told apart with certainty, or some reader would make
    something else of the entry for their sake.

    Up to three zero bytes at the end are padding that common tools write and others pass over.
    """
    if not data:
        return NONE
    found: dict[int, bytes] = {}
    at = 0
    while len(data) - at >= _FIELD.size:
        kind, length = _FIELD.unpack_from(data, at)
        at += _FIELD.size
        if at + length > len(data) or kind in found or kind in _UNWANTED or (kind == _TIMES and not length):
            return None
        if kind in _KNOWN:
            found[kind] = data[at : at + length]
        at += length
    if any(data[at:]):
        return None
    return Extras(big_sizes=found.get(BIG_SIZES), unicode_path=found.get(UNICODE_PATH)) if found else NONE
