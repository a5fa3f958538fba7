"""Folders to choose from: without files where the host can leave them out, and never more than a little."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from credentials.errors import AccessRefused, RefNotFound
from credentials.sources import git
from credentials.sources.content import ContentLimits
from credentials.sources.git.folders import MOST, Folders, folders
from credentials.sources.git.invocation import Remote
from tests.credentials.providers.loopback import Reply, Seen, Server
from tests.credentials.sources.git.hosts import Workshop
from tests.credentials.sources.git.test_remote_refs import HOSTS, remote
from tests.credentials.sources.git_server import RESULT, login, private, processes_with, remote_at
from tests.sandbox import RunningSandbox


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for temporary files of this test's own, in which nothing is left."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield
    assert list(made.iterdir()) == []


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path / "origin.git")
    made.configure("uploadpack.allowFilter", "true")
    return made


def asked(server: Server, *, ref: str = "", seconds: float = 20) -> Folders:
    return folders(remote_at(server), login=login(), ref=ref, timeout_seconds=seconds)


@pytest.mark.parametrize("host", HOSTS)
def test_the_folders_of_a_public_repository(sandbox: RunningSandbox, host: str) -> None:
    found = folders(remote(sandbox, host, "acme/public-cases"), login=None, ref="dev")
    assert found.folders == ("cases", "guides")
    assert found.is_complete


def test_no_file_is_sent_by_a_host_that_can_leave_them_out(workshop: Workshop) -> None:
    commit = workshop.files({"a/b/large": os.urandom(1 << 20), "a/c": b"1", "d e/f": b"2"})
    sizes: list[int] = []

    def post(seen: Seen) -> Reply:
        answer = workshop.serve(seen)
        sizes.append(len(answer.body))
        return answer

    with Server(private(workshop.serve, post)) as server:
        found = asked(server)
    assert found == Folders(commit=commit, folders=("a", "a/b", "d e"), is_complete=True)
    assert max(sizes) < 10_000


def test_a_host_that_knows_no_filters_sends_the_files_while_they_are_few(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git.folders, "_LIMITS", ContentLimits(files=100, bytes=1 << 20, file_bytes=1 << 20))
    workshop.configure("uploadpack.allowFilter", "false")
    commit = workshop.files({"a/b/c": b"1"})
    with Server(private(workshop.serve, workshop.serve)) as server:
        assert asked(server) == Folders(commit=commit, folders=("a", "a/b"), is_complete=True)
        workshop.files({f"a/{number}": os.urandom(1 << 20) for number in range(3)})
        found = asked(server)
    assert (found.folders, found.is_complete) == ((), False)
    assert found.commit


def test_more_folders_than_anybody_looks_through_are_not_told_of(workshop: Workshop) -> None:
    key = workshop.tree([("100644", b"f", workshop.blob(b"1"))])
    for _level in range(8):
        key = workshop.tree([("40000", b"d%02d" % number, key) for number in range(20)])
    workshop.commit(key)
    begin = time.monotonic()
    with Server(private(workshop.serve, workshop.serve)) as server:
        found = asked(server)
    assert (len(found.folders), found.is_complete) == (MOST, False)
    assert time.monotonic() - begin < 4


def test_folders_that_an_import_would_refuse_and_submodules_are_not_offered(workshop: Workshop) -> None:
    below = workshop.tree([("100644", b"f", workshop.blob(b"1"))])
    listed = [("40000", b"a", below), ("40000", b"con", below), ("160000", b"module", "5ca1ab1e" * 5)]
    workshop.commit(workshop.tree(listed))
    with Server(private(workshop.serve, workshop.serve)) as server:
        found = asked(server)
    assert (found.folders, found.is_complete) == (("a",), False)


def test_a_host_that_is_too_slow_gives_an_answer_that_is_not_complete(workshop: Workshop) -> None:
    commit = workshop.files({"a/b": b"1"})
    ended = threading.Event()

    def stalling() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n" % RESULT.encode()
        ended.wait(10)

    def post(seen: Seen) -> Reply | Iterator[bytes]:
        return stalling() if b"command=fetch" in seen.body else workshop.serve(seen)

    with Server(private(workshop.serve, post)) as server:
        found = asked(server, seconds=1)
        ended.set()
        assert processes_with(server.url) == {}
    assert found == Folders(commit=commit, folders=(), is_complete=False)


def test_what_is_not_there_is_an_error(workshop: Workshop) -> None:
    workshop.files({"a/b": b"1"})
    with Server(private(workshop.serve, workshop.serve)) as server:
        with pytest.raises(RefNotFound):
            asked(server, ref="nothing")
        with pytest.raises(AccessRefused):
            folders(Remote(url=remote_at(server).url, allow_private=True), login=None, ref="")
