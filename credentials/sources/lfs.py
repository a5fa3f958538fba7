"""Files that only say where Git LFS keeps the content."""

from __future__ import annotations

from typing import Final

_BEGINNING: Final = b"version https://git-lfs.github.com/spec/v1"
_MOST_BYTES: Final = 1024


def is_pointer(beginning: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that starts with ``beginning`` is a pointer: the text stands there, the
    content is with the host (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""
    return size <= _MOST_BYTES and beginning.startswith(_BEGINNING)
