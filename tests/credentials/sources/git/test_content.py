"""The bytes of fetched files: whole, in blocks, checked, and without holding any of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest

from credentials.errors import ContentRefused, TimeExceeded
from credentials.sources.content import Content, ContentLimits, Remarked
from credentials.sources.git import GitContent, tree
from credentials.sources.git.repository import Repository
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.git.hosts import (
    BLOB_TYPE,
    LIMITS,
    NO_PROGRESS,
    Workshop,
    entry,
    name_of,
    pack,
    texts,
)
from tests.credentials.sources.git_server import processes_with
from tests.peak import peak_of_children


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "origin.git")


def content_of(
    workshop: Workshop, commit: str, *, limits: ContentLimits = LIMITS, seconds: float = 20
) -> GitContent:
    repository = Repository(workshop.path, limits=limits, seconds=seconds, progress=NO_PROGRESS)
    return GitContent(repository, tree.plan(repository, commit), ref="", commit=commit)


def test_it_is_content(workshop: Workshop) -> None:
    content: Content = content_of(workshop, workshop.files({"a": b"1"}))
    assert [file.path for file in content.files] == ["a"]


def test_every_byte_comes_whatever_it_is(workshop: Workshop) -> None:
    files = {
        "empty": b"", "lines": b"a\r\nb\n", "zero": b"\0" * 100, "all": bytes(range(256)) * 300,
        "looks like git": f"{'5ca1ab1e' * 5} blob 3\nabc\n".encode(), "same": b"1", "same again": b"1",
        "large": os.urandom(1 << 20),
    }  # fmt: skip
    content = content_of(workshop, workshop.files(files))
    assert texts(content) == files
    assert texts(content) == files, "a second time"


def test_blocks_are_small_and_need_not_be_read(workshop: Workshop) -> None:
    files = {"a": os.urandom(1 << 20), "b": b"2", "c": os.urandom(300_000)}
    content = content_of(workshop, workshop.files(files))
    seen = {}
    for file, blocks in content.read():
        if file.path != "a":
            listed = list(blocks)
            assert all(0 < len(block) <= 1 << 20 for block in listed)
            seen[file.path] = b"".join(listed)
    assert seen == {"b": files["b"], "c": files["c"]}


def test_a_large_file_passes_through_a_small_memory(workshop: Workshop) -> None:
    size = 48 << 20
    limits = ContentLimits(files=10, bytes=size, file_bytes=size)
    block = os.urandom(1 << 20)
    data = block * (size >> 20)
    large = name_of(BLOB_TYPE, data)
    workshop.run("index-pack", "--stdin", stdin=pack([entry(BLOB_TYPE, size, zlib.compress(data, 0))]))
    commit = workshop.commit(workshop.tree([("100644", b"large", large)]))
    content = content_of(workshop, commit, limits=limits)
    digest = hashlib.sha256()
    tracemalloc.start()
    with peak_of_children() as peak:
        for _file, blocks in content.read():
            for part in blocks:
                digest.update(part)
        assert peak() < 48 << 20
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert digest.digest() == hashlib.sha256(data).digest()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"


def test_what_stands_for_a_file_elsewhere_is_taken_as_it_is_with_a_remark(workshop: Workshop) -> None:
    files = {
        "pointer": POINTER, "long": POINTER + b"x" * 1024, "quoted": b"> " + POINTER, "link": b"pointer", "a": b"1"
    }  # fmt: skip
    content = content_of(workshop, workshop.files(files, modes={"link": "120000"}))
    assert content.remarks == [Remarked(path="link", remark=Remark.SYMLINK)]
    assert texts(content)["pointer"] == POINTER
    assert texts(content)["pointer"] == POINTER
    assert content.remarks == [
        Remarked(path="link", remark=Remark.SYMLINK),
        Remarked(path="pointer", remark=Remark.LFS_POINTER),
    ]


def test_bytes_that_have_changed_on_the_disk_are_refused(workshop: Workshop) -> None:
    """The pack is altered so that it still opens: the file is not compressed, and its checksum is made to fit."""
    content = content_of(workshop, workshop.files({"a": b"the same number of bytes", "b": b"2"}))
    workshop.run("repack", "-q", "-a", "-d", "-F")
    (pack,) = workshop.path.rglob("*.pack")
    data = pack.read_bytes()
    before, after = b"the same number of bytes", b"not what it was before, "
    place = data.index(before) + len(before)
    changed = data.replace(before, after)
    changed = changed[:place] + zlib.adler32(after).to_bytes(4, "big") + changed[place + 4 :]
    pack.chmod(0o600)
    pack.write_bytes(changed)
    with pytest.raises(ContentRefused) as caught:
        texts(content)
    assert (caught.value.reason, caught.value.entry) == (Refusal.OBJECT_INVALID, "a")


def test_a_pack_that_is_gone_is_refused(workshop: Workshop) -> None:
    content = content_of(workshop, workshop.files({"a": b"1"}))
    for path in (workshop.path / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(ContentRefused):
        texts(content)


def test_reading_is_over_with_the_time_of_the_import(workshop: Workshop) -> None:
    commit = workshop.files({f"f{number}": os.urandom(200_000) for number in range(5)})
    content = content_of(workshop, commit, seconds=0.8)
    reading = content.read()
    _file, blocks = next(reading)
    next(blocks)
    assert readers(workshop) > 0
    time.sleep(1)
    with pytest.raises(TimeExceeded):
        list(reading)
    assert readers(workshop) == 0


def test_whoever_stops_reading_leaves_no_process(workshop: Workshop) -> None:
    commit = workshop.files({f"f{number}": os.urandom(200_000) for number in range(5)})
    content = content_of(workshop, commit)
    with contextlib.closing(content.read()) as reading:
        _file, blocks = next(reading)
        next(blocks)
        assert readers(workshop) > 0
    assert readers(workshop) == 0


def readers(workshop: Workshop) -> int:
    """How many processes read this repository."""
    found = 0
    for process in processes_with("cat-file"):
        with contextlib.suppress(OSError):
            found += str(workshop.path).encode() in Path(f"/proc/{process}/environ").read_bytes()
    return found
