"""The bytes of one entry, counted and checked while they are read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from credentials.errors import ContentRefused
from credentials.sources.archive.records import STORED, Record
from credentials.sources.paths import shown
from credentials.verdicts.refusals import Refusal

BLOCK: Final = 256 * 1024
"""Bytes given at a time, at most."""
_PACKED_BLOCK = 64 * 1024
_RAW_DEFLATE = -zlib.MAX_WBITS


def blocks(file: BinaryIO, record: Record, offset: int) -> Iterator[bytes]:
    """The bytes of ``record``, whose data begins at ``offset``.

    Never gives more than the announced size. Raises ContentRefused where there are more or fewer bytes, the
    checksum is another, or what is packed cannot be unpacked or holds something after its end.
    """
    given = checksum = 0
    for block in _unpacked(file, record, offset):
        given += len(block)
        if given > record.size:
            raise _refused(record, Refusal.SIZE_MISMATCH)
        checksum = zlib.crc32(block, checksum)
        yield block
    if given != record.size:
        raise _refused(record, Refusal.SIZE_MISMATCH)
    if checksum != record.crc:
        raise _refused(record, Refusal.CHECKSUM_MISMATCH)


def _unpacked(file: BinaryIO, record: Record, offset: int) -> Iterator[bytes]:
    if record.method == STORED:
        return _packed(file, record, offset, BLOCK)
    return _inflated(file, record, offset)


def _packed(file: BinaryIO, record: Record, offset: int, most: int) -> Iterator[bytes]:
    """The bytes as they stand in the archive. Each time at their place: whoever reads may read elsewhere between."""
    end = offset + record.packed
    while offset < end:
        file.seek(offset)
        block = file.read(min(most, end - offset))
        if not block:
            raise _refused(record, Refusal.TRUNCATED)
        offset += len(block)
        yield block


def _inflated(file: BinaryIO, record: Record, offset: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    room = record.size
    for packed in _packed(file, record, offset, _PACKED_BLOCK):
        if inflater.eof:
            raise _refused(record, Refusal.DATA_INVALID)
        waiting = packed
        while True:
            # One byte more than was announced is enough to know.
            block = _inflate(inflater, record, waiting, min(BLOCK, room + 1))
            if block:
                room -= len(block)
                yield block
            waiting = inflater.unconsumed_tail
            if inflater.eof or not (waiting or block):
                break
    if not inflater.eof or inflater.unused_data:
        raise _refused(record, Refusal.DATA_INVALID)


def _inflate(inflater: zlib._Decompress, record: Record, packed: bytes, most: int) -> bytes:
    try:
        return inflater.decompress(packed, most)
    except zlib.error:
        raise _refused(record, Refusal.DATA_INVALID) from None


def _refused(record: Record, reason: Refusal) -> ContentRefused:
    return ContentRefused(reason, entry=shown(record.name))
