"""A closed-loop HTTP client in one process: each connection sends its next request when it has its answer.

One event loop drives all connections, so the client costs little beside what it measures, and the same for
everyone. Every answer is read and checked.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

_ANSWER_SECONDS = 10
_CHUNK = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A request as bytes, and the text its answer must hold."""

    request: bytes
    expected: bytes

    @classmethod
    def post(cls, path: str, body: Mapping[str, str], *, bearer: str, expected: str) -> Exchange:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return cls(request=head.encode() + content, expected=expected.encode())


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one round saw."""

    seconds: float
    latencies: list[float]

    @property
    def answers(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    exchange: Exchange | None = None
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.socket.sendall(exchange.request)


def measure(port: int, exchanges: Sequence[Exchange], *, clients: int, seconds: float) -> Measured:
    """Keep ``clients`` connections busy for ``seconds``.

    Raises RuntimeError for any answer but a 201 that holds what was asked for.
    """
    upcoming = cycle(exchanges)
    connections = [_Connection(socket.create_connection(("127.0.0.1", port))) for _ in range(clients)]
    try:
        return _drive(connections, upcoming, seconds)
    finally:
        for connection in connections:
            connection.socket.close()


def _drive(connections: Sequence[_Connection], upcoming: Iterator[Exchange], seconds: float) -> Measured:
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = time.perf_counter()
        for connection in connections:
            connection.send(next(upcoming))
        busy = len(connections)
        while busy:
            ready = selector.select(_ANSWER_SECONDS)
            if not ready:
                raise RuntimeError(f"No answer within {_ANSWER_SECONDS} seconds.")
            for key, _events in ready:
                connection = key.data
                if not _is_complete(connection):
                    continue
                now = time.perf_counter()
                latencies.append(now - connection.sent_at)
                if now - started < seconds:
                    connection.send(next(upcoming))
                else:
                    busy -= 1
        return Measured(seconds=time.perf_counter() - started, latencies=latencies)


def _is_complete(connection: _Connection) -> bool:
    """Read what has come; whether that is the whole answer. A wrong answer ends the run."""
    chunk = connection.socket.recv(_CHUNK)
    received = connection.received
    received += chunk
    head_end = received.find(b"\r\n\r\n")
    if chunk and head_end < 0:
        return False
    head = bytes(received[:head_end]).lower()
    _before, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise RuntimeError(f"An answer without Content-Length: {bytes(received)[:300]!r}")
    if len(received) < head_end + 4 + int(rest.partition(b"\r\n")[0]):
        if not chunk:
            raise RuntimeError("The server closed the connection in the middle of an answer.")
        return False
    exchange = connection.exchange
    assert exchange is not None  # nothing is registered before its first request
    if not head.startswith(b"http/1.1 201") or exchange.expected not in received:
        raise RuntimeError(f"Not the answer that was asked for: {bytes(received)[:600]!r}")
    return True
