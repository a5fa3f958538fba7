"""Callers that borrow over HTTP all the time, whatever becomes of the web process, and look at what they got."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import requests

_SECONDS = 30


class Judge(Protocol):
    """The provider, who knows whether a token works."""

    def accepts(self, access: str) -> bool: ...


@dataclass(kw_only=True)
class Borrowers:
    """``counts`` has how their requests went: lent; dead (lent, but refused by the provider); later (503) …"""

    port: int
    key: str = field(repr=False)
    users: Sequence[str]
    counts: Counter[str] = field(default_factory=Counter)

    def lease(self, user: str) -> requests.Response:
        body = {"user": user, "host": "gitlab", "purpose": "import", "min_valid_seconds": 1}
        return requests.post(
            f"http://127.0.0.1:{self.port}/api/v1/leases/",
            json=body,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=_SECONDS,
        )

    def lent(self, user: str, judge: Judge) -> str:
        """Borrow and show the token to the provider; a word for how it went."""
        try:
            answer = self.lease(user)
        except requests.RequestException:
            return "unanswered"
        if answer.status_code != 201:
            return {503: "later", 422: "refused", 409: "later"}.get(
                answer.status_code, str(answer.status_code)
            )
        try:
            return "lent" if judge.accepts(answer.json()["password"]) else "dead"
        except requests.RequestException:
            return "lent, the provider silent"

    @contextmanager
    def borrowing(self, callers: int, judge: Judge) -> Iterator[None]:
        """So many of them, for as long as the block lasts."""
        over, lock = threading.Event(), threading.Lock()

        def borrow(seed: int) -> None:
            dice = random.Random(seed)
            while not over.is_set():
                how = self.lent(dice.choice(self.users), judge)
                with lock:
                    self.counts[how] += 1
                time.sleep(0.05 if how == "unanswered" else 0)

        threads = [threading.Thread(target=borrow, args=(seed,), daemon=True) for seed in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
