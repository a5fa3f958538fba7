"""All hosts together: ports, sandbox.json, and what a restart keeps."""

from __future__ import annotations

import json
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from project.sandbox.client import mint
from project.sandbox.emulated import EMULATED
from project.sandbox.world import World
from tests.project.sandbox.caller import bearer, call


def world(data_dir: Path, port: int = 0) -> World:
    return World(data_dir, port=port, redirect_bases=["http://127.0.0.1:8000"])


def announced(data_dir: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((data_dir / "sandbox.json").read_text())
    return facts


def test_the_file_names_every_host_is_its_owners_only_and_goes_with_the_process(tmp_path: Path) -> None:
    with world(tmp_path):
        path = tmp_path / "sandbox.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        hosts = announced(tmp_path)["hosts"]
        assert list(hosts) == [slug for slug, _ in EMULATED]
        for facts in hosts.values():
            assert facts["title"]
            assert facts["api_url"].startswith(facts["web_url"])
            assert bool(facts["client_id"]) == bool(facts["client_secret"]) == bool(facts["apps"])
        without = {slug for slug, facts in hosts.items() if not facts["apps"]}
        assert without == {"bitbucket-server", "azure"}
    assert not path.exists()


def test_tokens_and_repositories_outlive_a_restart(tmp_path: Path) -> None:
    with world(tmp_path) as first:
        token = mint(first.hosts["github"].web_url, account="octo-alice", kind="personal_token")["token"]
    with world(tmp_path) as second:
        url = f"{second.hosts['github'].api_url}/user"
        assert call("GET", url, headers=bearer(token)).status == 200


def test_no_token_lies_in_the_data_directory(tmp_path: Path) -> None:
    with world(tmp_path) as running:
        token = mint(running.hosts["github"].web_url, account="octo-alice", kind="app_user_token")
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token["token"].encode() not in kept
    assert token["refresh_token"].encode() not in kept


def free_run(length: int) -> int:
    """The first of so many free ports in a row, below those that outgoing connections get."""
    for base in range(21_000, 30_000, 97):
        with ExitStack() as held:
            try:
                for port in range(base, base + length):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return base
    pytest.fail("no run of free ports was found")


def test_a_first_port_gives_each_host_its_own_upwards(tmp_path: Path) -> None:
    base = free_run(len(EMULATED))
    with world(tmp_path, base) as running:
        urls = [host.web_url for host in running.hosts.values()]
    assert urls == [f"http://127.0.0.1:{base + position}" for position in range(len(urls))]


def test_a_port_that_is_taken_is_an_error_and_the_others_are_given_back(tmp_path: Path) -> None:
    base = free_run(2)
    with socket.create_server(("127.0.0.1", base + 1)):
        with pytest.raises(OSError, match="in use"):
            world(tmp_path, base)
        assert not (tmp_path / "sandbox.json").exists()
        socket.create_server(("127.0.0.1", base)).close()
