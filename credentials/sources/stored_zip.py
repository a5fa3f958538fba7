"""Writes a tree as a ZIP whose bytes depend on nothing but the tree: everybody gets the same archive.

Entries are stored, not deflated: what a deflater makes differs between versions of zlib. They come in the order of
the manifest, with one fixed date, and with nothing that a reader could take in two ways. The end record is of the
zip64 kind where there are more files than the old one counts; all sizes and places fit into four bytes, because an
import may not bring more (conf.import_bytes).
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (6.3.10)
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Final

from credentials.errors import ContentRefused
from credentials.sources.content import Content, PlannedFile
from credentials.sources.paths import shown
from credentials.sources.snapshot import Entry, Manifest
from credentials.verdicts.refusals import Refusal

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")

_VERSION: Final = 20
_VERSION_64: Final = 45
_MADE_BY_UNIX: Final = 3 << 8
_UTF8: Final = 1 << 11
_STORED: Final = 0
# 1980-01-01, midnight: the first moment this format knows.
_TIME, _DATE = 0, (1 << 5) | 1
_MODES = {False: 0o100644 << 16, True: 0o100755 << 16}
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF

Told = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """What the directory at the end says of one file."""

    name: bytes
    crc: int
    size: int
    executable: bool
    offset: int


def write_archive(content: Content, target: BinaryIO, *, progress: Told) -> Manifest:
    """Write ``content`` into ``target`` (seekable, empty) and return its manifest; no byte stays in memory.

    ``progress`` is told how many files and how many bytes have been written, after every block; what it raises
    ends the work. Raises ContentRefused where there is no file, where a file has not the size it was
    announced with, where all are more than four bytes can count, and for what :meth:`Content.read` refuses; then
    ``target`` holds a part of no use. That content has no file is refused here, too, so that no source can forget it.
    """
    writer = _Writer(target=target, progress=progress)
    # Closed at once, whatever happens: a program that reads for us must not outlive its reader.
    with closing(content.read()) as reading:
        for file, blocks in reading:
            writer.add(file, blocks)
    if not writer.entries:
        raise ContentRefused(Refusal.NOTHING_LEFT)
    writer.finish()
    return Manifest(tuple(writer.entries))


class _Writer:
    def __init__(self, *, target: BinaryIO, progress: Told) -> None:
        self.entries: list[Entry] = []
        self._target = target
        self._progress = progress
        self._directory: list[_Written] = []
        self._offset = 0
        self._bytes = 0

    def add(self, file: PlannedFile, blocks: Iterator[bytes]) -> None:
        """One file; its header is written again once its checksum is known."""
        name = file.path.encode()
        start = self._offset
        if start + _LOCAL.size + len(name) + file.size >= _MOST_32:
            raise ContentRefused(Refusal.TOO_MANY_BYTES, entry=shown(file.path), limit=_MOST_32 - 1)
        self._write(_local_header(name, crc=0, size=file.size))
        crc, sha256 = self._copy(file, blocks)
        self._target.seek(start)
        self._target.write(_local_header(name, crc=crc, size=file.size))
        self._target.seek(self._offset)
        self._directory.append(
            _Written(name=name, crc=crc, size=file.size, executable=file.executable, offset=start)
        )
        self.entries.append(Entry(path=file.path, size=file.size, sha256=sha256, executable=file.executable))
        self._progress(len(self.entries), self._bytes)

    def _copy(self, file: PlannedFile, blocks: Iterator[bytes]) -> tuple[int, str]:
        crc, left, digest = 0, file.size, hashlib.sha256()
        for block in blocks:
            left -= len(block)
            if left < 0:
                break
            crc = zlib.crc32(block, crc)
            digest.update(block)
            self._write(block)
            self._bytes += len(block)
            self._progress(len(self.entries), self._bytes)
        if left:
            raise ContentRefused(Refusal.SIZE_MISMATCH, entry=shown(file.path))
        return crc, digest.hexdigest()

    def finish(self) -> None:
        """The directory and what leads to it."""
        start = self._offset
        for written in self._directory:
            self._write(_central_header(written))
        count, size = len(self._directory), self._offset - start
        if count >= _MOST_16:
            self._write_end_64(count=count, size=size, start=start)
        self._write(
            _END.pack(
                b"PK\x05\x06",
                *(0, 0),  # one disk
                *(min(count, _MOST_16),) * 2,
                size,
                start,
                0,  # no comment
            )
        )
        self._target.flush()

    def _write_end_64(self, *, count: int, size: int, start: int) -> None:
        here = self._offset
        self._write(
            _END_64.pack(
                b"PK\x06\x06",
                _END_64.size - 12,  # what follows this field
                _MADE_BY_UNIX | _VERSION_64,
                _VERSION_64,
                *(0, 0),
                *(count, count),
                size,
                start,
            )
        )
        self._write(_LOCATOR_64.pack(b"PK\x06\x07", 0, here, 1))

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self._offset += len(data)


def _local_header(name: bytes, *, crc: int, size: int) -> bytes:
    fields = (_VERSION, _UTF8, _STORED, _TIME, _DATE, crc, size, size, len(name), 0)
    return _LOCAL.pack(b"PK\x03\x04", *fields) + name


def _central_header(written: _Written) -> bytes:
    head = _CENTRAL.pack(
        b"PK\x01\x02",
        _MADE_BY_UNIX | _VERSION,
        _VERSION,
        *(_UTF8, _STORED, _TIME, _DATE),
        written.crc,
        *(written.size, written.size),
        len(written.name),
        *(0, 0),  # no extra field, no comment
        *(0, 0),  # disk, internal attributes
        _MODES[written.executable],
        written.offset,
    )
    return head + written.name
