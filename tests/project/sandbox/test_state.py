"""What a host remembers, and that no token can be found in it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from project.sandbox.seed import load_seed
from project.sandbox.state import HostState, Store

SECRET, REFRESH = "access-text", "refresh-text"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    kept = Store(tmp_path / "s.sqlite3")
    yield kept
    kept.close()


def opened(store: Store, clock: Callable[[], float], slug: str = "github") -> HostState:
    return HostState(slug=slug, seed=load_seed(), store=store, redirect_bases=["http://a"], clock=clock)


@pytest.fixture
def state(store: Store, clock: Clock) -> HostState:
    return opened(store, clock)


def test_tokens_and_switches_outlive_a_restart(tmp_path: Path, clock: Clock) -> None:
    before = Store(tmp_path / "s.sqlite3")
    first = opened(before, clock)
    token = first.add_token(
        secret=SECRET, refresh=REFRESH, kind="oauth", account="octo-alice", scopes=("repo",), sso=("acme",)
    )
    first.set_organization("acme", {"sso": True, "members": {"octo-bob": "pending"}}, ("sso", "members"))
    first.set_settings({"redirect_bases": ["http://b"]})
    before.close()
    after = Store(tmp_path / "s.sqlite3")
    second = opened(after, clock)
    after.close()
    assert second.find(SECRET) == token
    assert second.find_refresh(REFRESH) == token
    assert second.organizations["acme"].sso
    assert not second.organizations["acme"].has_member("octo-bob")
    assert second.redirect_bases == ("http://a", "http://b")


def test_the_file_is_its_owners_only_and_holds_no_token(tmp_path: Path, state: HostState) -> None:
    state.add_token(secret=SECRET, refresh=REFRESH, kind="oauth", account="octo-alice", scopes=())
    path = tmp_path / "s.sqlite3"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"octo-alice" in kept
    assert SECRET.encode() not in kept
    assert REFRESH.encode() not in kept


def test_a_token_of_one_host_is_unknown_at_another(store: Store, clock: Clock) -> None:
    github, gitlab = (opened(store, clock, slug) for slug in ("github", "gitlab"))
    github.add_token(secret=SECRET, kind="oauth", account="octo-alice", scopes=())
    assert gitlab.find(SECRET) is None


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(state: HostState) -> None:
    state.add_token(secret=SECRET, refresh=REFRESH, kind="oauth", account="octo-alice", scopes=())
    assert state.find(REFRESH) is None
    assert state.find_refresh(SECRET) is None


def test_a_new_token_is_unknown_while_replicas_lag(state: HostState, clock: Clock) -> None:
    state.set_settings({"replica_lag_seconds": 5})
    state.add_token(secret=SECRET, kind="oauth", account="octo-alice", scopes=())
    assert state.find(SECRET) is None
    clock.now += 5
    assert state.find(SECRET) is not None


def test_a_setting_that_an_older_version_kept_does_not_stop_the_start(store: Store, clock: Clock) -> None:
    store.save("github", "settings", "settings", {"of_an_older_version": True, "replica_lag_seconds": 5})
    assert opened(store, clock).settings.replica_lag_seconds == 5


def test_the_clock_can_be_moved(state: HostState, clock: Clock) -> None:
    state.set_settings({"clock_offset_seconds": 7200})
    assert state.now() == clock.now + 7200


def test_a_forgotten_token_leaves_no_trace(state: HostState) -> None:
    token = state.add_token(secret=SECRET, kind="oauth", account="octo-alice", scopes=())
    state.forget(token)
    assert state.find(SECRET) is None
    assert state.token(token.id) is None
    assert state.tokens() == []


def test_live_tokens_are_those_that_work_or_can_be_refreshed(state: HostState, clock: Clock) -> None:
    facts: dict[str, Any] = {"kind": "oauth", "account": "octo-alice", "scopes": ()}
    soon = clock.now + 10
    state.add_token(secret="1", expires_at=soon, **facts)
    refreshable = state.add_token(secret="2", refresh="r", expires_at=soon, **facts)
    state.revoke(state.add_token(secret="3", refresh="s", **facts))
    lasting = state.add_token(secret="4", **facts)
    clock.now += 10
    assert {token.id for token in state.live_tokens()} == {refreshable.id, lasting.id}


def test_a_reset_brings_the_seed_back(state: HostState) -> None:
    state.add_token(secret=SECRET, kind="oauth", account="octo-alice", scopes=())
    state.set_organization("assxxx", {"approved": True}, ("approved",))
    state.set_settings({"replica_lag_seconds": 5})
    state.reset()
    assert state.tokens() == []
    assert not state.organizations["assxxx"].approved
    assert state.settings.replica_lag_seconds == 0


def test_names_are_found_whatever_their_case(state: HostState) -> None:
    found = state.repository("ASSXXX", "abc")
    assert found is not None
    assert found.full_name == "assxxx/ABC"
    assert state.organization("ACME") == state.organizations["acme"]
    assert state.repository("acme", "nope") is None


def test_bob_reads_what_is_his_what_is_acmes_and_what_is_public(state: HostState) -> None:
    names = [item.full_name for item in state.repositories if state.is_reader("octo-bob", item)]
    assert names == ["octo-bob/own-cases", "acme/cases", "acme/public-cases"]
