"""The provider as a real process for tests and measurements: start it, make grants, look at them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An access token with its refresh token, as the token endpoint gave them."""

    account: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningToolkit:
    """The provider process. To the product it is a GitLab at ``web_url``."""

    web_url: str
    api_url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    process: subprocess.Popen[bytes]

    def token(self, **form: str) -> requests.Response:
        """One call of the token endpoint, with the application's own id and secret."""
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        return requests.post(f"{self.web_url}/oauth/token", data={**client, **form}, timeout=60)

    def grant(self, *accounts: str) -> list[Pair]:
        """For each account a new authorization, its code exchanged at the token endpoint."""
        made = self.control("POST", "codes", accounts=accounts)
        return [self._exchanged(account, made["codes"][account]) for account in accounts]

    def _exchanged(self, account: str, code: str) -> Pair:
        answer = self.token(grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri)
        return _pair(account, answer)

    def refresh(self, pair: Pair) -> Pair:
        """Refresh as a client does it. Raises ValueError with the error where it is refused."""
        return _pair(pair.account, self.refresh_answer(pair))

    def refresh_answer(self, pair: Pair) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=pair.refresh)

    def accepts(self, access: str) -> bool:
        """Whether the provider takes this access token now."""
        headers = {"Authorization": f"Bearer {access}"}
        return requests.get(f"{self.api_url}/user", headers=headers, timeout=60).status_code == 200

    def expire(self, *accounts: str) -> int:
        """End the live access tokens of these accounts, or of all; how many there were."""
        asked = {"accounts": accounts} if accounts else {}
        return int(self.control("POST", "expire", **asked)["expired"])

    def tally(self) -> dict[str, int]:
        """Calls of the token endpoint, exchanges, refreshes, refusals, reuses, revocations."""
        counts: dict[str, int] = self.control("GET", "facts")["tally"]
        return counts

    def live_grants(self, account: str = "") -> int:
        """How many authorizations can still be used, of one account or of all."""
        facts = self.control("GET", "facts")
        return int(facts["grants"].get(account, 0) if account else facts["live"])

    def fault(self, **fields: Any) -> None:
        """A fault as the sandbox has them, for instance ``fault(path_prefix="/oauth/token", lost=True, times=1)``."""
        self.control("POST", "faults", **fields)

    def access_seconds(self, seconds: int) -> None:
        """How long access tokens made from now on live."""
        self.control("POST", "settings", access_seconds=seconds)

    def reset(self) -> None:
        """As new: no people, no tokens, no faults, counts at zero."""
        self.control("POST", "reset")

    def control(self, method: str, what: str, **fields: Sequence[str] | Any) -> dict[str, Any]:
        answer = requests.request(method, f"{self.web_url}/_control/{what}", json=fields or None, timeout=60)
        answer.raise_for_status()
        facts: dict[str, Any] = answer.json()
        return facts

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


def _pair(account: str, answer: requests.Response) -> Pair:
    facts = answer.json()
    if "access_token" not in facts:
        raise ValueError(facts.get("error"))
    return Pair(
        account=account,
        access=facts["access_token"],
        refresh=facts["refresh_token"],
        expires_in=facts["expires_in"],
    )


def start_toolkit(data_dir: Path) -> RunningToolkit:
    """Start the provider on a free port below 32768 and wait until it answers.

    The process ends with the one that started it, however that one ends.
    """
    announcement = data_dir / "toolkit.json"
    announcement.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.oauth_toolkit", "--stop-with-stdin"),
            *("--data-dir", str(data_dir)),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
    )
    deadline = time.monotonic() + START_SECONDS
    while not announcement.exists():
        assert process.poll() is None, f"the provider ended with {process.returncode}"
        assert time.monotonic() < deadline, "the provider did not start in time"
        time.sleep(0.05)
    return RunningToolkit(**json.loads(announcement.read_text(encoding="utf-8")), process=process)
