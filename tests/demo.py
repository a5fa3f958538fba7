"""The demo as a real process for tests: started as ``make run`` does it, asked over HTTP, and stopped."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from django.db import connection

from project.sandbox.emulated import EMULATED
from tests.processes import ROOT, environment, free_ports, fresh_database

START_SECONDS = 90
OPEN = """
from credentials.models import Credential
from credentials.services import vault
made = Credential.objects.get(pk={pk!r})
for name in ("access", "refresh"):
    if envelope := getattr(made, f"{{name}}_envelope"):
        print(vault.unseal_after_audit(bytes(envelope), made.binding(name)).reveal())
"""


class Browser:
    """A person at the pages, over real HTTP."""

    def __init__(self, base: str, name: str) -> None:
        self.base, self.session = base, requests.Session()
        self.get("/accounts/login/")
        self.post("/accounts/login/", login=name, password=f"{name}-demo")
        assert "sessionid" in self.session.cookies

    def get(self, address: str) -> requests.Response:
        return self.session.get(address if "://" in address else self.base + address, timeout=30)

    def post(self, path: str, **fields: str) -> requests.Response:
        form = {"csrfmiddlewaretoken": self.session.cookies["csrftoken"], **fields}
        return self.session.post(self.base + path, data=form, timeout=30)


@dataclass(frozen=True, kw_only=True)
class OAuthConnection:
    """What one OAuth connection brought: the credential's id, the code, and its tokens."""

    credential: str
    code: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A running demo: its addresses, its folder, its database where that is none of its files, its output."""

    base: str
    sandbox_port: int
    data_dir: Path
    database: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> str:
        return (self.data_dir / "demo-service.key").read_text("ascii")

    @property
    def emulated(self) -> dict[str, dict[str, Any]]:
        """The emulated hosts as the sandbox announces them, by slug."""
        facts: dict[str, Any] = json.loads((self.data_dir / "sandbox" / "sandbox.json").read_text("utf-8"))
        hosts: dict[str, dict[str, Any]] = facts["hosts"]
        return hosts

    def api(self, method: str, path: str, **body: object) -> requests.Response:
        return requests.request(
            method,
            f"{self.base}/api/v1{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=surroundings(self.data_dir, self.database),
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def connect_by_oauth(self, browser: Browser, slug: str) -> OAuthConnection:
        """Press the buttons: continue to the host, allow there, confirm here."""
        page = browser.post(f"/connect/{slug}/").text
        link = re.search(r'<a class="button primary" href="([^"]+)" rel="noreferrer"', page)
        assert link is not None, page
        decision = {"person": "octo-alice", "decision": "allow"}
        consent = requests.post(html.unescape(link[1]), data=decision, allow_redirects=False, timeout=30)
        back = consent.headers["Location"]
        confirm = urlsplit(browser.get(back).url).path
        assert confirm.startswith("/connect/confirm/"), confirm
        done = urlsplit(browser.post(confirm, action="confirm").url).path
        assert done.startswith("/credentials/"), done
        pk = done.strip("/").rpartition("/")[2]
        opened = self.manage("shell", "--no-imports", "-c", OPEN.format(pk=pk)).split()
        return OAuthConnection(
            credential=pk, code=parse_qs(urlsplit(back).query)["code"][0], tokens=tuple(opened)
        )


def surroundings(data_dir: Path, database: str) -> dict[str, str]:
    return environment(data_dir, **({"DATABASE_URL": database} if database else {}))


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """``manage.py demo`` in an empty folder; on PostgreSQL, where the tests use that, in a database of its own."""
    with ExitStack() as stack:
        postgresql = connection.vendor == "postgresql"
        name = f"forgekey_story_{os.getpid()}"
        demo = _start(folder, stack.enter_context(fresh_database(name)) if postgresql else "")
        stack.callback(_stop, demo.process)
        _wait(demo)
        yield demo


def _start(folder: Path, database: str) -> Demo:
    port, log = free_ports(1 + len(EMULATED)), folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "demo", "--port", str(port)),
                *("--sandbox-port", str(port + 1), "--data-dir", str(folder / "data")),
            ],
            cwd=ROOT,
            env=surroundings(folder / "data", database),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Demo(
        base=f"http://127.0.0.1:{port}",
        sandbox_port=port + 1,
        data_dir=folder / "data",
        database=database,
        log=log,
        process=process,
    )


def _wait(demo: Demo) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C ends everything" not in demo.log.read_text("utf-8"):
        assert demo.process.poll() is None, demo.log.read_text("utf-8")
        assert time.monotonic() < deadline, demo.log.read_text("utf-8")
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
