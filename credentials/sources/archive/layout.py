"""Gives every byte of an archive to one thing: an entry's header, its data, its descriptor, or the directory.

So nothing is read twice (a bomb of overlapping entries), nothing hides between entries from one reader and shows
to another, and each entry's own header says what the directory says of it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

from credentials.errors import ContentRefused
from credentials.sources.archive import extras, names
from credentials.sources.archive.ending import Directory
from credentials.sources.archive.records import DESCRIPTOR, Record
from credentials.sources.paths import shown
from credentials.verdicts.refusals import Refusal

# APPNOTE 4.3.7: signature, version, flags, method, time, date, CRC-32, packed size, size, bytes of name and extra.
_HEADER: Final = struct.Struct("<4s5H3L2H")
_HEADER_SIGN: Final = b"PK\3\4"
# APPNOTE 4.3.9: CRC-32, packed size, size; with or without a signature, the sizes in 4 or 8 bytes.
_DESCRIPTORS: Final = {12: "<LLL", 16: "<4xLLL", 20: "<LQQ", 24: "<4xLQQ"}
_SIGNED: Final = frozenset({16, 24})
_DESCRIPTOR_SIGN: Final = b"PK\7\x08"

# The flags that change how an entry is read; the others are hints on how it was packed.
_MEANT = 1 << 0 | DESCRIPTOR | 1 << 5 | 1 << 6 | names.UTF_8 | 1 << 13
_FULL = 0xFFFFFFFF
_BOTH_SIZES = struct.Struct("<QQ")


def data_offsets(file: BinaryIO, records: Sequence[Record], directory: Directory) -> list[int]:
    """Where the data of each of ``records`` begins; raises ContentRefused unless all bytes before the directory
    are accounted for and every header agrees with the directory."""
    if not records:
        if directory.start:
            raise ContentRefused(Refusal.HIDDEN_DATA)
        return []
    order = sorted(range(len(records)), key=lambda number: records[number].offset)
    ends = [records[number].offset for number in order[1:]] + [directory.start]
    if records[order[0]].offset:
        raise ContentRefused(Refusal.PREFIX_DATA)
    offsets = [0] * len(records)
    for number, end in zip(order, ends, strict=True):
        offsets[number] = _entry(file, records[number], end)
    return offsets


def _entry(file: BinaryIO, record: Record, end: int) -> int:
    """Where the data begins; the entry must reach exactly to ``end``."""
    file.seek(record.offset)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_HEADER_SIGN):
        raise ContentRefused(Refusal.HEADER_MISMATCH, entry=shown(record.name))
    _sign, _needed, flags, method, _time, _date, crc, packed, size, *lengths = _HEADER.unpack(head)
    rest = file.read(sum(lengths))
    extra = extras.read(rest[lengths[0] :])
    if (
        (flags ^ record.flags) & _MEANT
        or method != record.method
        or rest[: lengths[0]] != record.raw_name
        or extra is None
    ):
        raise ContentRefused(Refusal.HEADER_MISMATCH, entry=shown(record.name))
    # Some readers take the name from here, others from the directory; this raises unless it is the same.
    names.decoded(record.raw_name, flags=record.flags, system=record.system, unicode_path=extra.unicode_path)
    start: int = record.offset + _HEADER.size + sum(lengths)
    gap = end - start - record.packed
    if gap < 0:
        raise ContentRefused(Refusal.OVERLAP, entry=shown(record.name))
    _check_facts(record, (crc, packed, size), extra.big_sizes)
    _check_gap(file, record, start + record.packed, gap)
    return start


def _check_facts(record: Record, told: tuple[int, int, int], big_sizes: bytes | None) -> None:
    """The header may leave checksum and sizes to a descriptor after the data; what it tells must be true."""
    crc, packed, size = told
    if big_sizes is not None:
        if len(big_sizes) != _BOTH_SIZES.size:
            raise ContentRefused(Refusal.HEADER_MISMATCH, entry=shown(record.name))
        big_size, big_packed = _BOTH_SIZES.unpack(big_sizes)
        packed = big_packed if packed == _FULL else packed
        size = big_size if size == _FULL else size
        if (big_size, big_packed) not in {(0, 0), (size, packed)}:
            raise ContentRefused(Refusal.HEADER_MISMATCH, entry=shown(record.name))
    unknown = {0} if record.flags & DESCRIPTOR else set()
    if packed not in {record.packed, *unknown} or size not in {record.size, *unknown}:
        raise ContentRefused(Refusal.SIZE_MISMATCH, entry=shown(record.name))
    if crc not in {record.crc, *unknown}:
        raise ContentRefused(Refusal.CHECKSUM_MISMATCH, entry=shown(record.name))


def _check_gap(file: BinaryIO, record: Record, at: int, gap: int) -> None:
    """After an entry's data comes its descriptor, where one is announced, and nothing else.

    Padding is not taken: what no reader looks at is where another archive would hide, and no common tool writes any.
    """
    if not record.flags & DESCRIPTOR:
        if gap:
            raise ContentRefused(Refusal.HIDDEN_DATA, entry=shown(record.name))
        return
    if gap not in _DESCRIPTORS:
        raise ContentRefused(
            Refusal.HIDDEN_DATA if gap else Refusal.HEADER_MISMATCH, entry=shown(record.name)
        )
    file.seek(at)
    descriptor = file.read(gap)
    if gap in _SIGNED and not descriptor.startswith(_DESCRIPTOR_SIGN):
        raise ContentRefused(Refusal.HIDDEN_DATA, entry=shown(record.name))
    crc, packed, size = struct.unpack(_DESCRIPTORS[gap], descriptor)
    if (packed, size) != (record.packed, record.size):
        raise ContentRefused(Refusal.SIZE_MISMATCH, entry=shown(record.name))
    if crc != record.crc:
        raise ContentRefused(Refusal.CHECKSUM_MISMATCH, entry=shown(record.name))
