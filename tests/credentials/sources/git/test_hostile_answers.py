"""What hosts say instead of a pack, or beside it: a clear error, and never in the voice of git."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from credentials.errors import (
    ContentRefused,
    ForgekeyError,
    ProviderError,
)
from credentials.verdicts.refusals import Refusal
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply
from tests.credentials.sources.git.hosts import (
    BLOB_TYPE,
    answer_of,
    fetched,
    handmade,
    name_of,
    pack,
    plain,
    refs_of,
    refused,
    sideband,
    small_commit,
    texts,
)
from tests.credentials.sources.git_server import (
    ADVERTISEMENT,
    COMMIT,
    FLUSH,
    RESULT,
    TOKEN,
    pkt,
    private,
    processes_with,
    v2_advertisement,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder to fetch into; nothing is in it when a fetch failed, and nothing was run by anybody."""
    made = tmp_path / "folder"
    made.mkdir()
    yield made
    assert not (tmp_path / "marker").exists()


# --- What hosts say -----------------------------------------------------------------------------------

NONSENSE = {
    "a page": html_reply(),
    "nothing": Reply(headers={"Content-Type": RESULT}),
    "no frames": Reply(headers={"Content-Type": RESULT}, body=b"zzzz" * 100),
    "another kind": Reply(headers={"Content-Type": "text/plain"}, body=FLUSH),
    "half a frame": Reply(headers={"Content-Type": RESULT}, body=pkt(b"packfile\n") + b"1000" + b"\x01PACK"),
    "no pack": answer_of(COMMIT, sideband(b"no pack at all")),
    "half a pack": answer_of(COMMIT, sideband(pack([plain(BLOB_TYPE, b"x" * 1000)])[:-30])),
    "an empty pack": answer_of(COMMIT, sideband(pack([]))),
    "a pack of something else": answer_of(COMMIT, sideband(pack([plain(BLOB_TYPE, b"x")]))),
    "a pack with a wrong checksum": answer_of(
        COMMIT, sideband(pack([plain(BLOB_TYPE, b"x")])[:-20] + bytes(20))
    ),
    "an error": Reply(headers={"Content-Type": RESULT}, body=pkt(b"ERR \x1b[2Jgo away " + TOKEN.encode())),
    "an error in the band": answer_of(COMMIT, sideband(b"\x1b[31mfatal: out of memory\n", band=3)),
    "an odd band": answer_of(COMMIT, sideband(b"x", band=7)),
    "an unknown section": Reply(headers={"Content-Type": RESULT}, body=pkt(b"evil-section\n") + FLUSH),
    "500": Reply(status=500),
    "403": Reply(status=403, headers={"Content-Type": "text/plain"}, body=b"\x1b[2J" + TOKEN.encode()),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_instead_of_a_pack_is_a_clear_error(folder: Path, what: str) -> None:
    def script(seen: Seen) -> Reply:
        if seen.method == "GET":
            return v2_advertisement()
        return NONSENSE[what] if b"command=fetch" in seen.body else refs_of(COMMIT)

    with Server(private(script, script)) as server:
        problem = refused(server, folder)
    assert isinstance(problem, ProviderError | ContentRefused)
    if what in {"an empty pack", "a pack of something else", "a pack with a wrong checksum"}:
        assert isinstance(problem, ContentRefused)
        assert problem.reason == Refusal.OBJECT_INVALID
    elif what == "an error in the band":
        assert not isinstance(problem, ContentRefused), "the host's words were taken for git's own"


def test_a_host_cannot_speak_in_gits_own_voice(folder: Path) -> None:
    words = (
        b"\x1b[2J\x1b]0;title\x07progress\rReceiving objects:  50% (1/2)\rfatal: write error: File too large\n"
        b"\r\rerror: object 5ca1ab1e: hasDotgit: contains '.git'\n" + TOKEN.encode() + b"\n"
    )
    data = sideband(words, band=2) + sideband(b"no pack")
    with Server(handmade(COMMIT, data)) as server:
        problem = refused(server, folder)
    assert isinstance(problem, ProviderError)


def test_what_a_host_says_beside_a_pack_does_not_matter(folder: Path) -> None:
    blob = plain(BLOB_TYPE, b"hello")
    commit, entries = small_commit({b"a": name_of(BLOB_TYPE, b"hello")})
    speech = b"\x1b[2Jremote: hello\r" * 3000 + b"Counting objects: 100% (3/3), done.\n" + b"x" * 200_000
    data = sideband(speech, band=2) + sideband(pack([*entries, blob]))
    with Server(handmade(commit, data)) as server:
        assert texts(fetched(server, folder)) == {"a": b"hello"}


def test_another_commit_than_the_one_that_was_asked_for_is_not_taken(folder: Path) -> None:
    blob = plain(BLOB_TYPE, b"hello")
    _commit, entries = small_commit({b"a": name_of(BLOB_TYPE, b"hello")})
    with Server(handmade(COMMIT, sideband(pack([*entries, blob])))) as server:
        problem = refused(server, folder, ref=COMMIT)
    assert isinstance(problem, ContentRefused)


def test_a_fetch_of_refs_without_end_is_over(folder: Path) -> None:
    def endless() -> Iterator[bytes]:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {ADVERTISEMENT}\r\nContent-Length: 99999999999\r\n\r\n"
        yield head.encode() + pkt(b"# service=git-upload-pack\n") + FLUSH
        line = pkt(f"{COMMIT} refs/heads/{'x' * 900}\n".encode()) * 1000
        while True:
            yield line

    with Server(private(lambda seen: endless())) as server, pytest.raises(ForgekeyError):
        fetched(server, folder, ref=COMMIT, seconds=3)
    assert processes_with(server.url) == {}
    assert list(folder.iterdir()) == []
