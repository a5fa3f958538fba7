"""All emulated hosts together: their ports, their data, and sandbox.json that says where they are."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from project.sandbox.emulated import EMULATED
from project.sandbox.host import EmulatedHost
from project.sandbox.repositories import build
from project.sandbox.seed import load_seed
from project.sandbox.server import HostServer
from project.sandbox.state import HostState, Store
from project.sandbox.wire import Request, Response

# Below the range from which outgoing connections get their ports, so that none of them is in the way.
FREE_PORTS = range(20_000, 32_000)
ATTEMPTS = 200


class World:
    """Every emulated host, serving from the moment it is made; a context manager that stops them.

    `port` is the first of one port per host, 0 picks free ones. Raises OSError if a port is taken.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        redirect_bases: Iterable[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._announcement = data_dir / "sandbox.json"
        self._announcement.unlink(missing_ok=True)
        self._store = Store(data_dir / "sandbox.sqlite3")
        self._servers: list[HostServer] = []
        self.hosts: dict[str, EmulatedHost] = {}
        seed, root = load_seed(), data_dir / "repositories"
        root.mkdir(exist_ok=True)
        for repository in seed.repositories:
            build(repository, root)
        try:
            for position, (slug, kind) in enumerate(EMULATED):
                server = _server(port + position if port else 0, _application(self.hosts, slug))
                self._servers.append(server)
                state = HostState(
                    slug=slug, seed=seed, store=self._store, redirect_bases=redirect_bases, clock=clock
                )
                self.hosts[slug] = kind(state=state, port=server.port, repositories_root=root)
        except BaseException:
            self._close()
            raise
        for host in self.hosts.values():
            host.neighbors = {slug: other.web_url for slug, other in self.hosts.items()}
        for server in self._servers:
            server.start()
        self._announce()

    def facts(self) -> dict[str, Any]:
        """What sandbox.json says: addresses, and the applications with their secrets."""
        hosts: dict[str, Any] = {}
        for slug, host in self.hosts.items():
            names = ("name", "kind", "client_id", "client_secret")
            apps = [{name: getattr(app, name) for name in names} for app in host.state.apps.values()]
            hosts[slug] = {
                "provider": host.provider,
                "title": host.title,
                "web_url": host.web_url + host.home_path,
                "api_url": host.api_url,
                "client_id": apps[0]["client_id"] if apps else "",
                "client_secret": apps[0]["client_secret"] if apps else "",
                "apps": apps,
            }
        return {"pid": os.getpid(), "hosts": hosts}

    def _announce(self) -> None:
        draft = self._announcement.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.facts(), file, indent=2)
        draft.replace(self._announcement)

    def _close(self) -> None:
        for server in self._servers:
            server.server_close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._announcement.unlink(missing_ok=True)
        for server in self._servers:
            server.shutdown()
        self._close()


def _application(hosts: Mapping[str, EmulatedHost], slug: str) -> Callable[[Request], Response]:
    """The host's answers; the host itself is made once its port is known."""

    def answer(request: Request) -> Response:
        return hosts[slug].handle(request)

    return answer


def _server(port: int, application: Callable[[Request], Response]) -> HostServer:
    if port:
        return HostServer(port, application)
    for _ in range(ATTEMPTS):
        try:
            return HostServer(random.choice(FREE_PORTS), application)  # noqa: S311  nobody has to guess it
        except OSError:
            continue
    raise OSError("no free port was found")
