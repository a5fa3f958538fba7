"""Reads the directory of an archive: one record for each entry (APPNOTE 4.3.12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from credentials.errors import ContentRefused
from credentials.sources.archive import extras, names
from credentials.sources.archive.ending import Directory
from credentials.verdicts.refusals import Refusal

STORED: Final = 0
DEFLATED: Final = 8

# Flags (APPNOTE 4.4.4).
DESCRIPTOR: Final = 1 << 3
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_PATCHED = 1 << 5
_AES = 99
_NEWEST_VERSION = 45
"""Later versions are those of other methods and of encryption; readers pass over what needs one (APPNOTE 4.4.3)."""

_RECORD = struct.Struct("<4s6H3L5H2L")
_RECORD_SIGN = b"PK\1\2"
_BLOCK = 64 * 1024
_FULL = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What the directory says of one entry.

    ``system`` is where it was made, ``packed`` and ``size`` are its bytes in the archive and unpacked, ``offset``
    is where its own header stands.
    """

    raw_name: bytes
    name: str
    system: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int

    @property
    def mode(self) -> int:
        """Type and rights as Unix writes them, 0 where nothing is said."""
        return self.attributes >> 16


def read(file: BinaryIO, directory: Directory) -> Iterator[Record]:
    """Every record of ``directory``; raises ContentRefused for what is encrypted, packed in another way than
    stored or deflated, or not as it must be."""
    window = _Window(file, directory)
    for _number in range(directory.entries):
        yield _record(window)
    if window.left:
        raise ContentRefused(Refusal.DIRECTORY_INVALID)


class _Window:
    """The bytes of the directory, one block in memory."""

    def __init__(self, file: BinaryIO, directory: Directory) -> None:
        self._file = file
        self._position = directory.start
        self._end = directory.end
        self._block = b""
        self._at = 0

    @property
    def left(self) -> int:
        return self._end - self._position + len(self._block) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise ContentRefused(Refusal.DIRECTORY_INVALID)
        if self._at + length > len(self._block):
            self._fill(length)
        self._at += length
        return self._block[self._at - length : self._at]

    def _fill(self, length: int) -> None:
        kept = self._block[self._at :]
        self._file.seek(self._position)
        more = self._file.read(min(max(_BLOCK, length), self._end - self._position))
        self._position += len(more)
        self._block, self._at = kept + more, 0
        if len(self._block) < length:
            raise ContentRefused(Refusal.TRUNCATED)


def _record(window: _Window) -> Record:
    fields = _RECORD.unpack(window.take(_RECORD.size))
    sign, made, needed, flags, method, _time, _date, crc, packed, size = fields[:10]
    name_length, extra_length, comment_length, disk, _internal, attributes, offset = fields[10:]
    if sign != _RECORD_SIGN:
        raise ContentRefused(Refusal.DIRECTORY_INVALID)
    raw = window.take(name_length)
    extra = extras.read(window.take(extra_length))
    window.take(comment_length)
    _check_packing(raw, flags, method, needed)
    if extra is None:
        raise ContentRefused(Refusal.DIRECTORY_INVALID, entry=names.readable(raw))
    size, packed, offset, disk = _big_numbers(raw, (size, packed, offset, disk), extra.big_sizes)
    if disk:
        raise ContentRefused(Refusal.MULTIPLE_DISKS, entry=names.readable(raw))
    system = made >> 8
    return Record(
        raw_name=raw,
        name=names.decoded(raw, flags=flags, system=system, unicode_path=extra.unicode_path),
        system=system,
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        attributes=attributes,
        offset=offset,
    )


def _check_packing(raw: bytes, flags: int, method: int, needed: int) -> None:
    if flags & _ENCRYPTED or method == _AES:
        raise ContentRefused(Refusal.ENCRYPTED, entry=names.readable(raw))
    if method not in {STORED, DEFLATED} or flags & _PATCHED or needed > _NEWEST_VERSION:
        raise ContentRefused(Refusal.METHOD_UNSUPPORTED, entry=names.readable(raw))


_Numbers = tuple[int, int, int, int]


def _big_numbers(raw: bytes, numbers: _Numbers, field: bytes | None) -> _Numbers:
    """Size, packed size, offset and disk, with those from the field of big numbers that have no room in the record.

    The field must hold exactly those: readers differ in what they make of more (APPNOTE 4.5.3).
    """
    fulls = (_FULL, _FULL, _FULL, 0xFFFF)
    missing = [number == full for number, full in zip(numbers, fulls, strict=True)]
    if field is None and not any(missing):
        return numbers
    lengths = [length for length, is_missing in zip((8, 8, 8, 4), missing, strict=True) if is_missing]
    if field is None or not lengths or sum(lengths) != len(field):
        raise ContentRefused(Refusal.DIRECTORY_INVALID, entry=names.readable(raw))
    found, at = list(numbers), 0
    for place, length in zip((0, 1, 2, 3), (8, 8, 8, 4), strict=True):
        if missing[place]:
            found[place] = int.from_bytes(field[at : at + length], "little")
            at += length
    return found[0], found[1], found[2], found[3]
