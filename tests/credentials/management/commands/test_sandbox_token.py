"""``sandbox_token``: a token of an emulated host, alone on stdout."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from tests import builders
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

ALICE = ("--host", "gitlab", "--account", "octo-alice", "--kind", "personal_token")


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("sandbox_token", *words, stdout=out)
    return out.getvalue()


def test_the_token_is_alone_on_stdout_and_as_it_was_asked_for(sandbox: RunningSandbox) -> None:
    builders.sandbox_host(sandbox, "gitlab")

    said = run(*ALICE, "--scope", "read_api", "--scope", "read_repository", "--expires-in", "3600")

    assert said.startswith("glpat-")
    assert said.count("\n") == 1
    (token,) = sandbox.control("gitlab", "GET", "state.json")["tokens"]
    assert (token["account"], token["scopes"]) == ("octo-alice", ["read_api", "read_repository"])
    assert token["expires_at"] is not None


def test_the_sandboxs_refusal_is_said(sandbox: RunningSandbox) -> None:
    builders.sandbox_host(sandbox, "gitlab")
    with pytest.raises(CommandError, match="there are octo-alice, octo-bob"):
        run("--host", "gitlab", "--account", "nobody", "--kind", "personal_token")


def test_without_the_demo_it_says_to_start_it(db: None) -> None:
    with pytest.raises(CommandError, match="start the demo first"):
        run(*ALICE)
    builders.host("gitlab")
    with pytest.raises(CommandError, match=r"No sandbox answers at 127\.0\.0\.1:9"):
        run(*ALICE)
