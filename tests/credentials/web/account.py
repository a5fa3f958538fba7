"""Accounts at the sandbox's GitHub, connected for the tests of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import Credential
from credentials.providers.tokens import Kind
from credentials.services import connect, organizations
from credentials.services.connect import ManualEntry
from tests import builders
from tests.sandbox import RunningSandbox

# Not a real one; its shape is.
AT_GITHUB = "ghp_" + "Zq7" * 12


def by_oauth(owner: User, sandbox: RunningSandbox, **minted: Any) -> Credential:
    """octo-alice by the OAuth app, with everything a person leaves ticked, and the board looked at."""
    made = sandbox.mint("github", "octo-alice", "oauth", ["repo", "read:org"], **minted)
    host = builders.sandbox_host(sandbox, "github")
    held = builders.credential(
        owner,
        host,
        token=made.token,
        kind=Kind.OAUTH,
        account_id="1",
        account_name="octo-alice",
        scopes=["repo", "read:org"],
        oauth_client_id=host.client_id,
    )
    assert organizations.refresh(actor=builders.SYSTEM, credential=held)
    return held


def by_token(
    owner: User,
    sandbox: RunningSandbox,
    *,
    slug: str = "github",
    kind: str = "personal_token",
    scopes: Sequence[str] = ("repo", "read:org"),
    **minted: Any,
) -> Credential:
    """A pasted token of octo-alice."""
    made = sandbox.mint(slug, "octo-alice", kind, scopes, **minted)
    return connect.connect_token(
        actor=builders.SYSTEM,
        owner=owner,
        host=builders.sandbox_host(sandbox, slug),
        entry=ManualEntry(token=Secret(made.token), email=made.email),
    ).credential
