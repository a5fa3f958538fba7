"""The client that the command line uses."""

from __future__ import annotations

import pytest

from project.sandbox import client
from tests.sandbox import RunningSandbox


def test_a_token_is_made_at_the_host_named(sandbox: RunningSandbox) -> None:
    gitlab = sandbox.hosts["gitlab"].web_url
    made = client.mint(gitlab, account="octo-alice", kind="personal_token", scopes=["api"], expires_in=60)
    assert made["token"].startswith("glpat-")
    assert sandbox.control("gitlab", "GET", "grants")["count"] == 1


def test_what_the_sandbox_refuses_is_said_in_its_words(sandbox: RunningSandbox) -> None:
    with pytest.raises(client.SandboxError, match="there are octo-alice, octo-bob"):
        client.mint(sandbox.hosts["github"].web_url, account="nobody", kind="oauth")


def test_a_sandbox_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(client.SandboxError, match=r"No sandbox answers at 127\.0\.0\.1:1"):
        client.mint("http://127.0.0.1:1", account="octo-alice", kind="oauth")


def test_an_answer_that_is_no_json_is_no_sandbox(sandbox: RunningSandbox) -> None:
    with pytest.raises(client.SandboxError, match="No sandbox answers"):
        client.control(sandbox.hosts["github"].web_url, "GET", "")
