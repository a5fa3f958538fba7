"""Packs that are small on their way and without end when they are opened, and packs that are too much at once."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from credentials.errors import ContentRefused, ProviderError, StorageUnavailable, TimeExceeded
from credentials.sources.git import repository
from credentials.verdicts.refusals import Refusal
from tests.credentials.providers.loopback import Reply, Seen, Server
from tests.credentials.sources.git.hosts import (
    BLOB_TYPE,
    COMMIT_TYPE,
    LIMITS,
    OFFSET_DELTA,
    REFERENCE_DELTA,
    TREE_TYPE,
    Workshop,
    answer_of,
    commit_of,
    entry,
    fetched,
    handmade,
    name_of,
    pack,
    plain,
    refs_of,
    refused,
    sideband,
    small_commit,
    tree_of,
    zeros,
)
from tests.credentials.sources.git_server import (
    COMMIT,
    RESULT,
    pkt,
    private,
    processes_with,
    v2_advertisement,
)
from tests.disks import small_disk
from tests.peak import peak_of_children

GIB = 1 << 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@contextmanager
def bounded(
    folder: Path, *, seconds: float = 5, memory: int = 512 << 20, disk: int = 16 << 20
) -> Iterator[None]:
    """Time, memory of the largest process and bytes on the disk stay below this."""
    ended = threading.Event()
    most = [0]

    def look() -> None:
        while not ended.wait(0.02):
            sizes = []
            for path, _folders, files in os.walk(folder):
                for name in files:
                    try:
                        sizes.append(os.lstat(os.path.join(path, name)).st_size)
                    except FileNotFoundError:
                        continue
            most[0] = max(most[0], sum(sizes))

    watch = threading.Thread(target=look)
    watch.start()
    begin = time.monotonic()
    try:
        with peak_of_children() as peak:
            yield
            assert peak() < memory
    finally:
        ended.set()
        watch.join()
    assert time.monotonic() - begin < seconds
    assert most[0] < disk


def numbered(size: int) -> bytes:
    """A size as a delta has it."""
    parts = [size & 127]
    while size := size >> 7:
        parts[-1] |= 128
        parts.append(size & 127)
    return bytes(parts)


def delta_bomb(kind: int) -> list[bytes]:
    """A difference that says it makes four GiB of a few bytes, over and over the same ones."""
    base = b"x" * 65_536
    copying = b"\x80"  # 65,536 bytes from the start
    delta = numbered(len(base)) + numbered(4 * GIB) + copying * (4 * GIB // 65_536)
    deflated = zlib.compress(delta)
    first = plain(BLOB_TYPE, base)
    where = bytes.fromhex(name_of(BLOB_TYPE, base)) if kind == REFERENCE_DELTA else offset(len(first))
    return [first, entry(kind, len(delta), where + deflated)]


def offset(distance: int) -> bytes:
    """How far back the base of a difference lies (gitformat-pack)."""
    parts = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        parts.append(128 | distance & 127)
    return bytes(reversed(parts))


BOMBS = {
    "a file": lambda: [entry(BLOB_TYPE, 4 * GIB, zeros(4 * GIB))],
    "a file that says it is small": lambda: [entry(BLOB_TYPE, 10, zeros(4 * GIB))],
    "a file that says it is larger than any": lambda: [entry(BLOB_TYPE, 1 << 62, zeros(4 * GIB))],
    "a file that says it is as large as can be said": lambda: [
        entry(BLOB_TYPE, (1 << 64) - 1, zeros(4 * GIB))
    ],
    "a folder": lambda: [entry(TREE_TYPE, 4 * GIB, zeros(4 * GIB))],
    "a commit": lambda: [entry(COMMIT_TYPE, 4 * GIB, zeros(4 * GIB))],
    "a difference": lambda: delta_bomb(REFERENCE_DELTA),
    "a difference to what came before": lambda: delta_bomb(OFFSET_DELTA),
}


@pytest.mark.parametrize("what", BOMBS)
def test_an_object_of_gigabytes_is_met_at_once(folder: Path, what: str) -> None:
    commit, entries = small_commit({b"a": COMMIT})
    data = sideband(pack([*entries, *BOMBS[what]()]))
    with Server(handmade(commit, data)) as server, bounded(folder):
        problem = refused(server, folder)
    assert isinstance(problem, ContentRefused)
    is_large = what not in {"a file that says it is small"}
    assert problem.reason == (Refusal.FILE_TOO_LARGE if is_large else Refusal.OBJECT_INVALID)


def test_many_objects_that_are_each_just_small_enough_end_with_the_processor_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_LEAST_CPU_SECONDS", 1)
    commit, entries = small_commit({b"a": COMMIT})
    many = [entry(BLOB_TYPE, 256 << 20, zeros(256 << 20))] * 15
    with Server(handmade(commit, sideband(pack([*entries, *many])))) as server, bounded(folder, seconds=8):
        problem = refused(server, folder)
    assert isinstance(problem, TimeExceeded)


@pytest.mark.parametrize("count", [5_000_000, (1 << 32) - 1])
def test_a_pack_that_says_it_holds_more_objects_than_there_are_is_refused(folder: Path, count: int) -> None:
    commit, entries = small_commit({b"a": COMMIT})
    with Server(handmade(commit, sideband(pack(entries, count=count)))) as server, bounded(folder):
        problem = refused(server, folder)
    assert isinstance(problem, ContentRefused | ProviderError)


def test_chains_of_differences_without_end_are_no_danger(folder: Path) -> None:
    """Each of 5,000 differs from the one before."""
    objects, before = [plain(BLOB_TYPE, b"x" * 1000)], 0
    for number in range(5000):
        delta = numbered(1000) + numbered(1000) + b"\xb0\xe4\x03" + b"\x04%04d" % number
        assert before == 0
        objects.append(entry(OFFSET_DELTA, len(delta), offset(len(objects[-1])) + zlib.compress(delta)))
    commit, entries = small_commit({b"a": name_of(BLOB_TYPE, b"x" * 1000)})
    with Server(handmade(commit, sideband(pack([*entries, *objects])))) as server, bounded(folder):
        content = fetched(server, folder)
    assert [file.size for file in content.files] == [1000]


def test_a_git_bomb_is_over_at_once(folder: Path) -> None:
    """Ten folders, each ten times the same one, ten levels down: a few hundred bytes, and as many files as there
    are people."""
    blob = plain(BLOB_TYPE, b"1")
    listed = tree_of([(b"100644", b"f%d" % number, name_of(BLOB_TYPE, b"1")) for number in range(10)])
    trees = [listed]
    for _level in range(9):
        key = name_of(TREE_TYPE, trees[-1])
        trees.append(tree_of([(b"40000", b"d%d" % number, key) for number in range(10)]))
    commit = commit_of(name_of(TREE_TYPE, trees[-1]))
    data = pack([plain(COMMIT_TYPE, commit), *(plain(TREE_TYPE, data) for data in trees), blob])
    assert len(data) < 5000
    server = Server(handmade(name_of(COMMIT_TYPE, commit), sideband(data)))
    with server, bounded(folder, seconds=3, memory=64 << 20):
        problem = refused(server, folder)
    assert isinstance(problem, ContentRefused)
    assert problem.reason == Refusal.TOO_MANY_FILES


# --- Too much at once ---------------------------------------------------------------------------------


def endless_pack(commit: str) -> Iterator[bytes]:
    """Objects of what cannot be compressed, announced as many, at the speed of the wire."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n" % RESULT.encode()
    yield answer_of(commit, b"").body.removesuffix(b"0000")
    yield sideband(b"PACK" + struct.pack(">II", 2, 1_000_000))
    while True:
        yield sideband(plain(BLOB_TYPE, os.urandom(60_000)))


@pytest.mark.parametrize("megabytes", [1, 8])
def test_a_pack_without_end_is_cut_off_at_what_is_allowed(folder: Path, megabytes: int) -> None:
    limits = replace(LIMITS, bytes=megabytes << 20)

    def script(seen: Seen) -> Reply | Iterator[bytes]:
        if seen.method == "GET":
            return v2_advertisement()
        return endless_pack(COMMIT) if b"command=fetch" in seen.body else refs_of(COMMIT)

    with Server(private(script, script)) as server, bounded(folder, disk=(megabytes + 3) << 20):
        with pytest.raises(ContentRefused) as caught:
            fetched(server, folder, limits=limits)
        assert processes_with(server.url) == {}
    assert (caught.value.reason, caught.value.limit) == (Refusal.TOO_MANY_BYTES, megabytes << 20)
    assert list(folder.iterdir()) == []


def test_a_real_repository_that_is_too_large_is_refused_with_the_limit(tmp_path: Path, folder: Path) -> None:
    workshop = Workshop(tmp_path / "origin.git")
    workshop.files({f"f{number}": os.urandom(500_000) for number in range(12)})
    with Server(private(workshop.serve, workshop.serve)) as server:
        problem = refused(server, folder)
        assert isinstance(problem, ContentRefused)
        assert (problem.reason, problem.limit) == (Refusal.TOO_MANY_BYTES, LIMITS.bytes)


def test_a_full_disk_is_nobodys_fault(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "origin.git")
    workshop.files({"a": os.urandom(900_000), "b": os.urandom(900_000), "c": os.urandom(900_000)})
    with small_disk(megabytes=1) as disk, Server(private(workshop.serve, workshop.serve)) as server:
        with pytest.raises(StorageUnavailable):
            fetched(server, disk)
        assert list(disk.iterdir()) == []


# --- Too slow -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", ["before the headers", "in the headers", "in the pack", "drop by drop", "progress"]
)
def test_a_host_that_stalls_is_left_in_time(folder: Path, moment: str) -> None:
    ended = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n" % RESULT.encode()
    begun = answer_of(COMMIT, b"").body.removesuffix(b"0000") + sideband(b"PACK" + struct.pack(">II", 2, 9))
    # A file that is not compressed: each of its bytes is as good as any other.
    begun += sideband(entry(BLOB_TYPE, 60_000, b"\x78\x01\x01" + struct.pack("<HH", 60_000, 5_535)))

    def stalling() -> Iterator[bytes]:
        if moment == "in the headers":
            yield head[:30]
        elif moment != "before the headers":
            yield head + begun
        drop = {"drop by drop": sideband(b"x"), "progress": pkt(b"\x02working\r")}.get(moment, b"")
        while not ended.wait(0.1):
            yield drop

    def script(seen: Seen) -> Reply | Iterator[bytes]:
        if seen.method == "GET":
            return v2_advertisement()
        return stalling() if b"command=fetch" in seen.body else refs_of(COMMIT)

    begin = time.monotonic()
    with Server(private(script, script)) as server:
        with pytest.raises(TimeExceeded):
            fetched(server, folder, seconds=1.2)
        took = time.monotonic() - begin
        ended.set()
        assert processes_with(server.url) == {}
    assert took < 3
    assert list(folder.iterdir()) == []
