"""The sandbox's GitLab inside the test's own process, whose answers a schedule may hold back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credentials.crypto.secret import Secret
from credentials.providers.grants import OAuthGrant
from project.sandbox.hosts.gitlab import GitLab
from project.sandbox.seed import load_seed
from project.sandbox.server import HostServer
from project.sandbox.state import HostState, Store
from project.sandbox.tokens import Token
from project.sandbox.wire import Request, Response
from tests.interleaving import Interleaving
from tests.processes import free_ports

SCOPES = ("read_user", "read_repository")


@dataclass(kw_only=True)
class GatedGitLab:
    """A GitLab on 127.0.0.1. With a ``schedule`` it stops before it works, and again before it answers."""

    server: HostServer
    host: GitLab
    schedule: Interleaving | None = None

    @property
    def web_url(self) -> str:
        return self.host.web_url

    def answer(self, request: Request) -> Response:
        schedule, name = self.schedule, f"GitLab {request.method} {request.path}"
        if schedule is None:
            return self.host.handle(request)
        request.body()  # what was sent has come before anything is held back
        schedule.call_gate(f"{name}: works")
        response = self.host.handle(request)
        schedule.call_gate(f"{name}: answers")
        return response

    def grant(self) -> OAuthGrant:
        """A new authorization of octo-alice, as its code would bring it."""
        made = self.host.mint(account="octo-alice", kind="oauth", scopes=SCOPES)
        return OAuthGrant(
            access=Secret(made["token"]),
            refresh=Secret(made["refresh_token"]),
            scopes=SCOPES,
            expires_in=7200,
            refresh_expires_in=None,
        )

    def live(self) -> list[Token]:
        """Every token that can still be used or renewed."""
        return self.host.state.live_tokens()

    def rules(self, dice: random.Random) -> dict[str, Any]:
        """Other rules for the next run: what a refresh ends, and what a second use does."""
        chosen = {name: dice.choice(["yes", "no"]) for name in ("old_access_dies", "reuse_ends_family")}
        self.host.state.set_settings(chosen)
        return chosen


@contextmanager
def gated_gitlab(folder: Path) -> Iterator[GatedGitLab]:
    """Running for as long as the block lasts."""
    store = Store(folder / "gitlab.sqlite3")
    found: list[GatedGitLab] = []

    def answer(request: Request) -> Response:
        return found[0].answer(request)

    server = HostServer(free_ports(1), answer)
    state = HostState(slug="gitlab", seed=load_seed(), store=store, redirect_bases=[], clock=time.time)
    host = GitLab(state=state, port=server.port, repositories_root=folder)
    found.append(GatedGitLab(server=server, host=host))
    server.start()
    try:
        yield found[0]
    finally:
        server.stop()
        store.close()
