"""The sandbox as a real process for tests: start it, make tokens, turn switches, sign a person in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from project.sandbox import client

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60
APP_BASES = ("http://127.0.0.1:8000", "http://testserver")


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxHost:
    """One emulated host as sandbox.json describes it."""

    slug: str
    provider: str
    title: str
    web_url: str
    api_url: str
    client_id: str
    client_secret: str
    apps: list[dict[str, str]]

    @property
    def origin(self) -> str:
        """Where the whole host is, its control page included; ``web_url`` may be one part of it."""
        return "http://" + urlsplit(self.web_url).netloc


@dataclass(frozen=True, kw_only=True, slots=True)
class Minted:
    """A token with what to show beside it: `username` for git, `email` for Bitbucket's REST."""

    id: str
    token: str
    username: str
    email: str
    expires_at: float | None
    refresh_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningSandbox:
    """A sandbox process. `hosts` are by slug, as project/sandbox/emulated.py has them."""

    data_dir: Path
    hosts: dict[str, SandboxHost]
    process: subprocess.Popen[bytes]

    def mint(
        self,
        host: str,
        account: str,
        kind: str,
        scopes: Sequence[str] = (),
        expires_in: float | None = None,
        *,
        organizations: Sequence[str] = (),
        resource: str | None = None,
    ) -> Minted:
        """Make a token by hand at a host, for instance `mint("github", "octo-alice", "personal_token", ["repo"])`."""
        answer = client.mint(
            self.hosts[host].web_url,
            account=account,
            kind=kind,
            scopes=scopes,
            expires_in=expires_in,
            organizations=organizations,
            resource=resource,
        )
        return Minted(**answer)

    def control(self, host: str, method: str, path: str, json: object = None) -> dict[str, Any]:
        """Call `/_sandbox/<path>` of a host: `control("github", "POST", "organizations/acme", {"sso": True})`."""
        return client.control(self.hosts[host].web_url, method, path, json)

    def calls(self, host: str, since: int = 0) -> list[dict[str, Any]]:
        """The calls a host received, oldest first, after number `since`."""
        calls: list[dict[str, Any]] = self.control(host, "GET", f"calls?since={since}")["calls"]
        return calls

    def reset(self) -> None:
        """Every host as new: no tokens, no faults, no calls, every switch back."""
        for host in self.hosts:
            self.control(host, "POST", "reset", {})

    def consent(
        self, authorize_url: str, *, person: str = "octo-alice", allow: bool = True, **fields: Sequence[str]
    ) -> dict[str, str]:
        """Press Allow or Deny on the page at `authorize_url`; the query of the redirect that follows.

        `fields` may hold `sso` (organizations signed in at) and `scopes` (those left ticked).
        """
        parts = urlsplit(authorize_url)
        form = [("person", person), ("decision", "allow" if allow else "deny")]
        form += [(f"{name}[]", value) for name, values in fields.items() for value in values]
        connection = HTTPConnection(parts.netloc, timeout=30)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", f"{parts.path}?{parts.query}", body=urlencode(form), headers=headers)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        location = response.headers.get("Location")
        assert location is not None, f"the page answered {response.status} and went nowhere"
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def start_sandbox(data_dir: Path, *, app_bases: Sequence[str] = APP_BASES) -> RunningSandbox:
    """Start the sandbox on free ports below 32768 and wait until it answers.

    `app_bases` are where the product runs in the tests; more can be added later through the setting
    `redirect_bases`. The process ends with the one that started it, however that one ends.
    """
    bases = [word for base in app_bases for word in ("--app-redirect-base", base)]
    announcement = data_dir / "sandbox.json"
    announcement.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "project.sandbox", "--stop-with-stdin"),
            *("--port", "0", "--data-dir", str(data_dir)),
            *bases,
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + START_SECONDS
    while not announcement.exists():
        assert process.poll() is None, f"the sandbox ended with {process.returncode}"
        assert time.monotonic() < deadline, "the sandbox did not start in time"
        time.sleep(0.05)
    facts = json.loads(announcement.read_text(encoding="utf-8"))
    hosts = {slug: SandboxHost(slug=slug, **entry) for slug, entry in facts["hosts"].items()}
    return RunningSandbox(data_dir=data_dir, hosts=hosts, process=process)
