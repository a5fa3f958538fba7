"""What must be true of an archive whatever it is; it knows nothing of the rules that the reader goes by."""

from __future__ import annotations

import functools
import io
import ntpath
import posixpath
import unicodedata

from credentials.errors import ContentRefused, SubdirectoryNotFound
from credentials.sources.archive import ZipContent, open_archive
from credentials.sources.content import ContentLimits

LIMITS = ContentLimits(files=12, bytes=400_000, file_bytes=300_000)
_BLOCK = 1 << 20


def judge(data: bytes, *, unwrap: bool, subdirectory: str) -> ZipContent | str:
    """The content of ``data``, read to its end, or the reason it was refused; raises AssertionError for whatever
    must not be, and lets every error through that is not one of ours."""
    try:
        content = open_archive(io.BytesIO(data), limits=LIMITS, unwrap=unwrap, subdirectory=subdirectory)
    except ContentRefused as refused:
        return refused.reason
    except SubdirectoryNotFound:
        return "subdirectory_not_found"
    _check_plan(content)
    try:
        _read(content)
    except ContentRefused as refused:
        return refused.reason
    return content


def _check_plan(content: ZipContent) -> None:
    paths = [planned.path for planned in content.files]
    assert 0 < len(paths) <= LIMITS.files
    assert sum(planned.size for planned in content.files) <= LIMITS.bytes
    assert all(0 <= planned.size <= LIMITS.file_bytes for planned in content.files)
    assert [path.encode() for path in paths] == sorted(path.encode() for path in paths)
    for path in paths:
        assert is_safe(path), f"an unsafe path: {path!r}"
    plain = {same_everywhere(path) for path in paths}
    assert len(plain) == len(paths), f"two names for one file: {paths!r}"
    assert not any(path.startswith(f"{other}/") for path in plain for other in plain), (
        f"file as folder: {paths!r}"
    )


def _read(content: ZipContent) -> None:
    total = 0
    for planned, blocks in content.read():
        given = 0
        for block in blocks:
            assert 0 < len(block) <= _BLOCK
            given += len(block)
            assert given <= planned.size, "more bytes than were announced"
        assert given == planned.size, "fewer bytes than were announced, and nobody said so"
        total += given
    assert total <= LIMITS.bytes


@functools.lru_cache(maxsize=100_000)
def same_everywhere(path: str) -> str:
    """One spelling for all paths that some system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold()).upper()


@functools.lru_cache(maxsize=100_000)
def is_safe(path: str) -> bool:
    """Whether ``path`` stays below where it is put, on any system, and means a file that Git does not look into."""
    raw = path.encode("utf-8", "surrogatepass")
    is_plain = raw == unicodedata.normalize("NFC", path).encode() and 0 < len(raw) <= 1000
    has_oddities = min(raw, default=0) < 0x20 or bool(set(raw) & set(b'\x7f\\:*?"<>|'))
    stays = posixpath.normpath(b"/root/" + raw) == b"/root/" + raw and not ntpath.isabs(path)
    is_turned = any(unicodedata.bidirectional(letter) in _TURNING for letter in path)
    return (
        is_plain and not has_oddities and stays and not is_turned and all(map(_is_safe_part, raw.split(b"/")))
    )


def _is_safe_part(part: bytes) -> bool:
    plain = part.decode().encode("ascii", "ignore").lower()
    stem = plain.split(b".")[0].strip()
    is_device = stem in {b"con", b"prn", b"aux", b"nul"} or (
        stem[:3] in {b"com", b"lpt"} and stem[3:].isdigit() and len(stem) == 4
    )
    return not (
        plain.strip(b". ") == b"git~1"
        or plain.rstrip(b". ") == b".git"
        or (is_device and part.isascii())
        or part.endswith((b".", b" "))
        or len(part) > 255
    )


_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
