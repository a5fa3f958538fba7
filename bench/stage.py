"""An installation with many OAuth accounts at a provider whose refresh tokens serve once, and its processes.

What is measured or killed on it is the product as it is: rows are made by the product's own services, and the
provider is a process that knows nothing of it.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import requests

from tests.oauth_toolkit.running import start_toolkit
from tests.postgresql import OwnPostgreSQL, binaries, own_postgresql
from tests.sandbox import start_sandbox

if TYPE_CHECKING:
    from credentials.models import Credential

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
SLUG = "gitlab"


class Provider(Protocol):
    """What a run needs of a provider: to make grants, to end access tokens, and to be asked what it saw."""

    web_url: str
    api_url: str
    client_id: str
    client_secret: str

    def accepts(self, access: str) -> bool: ...
    def expire(self) -> object: ...
    def refreshes(self) -> int: ...
    def reuses(self) -> int: ...
    def live_grants(self) -> int: ...
    def is_alive(self, account: str) -> bool: ...
    def pairs(self, *accounts: str) -> list[tuple[str, str, int]]: ...
    def lives_for(self, seconds: int) -> None: ...
    def slow_down(self, milliseconds: int) -> None: ...
    def fault(self, **fields: Any) -> None: ...


class Toolkit:
    """django-oauth-toolkit: the provider that is not ours."""

    def __init__(self, folder: Path) -> None:
        self.running = start_toolkit(folder)
        self.web_url, self.api_url = self.running.web_url, self.running.api_url
        self.client_id, self.client_secret = self.running.client_id, self.running.client_secret
        self.accepts, self.expire = self.running.accepts, self.running.expire
        self.fault = self.running.fault
        self.lives_for = self.running.access_seconds

    def is_alive(self, account: str) -> bool:
        return self.running.live_grants(account) > 0

    def pairs(self, *accounts: str) -> list[tuple[str, str, int]]:
        made = self.running.grant(*accounts)
        return [(pair.access, pair.refresh, pair.expires_in) for pair in made]

    def slow_down(self, milliseconds: int) -> None:
        """So long before the token endpoint works, and as long again before it answers."""
        self.running.fault(
            path_prefix="/oauth/token", latency_ms=milliseconds, answer_latency_ms=milliseconds
        )

    def refreshes(self) -> int:
        return self.running.tally()["refreshes"]

    def reuses(self) -> int:
        return self.running.tally()["reuses"]

    def live_grants(self) -> int:
        return self.running.live_grants()


class Sandbox:
    """The emulated GitLab; it has two people, so all grants are one person's."""

    def __init__(self, folder: Path) -> None:
        self.running = start_sandbox(folder)
        host = self.running.hosts[SLUG]
        self.web_url, self.api_url = host.web_url, host.api_url
        self.client_id, self.client_secret = host.client_id, host.client_secret

    def is_alive(self, account: str) -> bool:
        return self.live_grants() > 0

    def pairs(self, *accounts: str) -> list[tuple[str, str, int]]:
        seconds = self.running.control(SLUG, "GET", "state.json")["settings"]["access_seconds"] or 7200
        made = [
            self.running.mint(SLUG, "octo-alice", "oauth", ("read_user", "read_repository")) for _ in accounts
        ]
        return [(minted.token, minted.refresh_token or "", seconds) for minted in made]

    def accepts(self, access: str) -> bool:
        headers = {"Authorization": f"Bearer {access}"}
        return requests.get(f"{self.api_url}/user", headers=headers, timeout=60).status_code == 200

    def expire(self) -> None:
        for grant in self.running.control(SLUG, "GET", "grants")["grants"]:
            if grant["live"]:
                self.running.control(SLUG, "POST", f"tokens/{grant['id']}", {"expires_in": 0})

    def refreshes(self) -> int:
        return int(self.running.control(SLUG, "GET", "oauth")["refreshes"])

    def reuses(self) -> int:
        return int(self.running.control(SLUG, "GET", "oauth")["reuses"])

    def live_grants(self) -> int:
        return int(self.running.control(SLUG, "GET", "grants")["families"])

    def lives_for(self, seconds: int) -> None:
        self.running.control(SLUG, "POST", "settings", {"access_seconds": seconds})

    def slow_down(self, milliseconds: int) -> None:
        self.fault(latency_ms=milliseconds, answer_latency_ms=milliseconds, path_prefix="/oauth/token")

    def fault(self, **fields: Any) -> None:
        if fields.pop("clear", False):
            self.running.control(SLUG, "DELETE", "faults")
        if fields:
            self.running.control(SLUG, "POST", "faults", fields)


PROVIDERS: dict[str, type[Toolkit | Sandbox]] = {"toolkit": Toolkit, "sandbox": Sandbox}


@dataclass(kw_only=True)
class Program:
    """A process of the product that may be killed and started again."""

    words: Sequence[str]
    log: Path
    surroundings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.words],
                cwd=ROOT,
                env=self.surroundings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def must_run(self) -> None:
        """Raises AssertionError, with what it said, where it ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8")[-3000:]

    def kill(self, *, alone: bool = False) -> None:
        """SIGKILL to it and all it started, or to it ``alone``."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            (os.kill if alone else os.killpg)(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Politely, as an operator does it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        # Also what it may have left behind.
        self.kill()


@dataclass(kw_only=True)
class Stage:
    """Where a run takes place. ``key`` is a service key that may lend; ``server`` is PostgreSQL, if it is its own."""

    folder: Path
    provider: Provider
    server: OwnPostgreSQL | None
    key: str = field(default="", repr=False)
    programs: dict[str, Program] = field(default_factory=dict)

    def program(self, name: str, *words: str, **surroundings: str) -> Program:
        """A process of the product in this installation, not yet started."""
        made = Program(
            words=words,
            log=self.folder / f"{name}.log",
            surroundings={**os.environ, "PYTHONPATH": str(ROOT), **surroundings},
        )
        self.programs[name] = made
        return made

    def connect(self, count: int) -> list[Credential]:
        """So many people who connected an account each; through the services that a browser would end in."""
        from bench import accounts  # noqa: PLC0415  only once Django is set up

        return accounts.connect(self.provider, count)


@contextmanager
def set_up(
    *,
    provider: str,
    database: str | None = None,
    connections: int = 100,
    disk: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """A fresh installation in a temporary folder; ``database`` is a server's address, None a server of its own.

    The environment is set here, before Django reads it; processes inherit it. ``disk`` is where a server of its
    own keeps its data.
    """
    # Told to end, it cleans up: processes and servers of a run must not outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forgekey-bench-")))
        server = None if database else stack.enter_context(_own_server(connections, disk))
        url = database or (server.create_database("forgekey") if server else "")
        os.environ |= {
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "SECURE": "false",
            **(environment or {}),
        }
        (folder / "data" / "static").mkdir(parents=True)  # whitenoise looks for it at start
        (folder / "provider").mkdir()
        chosen = PROVIDERS[provider](folder / "provider")
        stack.callback(chosen.running.stop)
        made = Stage(folder=folder, provider=chosen, server=server)
        made.key = _furnished(chosen)
        try:
            yield made
        finally:
            for program in made.programs.values():
                program.stop()


@contextmanager
def _own_server(connections: int, disk: Path | None) -> Iterator[OwnPostgreSQL]:
    if binaries() is None:
        raise SystemExit("PostgreSQL's server is not installed here; name a fresh database with --database.")
    with own_postgresql(disk, max_connections=str(connections)) as server:
        yield server


def _furnished(provider: Provider) -> str:
    import django  # noqa: PLC0415  only once the environment is set

    django.setup()
    from bench import accounts  # noqa: PLC0415  as above

    return accounts.furnish(provider)


def wait_until_it_answers(url: str, program: Program) -> None:
    """Until a web process answers at all."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(requests.RequestException):
            requests.get(url, timeout=5)
            return
        program.must_run()
        assert time.monotonic() < deadline, program.log.read_text("utf-8")
        time.sleep(0.05)
