"""A file that Git LFS keeps elsewhere is told by its first line, and only if it is as small as such files are."""

from __future__ import annotations

import pytest

from credentials.sources.lfs import is_pointer

LINE = b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("beginning", "size", "verdict"),
    [
        (LINE + b"oid sha256:0\nsize 1\n", 70, True),
        (LINE, 1024, True),
        (LINE, 1025, False),
        (b" " + LINE, 44, False),
        (b"version https://git-lfs.github.com/spec/v2\n", 43, False),
        (LINE[:20], 20, False),
        (b"", 0, False),
    ],
)
def test_a_pointer_is_told_by_its_first_line_and_its_size(beginning: bytes, size: int, verdict: bool) -> None:
    assert is_pointer(beginning, size) == verdict
