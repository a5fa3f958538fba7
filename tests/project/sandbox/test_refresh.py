"""Refreshing at the emulated hosts: whose rules hold, what lives how long, and the answers that get lost."""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Any

import pytest

from tests.project.sandbox.caller import Answer
from tests.project.sandbox.test_oauth import exchange, sign_in, works
from tests.sandbox import RunningSandbox

HOSTS = ["gitlab", "bitbucket", "gitea"]


def refresh(sandbox: RunningSandbox, host: str, grant: dict[str, Any]) -> Answer:
    return exchange(sandbox, host, grant_type="refresh_token", refresh_token=grant["refresh_token"])


def tally(sandbox: RunningSandbox, host: str) -> dict[str, int]:
    return sandbox.control(host, "GET", "oauth")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("said", ["yes", "no"])
def test_every_host_can_be_told_whether_a_refresh_token_serves_once(
    sandbox: RunningSandbox, host: str, said: str
) -> None:
    sandbox.control(host, "POST", "settings", {"single_use_refresh": said, "reuse_ends_family": "no"})
    first = sign_in(sandbox, host)
    assert "access_token" in refresh(sandbox, host, first).json
    assert ("access_token" in refresh(sandbox, host, first).json) is (said == "no")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("said", ["yes", "no"])
def test_every_host_can_be_told_whether_a_second_use_ends_the_family(
    sandbox: RunningSandbox, host: str, said: str
) -> None:
    sandbox.control(host, "POST", "settings", {"single_use_refresh": "yes", "reuse_ends_family": said})
    first = sign_in(sandbox, host)
    second = refresh(sandbox, host, first).json
    assert "error" in refresh(sandbox, host, first).json
    assert works(sandbox, host, second["access_token"]) is (said == "no")
    assert ("access_token" in refresh(sandbox, host, second).json) is (said == "no")
    assert sandbox.control(host, "GET", "grants")["families"] == (1 if said == "no" else 0)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("said", ["yes", "no"])
def test_every_host_can_be_told_whether_the_old_access_token_dies(
    sandbox: RunningSandbox, host: str, said: str
) -> None:
    sandbox.control(host, "POST", "settings", {"single_use_refresh": "yes", "old_access_dies": said})
    first = sign_in(sandbox, host)
    refresh(sandbox, host, first)
    assert works(sandbox, host, first["access_token"]) is (said == "no")


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_can_be_told_how_long_its_tokens_live(sandbox: RunningSandbox, host: str) -> None:
    sandbox.control(host, "POST", "settings", {"access_seconds": 60, "refresh_seconds": 600})
    grant = sign_in(sandbox, host)
    assert grant["expires_in"] == 60
    for later in (500, 1_000, 1_500):  # each use counts the idle time anew
        sandbox.control(host, "POST", "settings", {"clock_offset_seconds": later})
        assert not works(sandbox, host, grant["access_token"])
        grant = refresh(sandbox, host, grant).json
        assert works(sandbox, host, grant["access_token"])
    sandbox.control(host, "POST", "settings", {"clock_offset_seconds": 1_500 + 601})
    assert "error" in refresh(sandbox, host, grant).json


@pytest.mark.parametrize("host", HOSTS)
def test_a_lost_answer_leaves_the_caller_with_a_spent_token(sandbox: RunningSandbox, host: str) -> None:
    sandbox.control(host, "POST", "settings", {"single_use_refresh": "yes"})
    first = sign_in(sandbox, host)
    sandbox.control(host, "POST", "faults", {"lost": True, "times": 1})
    with pytest.raises((HTTPException, ConnectionError)):
        refresh(sandbox, host, first)
    assert tally(sandbox, host)["refreshes"] == 1
    assert "error" in refresh(sandbox, host, first).json
    assert tally(sandbox, host) == {"exchanges": 1, "refreshes": 1, "refusals": 1, "reuses": 1}


def test_a_held_answer_comes_late_though_the_work_is_done(sandbox: RunningSandbox) -> None:
    first = sign_in(sandbox, "gitlab")
    sandbox.control(
        "gitlab", "POST", "faults", {"answer_latency_ms": 300, "path_prefix": "/oauth", "times": 1}
    )
    started = time.monotonic()
    second = refresh(sandbox, "gitlab", first).json
    assert time.monotonic() - started >= 0.3
    assert works(sandbox, "gitlab", second["access_token"])


@pytest.mark.parametrize(
    ("host", "reason", "status", "error"),
    [
        ("gitlab", "client", 401, "invalid_client"),
        ("gitlab", "refresh", 400, "invalid_grant"),
        ("bitbucket", "refresh", 400, "invalid_grant"),
        ("github", "refresh", 200, "bad_refresh_token"),
        ("github", "client", 200, "incorrect_client_credentials"),
    ],
)
def test_a_refusal_on_demand_is_in_the_hosts_own_words_and_spends_nothing(
    sandbox: RunningSandbox, host: str, reason: str, status: int, error: str
) -> None:
    grant = sign_in(sandbox, host)
    sandbox.control(host, "POST", "faults", {"refuse": reason, "times": 1})
    refused = exchange(
        sandbox, host, grant_type="refresh_token", refresh_token=grant.get("refresh_token", "x")
    )
    assert (refused.status, refused.json["error"]) == (status, error)
    assert tally(sandbox, host)["refreshes"] == 0
    if "refresh_token" in grant:
        assert "access_token" in refresh(sandbox, host, grant).json


def test_a_reset_counts_anew(sandbox: RunningSandbox) -> None:
    sign_in(sandbox, "gitlab")
    sandbox.control("gitlab", "POST", "reset", {})
    assert set(tally(sandbox, "gitlab").values()) == {0}
