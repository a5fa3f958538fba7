"""The bytes of an entry come in blocks, are counted, and nothing more than was announced is given."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import ContentRefused
from credentials.sources.archive import data
from credentials.sources.archive.records import DEFLATED, STORED, Record
from credentials.verdicts.refusals import Refusal
from tests.credentials.sources.archive.building import deflated


def record(packed: bytes, content: bytes, *, method: int = DEFLATED, size: int | None = None) -> Record:
    return Record(
        raw_name=b"a",
        name="a",
        system=3,
        flags=0,
        method=method,
        crc=zlib.crc32(content),
        packed=len(packed),
        size=len(content) if size is None else size,
        attributes=0,
        offset=0,
    )


def blocks(
    packed: bytes, content: bytes, *, method: int = DEFLATED, size: int | None = None
) -> Iterator[bytes]:
    file = io.BytesIO(b"before" + packed + b"after")
    return data.blocks(file, record(packed, content, method=method, size=size), len(b"before"))


@given(st.binary(max_size=3000), st.integers(0, 9))
def test_what_was_packed_comes_out(content: bytes, level: int) -> None:
    assert b"".join(blocks(deflated(content, level), content)) == content
    assert b"".join(blocks(content, content, method=STORED)) == content


@pytest.mark.parametrize("size", [data.BLOCK - 1, data.BLOCK, data.BLOCK + 1, 3 * data.BLOCK])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_blocks_are_no_larger_than_they_may_be(size: int, method: int) -> None:
    content = bytes(size)
    packed = content if method == STORED else deflated(content)
    given_blocks = list(blocks(packed, content, method=method))
    assert b"".join(given_blocks) == content
    assert max(map(len, given_blocks)) <= data.BLOCK


@given(st.binary(min_size=1, max_size=300), st.integers(0, 299))
def test_a_size_that_lies_is_found_out_and_never_exceeded(content: bytes, size: int) -> None:
    if size == len(content):
        return
    for method, packed in ((STORED, content), (DEFLATED, deflated(content))):
        arrived: list[bytes] = []
        with pytest.raises(ContentRefused) as refused:
            arrived.extend(blocks(packed, content, method=method, size=size))
        assert refused.value.reason == Refusal.SIZE_MISMATCH
        assert sum(map(len, arrived)) <= size


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_changed_byte_never_passes(content: bytes, chance: st.DataObject) -> None:
    packed = bytearray(deflated(content))
    at = chance.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= chance.draw(st.integers(1, 255))
    try:
        arrived = b"".join(blocks(bytes(packed), content))
    except ContentRefused:
        return
    assert arrived == content, "it may be packed in another way, but it is the same"


def test_what_follows_the_end_of_what_is_packed_is_not_even_collected() -> None:
    packed = deflated(b"hello") + bytes(8 << 20)
    file = io.BytesIO(packed)
    with pytest.raises(ContentRefused) as refused:
        list(data.blocks(file, record(packed, b"hello"), 0))
    assert refused.value.reason == Refusal.DATA_INVALID
    assert file.tell() < 1 << 18
