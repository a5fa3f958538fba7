"""What other readers see in an archive: Info-ZIP's unzip, libarchive's bsdtar, and Python's zipfile."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Final

UNZIP: Final = shutil.which("unzip")
BSDTAR: Final = shutil.which("bsdtar")
_LINE = re.compile(rb" *(\d+)  \d{4}-\d\d-\d\d \d\d:\d\d   (.*)")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", ""), "TZ": "UTC"}

# Systems for which unzip 6.00 reads a name as code page 437 although the entry says that it is UTF-8, unless there is
# an extra field. It has no option that would keep it from this, so it is told that Unix made the archive.
_FULL = 0xFFFFFFFF
_OTHER_THAN_UNIX = frozenset({0, 6, 10, 11})

Listed = list[tuple[str, int]]


def unzip(archive: Path) -> Listed:
    """Names and sizes as ``unzip -l`` prints them, sorted."""
    lines = _said("unzip", "-lqq", str(archive)).splitlines()
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    return sorted((found_line[2].decode("utf-8", "replace"), int(found_line[1])) for found_line in found)


def bsdtar(archive: Path) -> list[str]:
    """Names as ``bsdtar -t`` prints them, sorted; it writes what it holds for unprintable as bytes."""
    lines = _said("bsdtar", "-tf", str(archive)).splitlines()
    plain = [_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), line) for line in lines]
    return sorted(line.decode("utf-8", "replace") for line in plain)


def is_zip_to_bsdtar(archive: Path) -> bool:
    """Whether bsdtar reads it as ZIP at all. It tries every format it knows, and takes a ZIP archive whose first file
    holds little but zeros for one of tar."""
    return b"Archive Format: ZIP" in _said("bsdtar", "-tvvf", str(archive))


def bsdtar_sizes(archive: Path) -> list[int]:
    """Sizes as ``bsdtar -tv`` prints them, sorted."""
    return sorted(int(line.split()[4]) for line in _said("bsdtar", "-tvf", str(archive)).splitlines())


def unzipped(archive: Path) -> bytes:
    """All content, one after the other in the order of the directory, as ``unzip -p`` prints it."""
    return _said("unzip", "-p", str(archive))


def untarred(archive: Path) -> bytes:
    """All content in the order of the entries, as ``bsdtar -xO`` prints it."""
    return _said("bsdtar", "-xOf", str(archive))


def python(data: bytes) -> Listed:
    """Names and sizes as Python's zipfile sees them, sorted."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sorted((info.filename, info.file_size) for info in archive.infolist())


def as_if_from_unix(data: bytes) -> bytes:
    """The archive with another word on who made it, in the directory: see above. The type stays what it was."""
    changed = bytearray(data)
    end = data.rfind(b"PK\5\6")
    at = int.from_bytes(data[end + 16 : end + 20], "little")
    if at == _FULL:
        at = int.from_bytes(data[end - 28 : end - 20], "little")
    while changed.startswith(b"PK\1\2", at):
        if changed[at + 5] in _OTHER_THAN_UNIX:
            changed[at + 5] = 3
        at += 46 + sum(struct.unpack_from("<3H", changed, at + 28))
    return bytes(changed)


def _said(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False, env=_ENVIRONMENT, timeout=60)
    return done.stdout + (done.stderr if "-tvvf" in command else b"")
