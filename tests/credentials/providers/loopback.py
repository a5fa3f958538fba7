"""A small server on loopback that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One request as it arrived; ``peer`` is the client's port, the same for a connection kept alive."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer with exactly these headers, besides the length of its body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """A JSON answer; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(
        status=status,
        headers={"Content-Type": "application/json; charset=utf-8", **named},
        body=json.dumps(value).encode(),
    )


def html_reply(status: int = 200) -> Reply:
    """A page where JSON was due."""
    return Reply(
        status=status,
        headers={"Content-Type": "text/html"},
        body=b"<html>private page of somebody else</html>",
    )


Script = Callable[[Seen], Reply | Iterable[bytes]]
"""Gives a reply, or raw pieces that are written one by one before the connection is cut."""


class Server:
    """Serves one script. A context manager; ``seen`` lists the requests in order."""

    def __init__(self, script: Script, *, tls: SSLContext | None = None, port: int = 0) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.stop = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self, script))
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port: int = self._http.server_address[1]
        self.scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler(server: Server, script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two packets: the second would wait 40 ms for the first one's receipt.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client hung up, which many of these tests want it to do
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:
                self.close_connection = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            seen = Seen(
                method=self.command,
                path=self.path,
                headers=dict(self.headers.items()),
                body=body,
                peer=self.client_address[1],
            )
            server.seen.append(seen)
            reply = script(seen)
            if isinstance(reply, Reply):
                self.send_response(reply.status)
                for name, text in reply.headers.items():
                    self.send_header(name, text)
                if "Transfer-Encoding" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                return
            for piece in reply:
                self.wfile.write(piece)
            self.close_connection = True

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # the standard library looks for one method per HTTP method
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:
            """The tests read ``seen`` instead."""

    return Handler
