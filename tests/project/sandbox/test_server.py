"""The HTTP server itself, spoken to over a bare socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from project.sandbox.server import HostServer, is_allowed_name
from project.sandbox.wire import Request, Response, text_response


def application(request: Request) -> Response:
    if request.path == "/stream":
        return Response(body=iter([b"one ", b"", b"two"]))
    if request.path in {"/cut", "/lost"}:
        spoiled = text_response("0123456789")
        return replace(spoiled, cut=request.path == "/cut", lost=request.path == "/lost")
    if request.path == "/cut-stream":
        return Response(body=iter([b"0123456789"]), cut=True)
    if request.path == "/unread":
        return text_response("unread")
    if request.path == "/empty":
        return Response(status=204)
    return text_response(f"{request.method} {request.body().decode()}")


@pytest.fixture
def server() -> Iterator[HostServer]:
    running = HostServer(0, application)
    running.start()
    yield running
    running.stop()


def talk(server: HostServer, sent: str) -> bytes:
    """Send, then read until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent.replace("\n", "\r\n").replace("HOST", f"127.0.0.1:{server.port}").encode())
        received = b""
        while block := connection.recv(65536):
            received += block
    return received


def test_one_connection_serves_several_requests(server: HostServer) -> None:
    received = talk(
        server,
        "POST / HTTP/1.1\nHost: HOST\nContent-Length: 3\n\nabc"
        "GET / HTTP/1.1\nHost: HOST\nConnection: close\n\n",
    )
    assert received.count(b"HTTP/1.1 200") == 2
    assert b"POST abc" in received
    assert received.endswith(b"GET ")


def test_a_body_in_chunks_is_put_together_and_its_trailers_are_skipped(server: HostServer) -> None:
    received = talk(
        server,
        "POST / HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\n\n"
        "3;ext=1\nabc\n2\nde\n0\nTrailer: x\n\n"
        "GET /next HTTP/1.1\nHost: HOST\nConnection: close\n\n",
    )
    assert b"POST abcde" in received
    assert received.endswith(b"GET ")


def test_a_body_that_nobody_read_does_not_become_the_next_request(server: HostServer) -> None:
    received = talk(
        server,
        "POST /unread HTTP/1.1\nHost: HOST\nContent-Length: 5\n\nGET /"
        "GET / HTTP/1.1\nHost: HOST\nConnection: close\n\n",
    )
    assert received.count(b"HTTP/1.1 200") == 2


def test_a_stream_is_sent_in_chunks_without_an_early_end(server: HostServer) -> None:
    received = talk(server, "GET /stream HTTP/1.1\nHost: HOST\nConnection: close\n\n")
    assert received.endswith(b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


def test_head_answers_the_length_and_no_body(server: HostServer) -> None:
    received = talk(server, "HEAD / HTTP/1.1\nHost: HOST\nConnection: close\n\n")
    assert b"Content-Length: 5" in received
    assert received.endswith(b"\r\n\r\n")


def test_an_answer_without_content_has_neither_body_nor_length(server: HostServer) -> None:
    received = talk(server, "GET /empty HTTP/1.1\nHost: HOST\nConnection: close\n\n")
    assert b"HTTP/1.1 204" in received
    assert b"Content-Length" not in received


def test_a_cut_answer_promises_more_than_it_sends(server: HostServer) -> None:
    received = talk(server, "GET /cut HTTP/1.1\nHost: HOST\n\n")
    assert b"Content-Length: 10" in received
    assert received.endswith(b"01234")


def test_of_a_lost_answer_not_a_byte_is_sent(server: HostServer) -> None:
    assert talk(server, "GET /lost HTTP/1.1\nHost: HOST\n\n") == b""


def test_a_cut_stream_ends_in_the_middle_of_a_chunk(server: HostServer) -> None:
    assert talk(server, "GET /cut-stream HTTP/1.1\nHost: HOST\n\n").endswith(b"a\r\n01234")


@pytest.mark.parametrize(
    "host", ["evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""]
)
def test_a_host_that_is_not_this_one_on_loopback_is_refused(server: HostServer, host: str) -> None:
    received = talk(server, f"GET / HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert received.startswith(b"HTTP/1.1 421")


def test_a_request_without_a_host_is_refused(server: HostServer) -> None:
    assert talk(server, "GET / HTTP/1.0\n\n").startswith(b"HTTP/1.1 421")


def test_localhost_with_the_right_port_is_this_host() -> None:
    assert is_allowed_name("localhost:8900", 8900)
    assert is_allowed_name("LOCALHOST:8900", 8900)
    assert not is_allowed_name("localhost:8901", 8900)
    assert not is_allowed_name("127.0.0.1:port", 8900)
    assert not is_allowed_name("x@127.0.0.1.evil.example:8900", 8900)


def test_a_length_that_is_no_number_is_refused(server: HostServer) -> None:
    received = talk(server, "POST / HTTP/1.1\nHost: HOST\nContent-Length: -5\n\n")
    assert received.startswith(b"HTTP/1.1 411")


def test_chunks_that_are_none_end_the_connection_without_an_answer(server: HostServer) -> None:
    assert talk(server, "POST / HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\n\nzz\n") == b""
