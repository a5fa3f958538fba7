"""A small server on loopback that answers as the lease calls of Forgekey's API do, and records them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KEY = "fk_0123456789ab_" + "QmFzZTY0dXJsLXNlY3JldC1vZi10aGUta2V5"
TOKEN = "ghp_" + "C4n4ryT0k3nThatMustNotLeak0123456789"
LEASE_ID = "3f1c9a52-6f0e-4f6b-9a57-0c7d8a1e2b34"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request the server received."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One answer the server gives; ``body`` goes out as JSON unless it is already bytes."""

    status: int
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def in_an_hour() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def lease(repository_url: object, **changes: object) -> Said:
    """A 201 as the contract promises it; ``changes`` replace members of the answer."""
    body = {
        "id": LEASE_ID,
        "username": "x-access-token",
        "password": TOKEN,
        "expires_at": None,
        "lease_expires_at": in_an_hour().isoformat().replace("+00:00", "Z"),
        "repository_url": repository_url,
        "credential": {"id": "b8a1", "host": "github", "provider": "github"},
        "chosen_because": "only_one",
        "candidates": [],
    }
    return Said(status=201, body=body | changes, headers={"Cache-Control": "no-store"})


def problem(status: int, **members: object) -> Said:
    return Said(
        status=status,
        body={"status": status, **members},
        headers={"Content-Type": "application/problem+json"},
    )


def lend_what_is_asked(call: Call) -> Said:
    """Knows alice only, and lends for whatever host she asks about."""
    if call.headers.get("authorization") != f"Bearer {KEY}":
        return problem(401, code="not_authenticated")
    if call.path.endswith("/report/"):
        return Said(status=200, body={})
    if call.body.get("user") != "alice":
        verdict = {"code": "no_credential", "summary": "bob has not connected an account yet.", "steps": []}
        return problem(422, code="no_usable_credential", verdict=verdict)
    return lease(call.body["repository_url"])


class LeaseApi:
    """The server: ``answer`` decides, ``calls`` remembers, ``url`` is where it listens."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Said] = lend_what_is_asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def says(self, said: Said) -> None:
        self.answer = lambda call: said

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - "self" is the handler below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                call = Call(
                    path=urlsplit(self.path).path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=json.loads(text or b"{}"),
                )
                api.calls.append(call)
                said = api.answer(call)
                body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                self.send_response(said.status)
                for name, value in {"Content-Type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            # A redirect followed with GET would arrive here.
            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output quiet."""

        return Handler


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def lease_api() -> Iterator[LeaseApi]:
    api = LeaseApi()
    with running(api.server):
        yield api
