"""Finds an archive's directory from the end of the file, where no two readers may find different ones."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from credentials.errors import ContentRefused
from credentials.verdicts.refusals import Refusal

# APPNOTE 4.3.16: signature, disk, disk of the directory, entries here, entries in all, the directory's bytes and
# offset, bytes of the comment.
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGN: Final = b"PK\5\6"
# APPNOTE 4.3.15: signature, disk of the record, offset of the record, disks.
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_SIGN: Final = b"PK\6\7"
# APPNOTE 4.3.14: signature, bytes that follow, versions, then as the end record.
_BIG_END: Final = struct.Struct("<4sQ2H2L4Q")
_BIG_END_SIGN: Final = b"PK\6\6"
_BIG_END_FOLLOWS: Final = _BIG_END.size - 12
_ENTRY_SIGN: Final = b"PK\1\2"
_FILE_SIGN: Final = b"PK\3\4"

_COMMENT_LIMIT = 0xFFFF
# libarchive looks for the end record in the last 16 KiB, and guesses from the beginning where it finds none.
_COMMENT_TAKEN = 16_000
_FULL = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """Where the directory lies: it begins at byte ``start``, ends before byte ``end`` and has ``entries``."""

    start: int
    end: int
    entries: int


# Disk, disk of the directory, entries here, entries in all, the directory's bytes, its offset.
_Facts = tuple[int, int, int, int, int, int]


def find(file: BinaryIO, size: int) -> Directory:
    """The one directory of ``file``, which has ``size`` bytes; raises ContentRefused where there is none, or where
    somebody could see another."""
    tail_start = max(0, size - _END.size - _COMMENT_LIMIT)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = _end_record(file, tail)
    _sign, *short, _comment = _END.unpack_from(tail, at)
    facts: _Facts = (short[0], short[1], short[2], short[3], short[4], short[5])
    end = tail_start + at
    if end >= _LOCATOR.size and _at(file, end - _LOCATOR.size, 4) == _LOCATOR_SIGN:
        end, facts = _big(file, end - _LOCATOR.size, facts)
    return _directory(file, end, facts)


def _end_record(file: BinaryIO, tail: bytes) -> int:
    """Where in ``tail`` the end record stands: the last one, and no other whose comment would fit."""
    at = tail.rfind(_END_SIGN)
    if at < 0:
        raise ContentRefused(
            Refusal.TRUNCATED if _at(file, 0, 4) in {_FILE_SIGN, _END_SIGN} else Refusal.NOT_A_ZIP
        )
    rest = len(tail) - at - _END.size - _comment_of(tail, at)
    if rest:
        raise ContentRefused(Refusal.TRAILING_DATA if rest > 0 else Refusal.TRUNCATED)
    if _comment_of(tail, at) > _COMMENT_TAKEN:
        raise ContentRefused(Refusal.TRAILING_DATA)
    other = tail.rfind(_END_SIGN, 0, at)
    while other >= 0:
        if _comment_of(tail, other) == len(tail) - other - _END.size:
            raise ContentRefused(Refusal.SEVERAL_ENDINGS)
        other = tail.rfind(_END_SIGN, 0, other)
    return at


def _comment_of(tail: bytes, at: int) -> int:
    return int.from_bytes(tail[at + 20 : at + 22], "little")


def _big(file: BinaryIO, locator: int, short: _Facts) -> tuple[int, _Facts]:
    """Where the big end record stands and what it says; it must lie before its locator, and contradict nothing.

    Some readers believe the small record, some the big one.
    """
    start = locator - _BIG_END.size
    _sign, disk, offset, disks = _LOCATOR.unpack(_at(file, locator, _LOCATOR.size))
    record = _at(file, start, _BIG_END.size) if start >= 0 else b""
    if disk or disks != 1:
        raise ContentRefused(Refusal.MULTIPLE_DISKS)
    if offset != start or not record.startswith(_BIG_END_SIGN):
        raise ContentRefused(Refusal.DIRECTORY_INVALID)
    _sign, follows, _made, _needed, *long = _BIG_END.unpack(record)
    if follows != _BIG_END_FOLLOWS:
        raise ContentRefused(Refusal.DIRECTORY_INVALID)
    facts: _Facts = (long[0], long[1], long[2], long[3], long[4], long[5])
    if any(small not in {full, big} for small, full, big in zip(short, _FULL, facts, strict=True)):
        raise ContentRefused(Refusal.DIRECTORY_INVALID)
    return start, facts


def _directory(file: BinaryIO, end: int, facts: _Facts) -> Directory:
    disk, first_disk, entries_here, entries, length, start = facts
    if disk or first_disk or entries_here != entries:
        raise ContentRefused(Refusal.MULTIPLE_DISKS)
    if start + length == end:
        return Directory(start=start, end=end, entries=entries)
    moved = end - length
    # Something was put before the archive after it was made: some readers add the difference to all offsets.
    if moved > start and (not length or _at(file, moved, 4) == _ENTRY_SIGN):
        raise ContentRefused(Refusal.PREFIX_DATA)
    raise ContentRefused(Refusal.DIRECTORY_INVALID)


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
