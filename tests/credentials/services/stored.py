"""Credentials of the sandbox as they lie in the database, and what a test wants to know of them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from credentials.models import Credential, Host, OrganizationAccess
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.providers.loopback import Reply, Script, Seen
from tests.sandbox import Minted, RunningSandbox

# What a token needs to read a private repository, by emulated host.
READS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "github": (Kind.PERSONAL_TOKEN, ("repo", "read:org")),
    "gitlab": (Kind.PERSONAL_TOKEN, ("read_api", "read_repository")),
    "bitbucket": (Kind.API_TOKEN, ("read:repository:bitbucket", "read:workspace:bitbucket")),
    "gitea": (Kind.PERSONAL_TOKEN, ("read:repository", "read:user", "read:organization")),
}


def store(
    sandbox: RunningSandbox,
    owner: User,
    host: Host,
    *,
    account: str = "octo-alice",
    kind: Kind | None = None,
    scopes: Sequence[str] | None = None,
    **fields: Any,
) -> tuple[Credential, Minted]:
    """A credential with a token that the host has made; by default one that reads everything."""
    usual = READS.get(host.slug, (Kind.PERSONAL_TOKEN, ()))
    kind = kind or usual[0]
    minted = sandbox.mint(host.slug, account, kind.value, usual[1] if scopes is None else scopes)
    values = {"token": minted.token, "kind": kind, "email": minted.email, **fields}
    return builders.credential(owner, host, **values), minted


def switch(sandbox: RunningSandbox, slug: str, name: str, **switches: object) -> None:
    """Turn the switches of an organization."""
    sandbox.control(slug, "POST", f"organizations/{name}", switches)


def fresh(credential: Credential) -> Credential:
    """The row as it is now."""
    return Credential.objects.select_related("host", "owner").get(pk=credential.pk)


# What a fault must leave as it was. How often it was refused and when it is asked again may change.
KNOWN = (
    "status", "status_detail", "account_id", "account_name", "kind", "scopes", "missing_scopes", "expires_at",
    "oauth_client_id", "last_verified_at", "generation", "disconnected_at",
)  # fmt: skip


def known(credential: Credential) -> dict[str, object]:
    """Everything that is known of a credential: of itself, its organizations, its repositories."""
    row = fresh(credential)
    boards = row.organizations.values_list("organization__key", "state", "evidence", "since", "checked_at")
    repositories = row.repositories.values_list("key", "verdict", "checked_at")
    return {
        **{name: getattr(row, name) for name in KNOWN},
        "envelope": bytes(row.access_envelope or b""),
        "organizations": sorted(boards),
        "repositories": sorted(repositories),
    }


def state(credential: Credential, key: str) -> str:
    """What the board says of one organization; empty where it is not on it."""
    access = OrganizationAccess.objects.filter(credential=credential, organization__key=key).first()
    return access.state if access else ""


def meanwhile(change: Callable[[], object], reply: Reply) -> Script:
    """A host that answers ``reply``, and while it makes up its mind for the first time, something happens."""
    left = [change]

    def script(seen: Seen) -> Reply:
        try:
            while left:
                left.pop()()
        finally:
            connection.close()
        return reply

    return script


def host_at(url: str) -> Host:
    """A GitHub that an in-test server plays."""
    return builders.host(web_url=url, api_url=f"{url}/api/v3")
