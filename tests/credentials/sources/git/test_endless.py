"""Git against hosts that talk nonsense, never end, or stall; and what stays behind of it: nothing."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from credentials.errors import ProviderAnswerUnexpected, ProviderError, ProviderUnreachable
from credentials.sources.git import MAXIMUM_REFS
from tests.credentials.build_machine import ProcessWatch
from tests.credentials.providers.loopback import Reply, Script, Seen, Server, html_reply
from tests.credentials.sources.git_server import (
    ADVERTISEMENT,
    BASIC,
    CHALLENGE,
    COMMIT,
    FLUSH,
    PATH,
    RESULT,
    TOKEN,
    ask,
    pkt,
    private,
    processes_with,
    refusal,
    v2_advertisement,
    v2_refs,
)

ROOT = Path(__file__).resolve().parents[4]


# --- What is no Git answer ----------------------------------------------------------------------------


def advertised(body: bytes) -> Reply:
    return Reply(headers={"Content-Type": ADVERTISEMENT}, body=body)


SERVICE = pkt(b"# service=git-upload-pack\n") + FLUSH


@pytest.mark.parametrize(
    "answer",
    [
        html_reply(),
        Reply(headers={"Content-Type": "application/json"}, body=b"{}"),
        Reply(headers={"Content-Type": "text/plain"}, body=f"{COMMIT}\trefs/heads/main\n".encode()),
        advertised(b""),
        advertised(b"zzzz"),
        advertised(b"0003"),
        advertised(b"fff0" + b"a" * 10),
        advertised(SERVICE + b"ffff" + b"a" * 70_000),
        advertised(SERVICE + pkt(b"version 9\n") + FLUSH),
        advertised(SERVICE + pkt(b"ERR \x1b[2Jgo away\nfatal: Authentication failed for 'x'\n")),
        advertised(SERVICE + pkt(b"nonsense") * 100 + FLUSH),
        Reply(status=204),
        Reply(headers={"Content-Encoding": "gzip", "Content-Type": ADVERTISEMENT}, body=b"no gzip"),
    ],
)
def test_nonsense_is_neither_a_repository_nor_a_refusal(answer: Reply) -> None:
    with Server(private(get=answer)) as server, pytest.raises(ProviderError) as caught:
        ask(server)
    assert type(caught.value) in {ProviderUnreachable, ProviderAnswerUnexpected}


def test_a_connection_that_is_cut_is_an_outage() -> None:
    for raw in ([], [b"\x00\x01"], [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n0"]):
        with Server(lambda seen, raw=raw: raw) as server, pytest.raises(ProviderUnreachable):  # type: ignore[misc]  # a default binds the loop's value
            ask(server)


# --- Too much, too slow -------------------------------------------------------------------------------


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def endless(kind: str, block: Callable[[int], bytes], start: bytes = b"") -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: %s\r\n\r\n" % kind.encode()
    yield chunk(start) if start else b""
    for number in itertools.count():
        yield chunk(block(number))


def many_refs(number: int) -> bytes:
    return b"".join(pkt(b"%s refs/heads/%d-%d\n" % (COMMIT.encode(), number, n)) for n in range(500))


@pytest.mark.parametrize("version", ["0", "2"])
def test_refs_without_end_are_over_when_the_time_is(version: str) -> None:
    start = SERVICE + pkt(f"{COMMIT} HEAD\0symref=HEAD:refs/heads/main\n".encode())
    scripts: dict[str, Script] = {
        "0": private(get=lambda seen: endless(ADVERTISEMENT, many_refs, start)),
        "2": private(post=lambda seen: endless(RESULT, many_refs)),
    }
    with Server(scripts[version]) as server:
        begin = time.monotonic()
        with pytest.raises(ProviderError) as caught:
            ask(server, seconds=3)
        assert time.monotonic() - begin < 3 + 5
        assert processes_with(server.url) == {}
    assert type(caught.value) in {ProviderUnreachable, ProviderAnswerUnexpected}


@pytest.mark.parametrize(("count", "is_complete"), [(9_999, True), (10_000, False), (60_000, False)])
def test_more_refs_than_are_kept_prove_access_all_the_same(count: int, is_complete: bool) -> None:
    refs = [f"{COMMIT} refs/heads/a{number}\n".encode() for number in range(count)]
    with Server(private(post=v2_refs(refs))) as server:
        found = ask(server)
        assert processes_with(server.url) == {}
    assert found.default_branch == "main"
    assert found.is_complete is is_complete
    assert len(found.refs) <= MAXIMUM_REFS


def test_names_that_are_no_proper_text_are_left_out() -> None:
    refs = [COMMIT.encode() + b" refs/heads/" + name + b"\n" for name in
            (b"a\x1b[2J", b"\xff\xfe", "\u202egood".encode(), b"x" * 2000)]  # fmt: skip
    with Server(private(post=v2_refs(refs))) as server:
        found = ask(server)
    assert all(name.isprintable() for name in found.refs)
    assert "refs/heads/main" in found.refs


def stalling(server_stopped: threading.Event) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
    while not server_stopped.wait(0.2):
        yield b"a"


def test_a_host_that_drips_is_cut_off_in_time_and_nothing_stays_behind() -> None:
    with Server(lambda seen: stalling(server.stop)) as server:
        begin = time.monotonic()
        with pytest.raises(ProviderUnreachable) as caught:
            ask(server, seconds=1.5)
        assert 1.4 < time.monotonic() - begin < 4
        assert processes_with(server.url) == {}
    assert caught.value.evidence == "git ls-remote: no answer in time"


PROGRAM = """
import sys
from tests.credentials.sources.git_server import ask
ask(sys.argv[1], seconds=60)
"""


def test_when_the_product_is_killed_git_dies_with_it() -> None:
    with Server(lambda seen: stalling(server.stop)) as server:
        product = subprocess.Popen([sys.executable, "-c", PROGRAM, f"{server.url}{PATH}"], cwd=ROOT)
        try:
            deadline = time.monotonic() + 20
            while not server.seen:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert len(processes_with(server.url)) > 2
        finally:
            product.send_signal(signal.SIGKILL)
            product.wait()
        while processes_with(server.url):
            assert time.monotonic() < deadline, processes_with(server.url)
            time.sleep(0.05)


# --- Who could have seen it ---------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_token_is_in_no_command_line_and_no_environment() -> None:
    def slowly(seen: Seen) -> Reply:
        time.sleep(0.2)
        return v2_advertisement()

    scripts = [private(get=slowly), private(get=refusal(TOKEN)), lambda seen: CHALLENGE]
    with ProcessWatch(TOKEN, BASIC, "credential.useHttpPath", "GIT_TERMINAL_PROMPT=0") as watch:
        for number in range(12):
            with Server(scripts[number % 3]) as server:
                try:
                    ask(server)
                except ProviderError:
                    continue
    # The watch did see git while it held the token.
    assert "cmdline" in watch.found[b"credential.useHttpPath"]
    assert "environ" in watch.found[b"GIT_TERMINAL_PROMPT=0"]
    assert watch.found[TOKEN.encode()] == set()
    assert watch.found[BASIC.encode()] == set()
