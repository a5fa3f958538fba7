"""A small threaded HTTP/1.1 server: keep-alive, chunked bodies both ways, HEAD, only for loopback names."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from urllib.parse import urlsplit

from project.sandbox.wire import Request, Response, text_response

ALLOWED_NAMES = frozenset({"127.0.0.1", "localhost"})
BLOCK = 64 * 1024
POLL_SECONDS = 0.1

Application = Callable[[Request], Response]


class SizedBody:
    """A request body of known length, read from the connection no further than its end."""

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._stream.read(wanted) if wanted else b""
        self._left -= len(block)
        if len(block) < wanted:
            raise ConnectionError("The request body ended too early.")
        return block


class ChunkedBody:
    """A request body in chunks (RFC 9112 section 7.1)."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = 0
        self._ended = False

    def _next_chunk(self) -> None:
        line = self._stream.readline(128).split(b";")[0].strip()
        try:
            self._left = int(line, 16)
        except ValueError as error:
            raise ConnectionError("The request body is not chunked as announced.") from error
        if self._left == 0:
            while self._stream.readline(8192).strip():
                pass
            self._ended = True

    def read(self, size: int = -1, /) -> bytes:
        blocks: list[bytes] = []
        missing = size
        while not self._ended and (size < 0 or missing > 0):
            if self._left == 0:
                self._next_chunk()
                continue
            block = self._stream.read(self._left if size < 0 else min(missing, self._left))
            if not block:
                raise ConnectionError("The request body ended too early.")
            blocks.append(block)
            missing -= len(block)
            self._left -= len(block)
            if self._left == 0:
                self._stream.readline(8)
        return b"".join(blocks)


def is_allowed_name(host: str, port: int) -> bool:
    """Whether a Host header names this server by loopback, against DNS rebinding."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in ALLOWED_NAMES and (parts.port or 80) == port
    except ValueError:
        return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    timeout = 60
    disable_nagle_algorithm = True
    server: HostServer
    _headers_buffer: list[bytes]

    def _handle(self) -> None:
        body = self._body()
        if body is None:
            return self._send(text_response("A length or chunks are expected.", status=411), None)
        if not is_allowed_name(self.headers.get("Host", ""), self.server.port):
            return self._send(text_response("This server answers on loopback only.", status=421), None)
        request = Request(method=self.command, target=self.path, headers=self.headers, stream=body)
        return self._send(self.server.application(request), body)

    # The names under which the base class looks for them.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815  as said

    def _body(self) -> SizedBody | ChunkedBody | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return ChunkedBody(self.rfile)
        length = self.headers.get("Content-Length", "0")
        return SizedBody(self.rfile, int(length)) if length.isdecimal() else None

    def _drain(self, body: SizedBody | ChunkedBody | None) -> None:
        """Read what the application left of the body; far too much of it, and the connection ends."""
        if body is None:
            self.close_connection = True
            return
        for _ in range(64):
            if not body.read(BLOCK):
                return
        self.close_connection = True

    def _send(self, response: Response, body: SizedBody | ChunkedBody | None) -> None:
        time.sleep(response.delay)
        if response.lost:
            return self._hang_up()
        streamed = not isinstance(response.body, bytes)
        if not streamed:
            self._drain(body)
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if isinstance(response.body, bytes):
            return self._send_whole(response, response.body)
        self._send_stream(response.body, cut=response.cut)
        return self._drain(body)

    def _send_whole(self, response: Response, content: bytes) -> None:
        has_body = self.command != "HEAD" and response.status not in {204, 304}
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        if response.cut:
            self._write((head + content)[: len(head) + len(content) // 2])
            return self._hang_up()
        return self._write(head + content if has_body else head)

    def _send_stream(self, blocks: Iterator[bytes], *, cut: bool) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.closing(_Closable(blocks)):
            if self.command == "HEAD":
                return
            for block in blocks:
                if not block:
                    continue
                if cut:
                    self._write(b"%x\r\n" % len(block) + block[: len(block) // 2])
                    return self._hang_up()
                self._write(b"%x\r\n" % len(block) + block + b"\r\n")
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        # A client that goes away in the middle is its own affair: no traceback, the thread just ends.
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal: the call log of the control page has it, without queries."""


class _Closable:
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def close(self) -> None:
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


class HostServer(ThreadingHTTPServer):
    """One emulated host on 127.0.0.1. Raises OSError if the port is taken."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, application: Application) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.application = application

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name=f"port-{self.port}", daemon=True
        ).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
