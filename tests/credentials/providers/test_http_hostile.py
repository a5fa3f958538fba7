"""The guarded door against servers that send too much, too slowly, or nonsense."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest

from credentials.errors import ProviderAnswerUnexpected, ProviderUnreachable
from tests.credentials.providers.asking import door
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply

# --- Size ---------------------------------------------------------------------------------------------


def test_a_gzip_bomb_is_stopped_before_it_unfolds() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * 1_000_000
    bomb = b"".join(packer.compress(block) for _ in range(200)) + packer.flush()
    reply = Reply(headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}, body=bomb)
    with Server(lambda seen: reply) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ProviderAnswerUnexpected):
                door().request("GET", server.url)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize(("size", "accepted"), [(1 << 20, True), ((1 << 20) + 1, False)])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_is_capped_after_decompression(size: int, accepted: bool, packed: bool) -> None:
    body = b'"' + b"a" * (size - 2) + b'"'
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if packed else {})
    reply = Reply(headers=headers, body=gzip.compress(body) if packed else body)
    with Server(lambda seen: reply) as server:
        if accepted:
            assert len(door().request("GET", server.url).json) == size - 2
        else:
            with pytest.raises(ProviderAnswerUnexpected):
                door().request("GET", server.url)


@pytest.mark.parametrize(
    ("encoding", "body"), [("br", b"{}"), ("gzip, gzip", b"{}"), ("gzip", b"no gzip"), ("zstd", b"{}")]
)
def test_an_encoding_that_cannot_be_read_is_an_unexpected_answer(encoding: str, body: bytes) -> None:
    reply = Reply(headers={"Content-Type": "application/json", "Content-Encoding": encoding}, body=body)
    with Server(lambda seen: reply) as server, pytest.raises(ProviderAnswerUnexpected):
        door().request("GET", server.url)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [b"\x00\x01\x02"],
        [b"HTTP/1.1 "],
        [HEAD, b"Content-Length: 100\r\n\r\n", b'{"id": 1}'],
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n{"],
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n{}\r\n"],
        [HEAD, b"X-Big: " + b"a" * 70_000 + b"\r\n\r\n{}"],
        [HEAD, b"".join(b"X-%d: a\r\n" % number for number in range(200)), b"\r\n{}"],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
    ],
    ids=["nothing", "garbage", "half a line", "cut body", "cut chunk", "bad chunk",
         "long header", "many headers", "another protocol"],
)  # fmt: skip
def test_a_connection_that_is_cut_or_talks_nonsense_is_an_outage(raw: list[bytes]) -> None:
    with Server(lambda seen: raw) as server, pytest.raises(ProviderUnreachable) as caught:
        door().request("GET", f"{server.url}/user")
    assert caught.value.evidence.startswith("GET /user: ")


# --- Time ---------------------------------------------------------------------------------------------


def trickle(start: bytes, server_stopped: threading.Event) -> Iterator[bytes]:
    yield start
    while not server_stopped.wait(0.05):
        yield b"a"


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200", HEAD + b"X-Slow: ", HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"],
    ids=["status line", "headers", "body", "chunk size"],
)
def test_a_server_that_drips_is_left_at_the_deadline(start: bytes) -> None:
    stopped = threading.Event()
    began = time.monotonic()
    with Server(lambda seen: trickle(start, stopped)) as server:
        with pytest.raises(ProviderUnreachable) as caught:
            door(deadline=0.5).request("GET", f"{server.url}/user")
        stopped.set()
    assert time.monotonic() - began < 2
    assert caught.value.evidence == "GET /user: deadline passed"


def test_a_silent_server_is_left_after_the_read_time_out() -> None:
    stopped = threading.Event()

    def silent(seen: Seen) -> Iterator[bytes]:
        stopped.wait(5)
        yield b""

    with Server(silent) as server:
        with pytest.raises(ProviderUnreachable) as caught:
            door(timeout=(1.0, 0.3)).request("GET", server.url)
        stopped.set()
    assert caught.value.evidence == "GET /: no answer in time"


def test_a_closed_port_is_an_outage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ProviderUnreachable) as caught:
            door().request("GET", f"http://127.0.0.1:{port}/user")
    assert caught.value.evidence == "GET /user: connection failed"


def test_a_connection_is_reused_and_each_exchange_has_its_own_deadline() -> None:
    stopped = threading.Event()

    def script(seen: Seen) -> Reply | Iterator[bytes]:
        return trickle(HEAD + b"\r\n", stopped) if seen.path == "/slow" else json_reply({})

    with Server(script) as server:
        asking = door(deadline=0.6)
        for _ in range(3):
            asking.request("GET", f"{server.url}/quick")
            time.sleep(0.25)
        with pytest.raises(ProviderUnreachable, match="cannot be reached"):
            asking.request("GET", f"{server.url}/slow")
        stopped.set()
        assert asking.request("GET", f"{server.url}/quick").ok
    assert len({seen.peer for seen in server.seen[:4]}) == 1
    assert server.connections == 2


def test_threads_share_one_door() -> None:
    with Server(lambda seen: json_reply({"path": seen.path})) as server:
        asking, wrong = door(), []

        def many(name: int) -> None:
            for turn in range(10):
                path = f"/{name}/{turn}"
                if asking.request("GET", server.url + path).json != {"path": path}:
                    wrong.append(path)

        threads = [threading.Thread(target=many, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(server.seen) == 80


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_body_that_is_not_wanted_is_not_waited_for(status: int) -> None:
    stopped = threading.Event()
    start = f"HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Type: text/html\r\n\r\n".encode()
    began = time.monotonic()
    with Server(lambda seen: trickle(start, stopped)) as server:
        with suppress(ProviderUnreachable):
            assert door(deadline=3.0).request("GET", f"{server.url}/user").status == status
        stopped.set()
    assert time.monotonic() - began < 1
