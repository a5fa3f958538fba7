"""The client that the command line uses."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from project.sandbox import client
from tests.sandbox import RunningSandbox


def port(sandbox: RunningSandbox, host: str) -> int:
    number = urlsplit(sandbox.hosts[host].web_url).port
    assert number is not None
    return number


def test_a_token_is_made_at_the_host_named_through_any_hosts_port(sandbox: RunningSandbox) -> None:
    for entrance in sandbox.hosts:
        token = client.mint_token(
            port(sandbox, entrance), "gitlab", "octo-alice", "personal_token", ["api"], 60
        )
        assert token.startswith("glpat-")
    assert sandbox.control("gitlab", "GET", "grants")["count"] == len(sandbox.hosts)


def test_an_unknown_host_is_refused_with_those_there_are(sandbox: RunningSandbox) -> None:
    with pytest.raises(client.SandboxError, match="github, gitlab, bitbucket, gitea"):
        client.mint_token(port(sandbox, "github"), "nope", "octo-alice", "oauth")


def test_a_sandbox_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(client.SandboxError, match=r"No sandbox answers at 127\.0\.0\.1:1"):
        client.mint_token(1, "github", "octo-alice", "oauth")


def test_an_answer_that_is_no_json_is_no_sandbox(sandbox: RunningSandbox) -> None:
    with pytest.raises(client.SandboxError, match="No sandbox answers"):
        client.control(sandbox.hosts["github"].web_url, "GET", "")
