"""Connections that look before they dial: every one resolves, checks and connects in one step.

Whatever opens a connection through these classes goes to an address that was checked a moment before,
while the name stays in the Host header, in SNI and in the certificate check. A name that answers
differently the next time therefore gains nothing. Outside of an :class:`Exchange` nothing connects.
"""

from __future__ import annotations

import os
import socket
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from credentials.errors import AddressForbidden
from credentials.providers.network import Resolver, is_private, resolve


class Exchange:
    """One request and its answer: where it may go, and when it is over whatever the other side does.

    A time-out per read does not help against a server that sends one byte every few seconds, so a timer
    shuts down the sockets of this exchange at its deadline. It acts on duplicates of their descriptors,
    which reach the connection even while the TLS handshake or the header lines are being read.

    ``deadline`` is in seconds.
    """

    def __init__(self, *, resolver: Resolver, allow_private: bool, deadline: float) -> None:
        self.resolver = resolver
        self.allow_private = allow_private
        self.over = False
        self.over_by_time = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(deadline, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Exchange:
        self._token = _CURRENT.set(self)
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _CURRENT.reset(self._token)
        self._timer.cancel()
        with self._lock:
            self._over_and_closed()

    def watch(self, sock: socket.socket) -> None:
        """Put a socket under the deadline."""
        with self._lock:
            if self.over:
                raise TimeoutError("the exchange is over")
            self._sockets.append(socket.socket(fileno=os.dup(sock.fileno())))

    def addresses(self, hostname: str, port: int, *, encrypted: bool) -> tuple[str, ...]:
        """The checked addresses of a name. Without encryption only private ones are spoken to."""
        found = resolve(hostname, port, resolver=self.resolver, allow_private=self.allow_private)
        if not encrypted and not all(is_private(address) for address in found):
            raise AddressForbidden("requests without encryption stay inside private networks")
        return found

    def _cut(self) -> None:
        with self._lock:
            if self.over:
                return
            self.over_by_time = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster
            self._over_and_closed()

    def _over_and_closed(self) -> None:
        self.over = True
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()


_CURRENT: ContextVar[Exchange] = ContextVar("exchange")


def _dial(connection: HTTPConnection, *, encrypted: bool) -> socket.socket:
    """Connect to the first checked address that answers; the only kind of retry there is."""
    exchange = _CURRENT.get()
    port = connection.port or connection.default_port
    refusal: OSError | None = None
    for address in exchange.addresses(connection.host.strip("[]"), port, encrypted=encrypted):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(_seconds(connection.timeout))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange.watch(sock)
            sock.connect((address, port))
        except OSError as problem:
            sock.close()
            refusal = problem
            continue
        return sock
    if isinstance(refusal, TimeoutError):
        raise ConnectTimeoutError(connection, "no address of the host answered in time")
    raise NewConnectionError(connection, "no address of the host accepts connections")


def _seconds(timeout: object) -> float | None:
    return timeout if isinstance(timeout, int | float) else None


class GuardedConnection(HTTPConnection):
    """Plain HTTP, to private addresses only."""

    def _new_conn(self) -> socket.socket:
        return _dial(self, encrypted=False)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept alive from an earlier exchange, under whose deadline it was
            _CURRENT.get().watch(self.sock)
        super().request(*args, **kwargs)


class GuardedTLSConnection(HTTPSConnection):
    """HTTPS. urllib3 verifies the certificate against the name it was asked for."""

    def _new_conn(self) -> socket.socket:
        return _dial(self, encrypted=True)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _CURRENT.get().watch(self.sock)
        super().request(*args, **kwargs)


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedTLSConnection


class GuardedAdapter(HTTPAdapter):
    """Makes a requests session open guarded connections only, and never through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        raise AddressForbidden("requests to providers do not pass through a proxy")
