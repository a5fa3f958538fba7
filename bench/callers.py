"""One process of callers: each a thread that wants a live token, and shows it to the provider at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import requests

from bench.rounds import ROUND_SECONDS, Seen
from credentials.models import Credential
from credentials.services import vault
from credentials.services.refresh import ensure

_MIN_VALID = timedelta(minutes=5)


def ask(barrier: Any, accounts: Sequence[UUID], expiries: int, api_url: str) -> Seen:
    """For each account a caller, that asks in every round; a round begins and ends at the barrier."""
    seen = Seen()
    threads = [
        threading.Thread(target=_caller, args=(seen, barrier, account, expiries, api_url))
        for account in accounts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _caller(seen: Seen, barrier: Any, account: UUID, expiries: int, api_url: str) -> None:
    session = requests.Session()
    for _ in range(expiries):
        barrier.wait(ROUND_SECONDS)
        try:
            if not _accepted(session, _token(seen, account), api_url):
                seen.refused.append(str(account))
        except Exception as problem:  # whoever left would leave the others waiting
            seen.problems.append(f"{type(problem).__name__}: {problem}")
        barrier.wait(ROUND_SECONDS)


def _token(seen: Seen, account: UUID) -> str:
    began = time.perf_counter()
    row = Credential.objects.select_related("host", "owner").get(pk=account)
    row = ensure.fresh(row, min_valid=_MIN_VALID)
    seen.waits.append(time.perf_counter() - began)
    assert row.access_envelope is not None
    return vault.unseal_after_audit(bytes(row.access_envelope), row.binding("access")).reveal()


def _accepted(session: requests.Session, token: str, api_url: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return session.get(f"{api_url}/user", headers=headers, timeout=60).status_code == 200
