"""Whether other readers see what ours sees: the same names, sizes and bytes."""

from __future__ import annotations

import io
import stat
import tempfile
import unicodedata
from pathlib import Path

from credentials.sources.archive import ending, records
from credentials.sources.archive.records import Record
from tests.credentials.sources.archive import foreign

_PACKED_LINK = 100


def directory_of(data: bytes) -> list[Record]:
    """Every entry as our reader sees it, those that are left out of a library too."""
    file = io.BytesIO(data)
    return list(records.read(file, ending.find(file, len(data))))


def check_python(data: bytes) -> None:
    """Python's zipfile must list the same; raises AssertionError. It reads names of Unix without the flag of UTF-8 as
    code page 437, and knows no Unicode Path, so only the sizes of such an archive are compared."""
    found = directory_of(data)
    theirs = foreign.python(data)
    assert sorted(size for _name, size in theirs) == sorted(record.size for record in found)
    if all(record.raw_name.isascii() or record.flags & 1 << 11 for record in found):
        assert theirs == sorted((record.name, record.size) for record in found)


def check_others(data: bytes) -> bool:
    """unzip and bsdtar must list the same, as far as they are here; raises AssertionError. False where they were not
    asked."""
    found = directory_of(data)
    if foreign.UNZIP is None or foreign.BSDTAR is None or any(map(_is_long_packed_link, found)):
        return False
    ours = sorted((record.name, record.size) for record in found)
    with tempfile.TemporaryDirectory() as folder:
        as_it_is, from_unix = Path(folder, "a.zip"), Path(folder, "b.zip")
        as_it_is.write_bytes(data)
        from_unix.write_bytes(foreign.as_if_from_unix(data))
        assert foreign.unzip(from_unix) == ours
        theirs = sorted(map(_composed, foreign.bsdtar(as_it_is)))
        if theirs != sorted(_composed(record.name) for record in found):
            assert not foreign.is_zip_to_bsdtar(as_it_is), f"bsdtar sees {theirs!r}"
            return False
    return True


def _is_long_packed_link(record: Record) -> bool:
    """libarchive 3.6.2 ends at a link whose target is packed into more than about 150 bytes."""
    return stat.S_ISLNK(record.mode) and record.method == records.DEFLATED and record.packed > _PACKED_LINK


def _composed(name: str) -> str:
    """bsdtar composes names, though not all of them."""
    return unicodedata.normalize("NFC", name)
