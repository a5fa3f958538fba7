"""Builds providers that speak to a server or to the sandbox, and logins for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from credentials.crypto.secret import Secret
from credentials.providers import registry
from credentials.providers.base import Provider
from credentials.providers.facts import HostFacts, Login
from credentials.providers.http import Door
from credentials.providers.tokens import Kind, recognize
from tests.credentials.providers.loopback import Server
from tests.sandbox import RunningSandbox

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TOKEN = "made-up-token-of-octo-alice"

# The sandbox's own names for kinds that people tell apart and shapes do not.
SANDBOX_KINDS = {Kind.APP_TOKEN: "app_user_token"}


def door(**options: Any) -> Door:
    """A door to private networks, impatient as tests are; ``options`` are those of Door."""
    return Door(**{"allow_private": True, "timeout": (2.0, 2.0), "deadline": 4.0, **options})


def provider_at(server: Server, name: str, *, client_id: str = "client-1") -> Provider:
    """The named provider, speaking to an in-test server."""
    facts = HostFacts(
        slug=name, name=name.title(), web_url=server.url, api_url=f"{server.url}/api", client_id=client_id
    )
    return registry.get(name)(host=facts, door=door(), now=lambda: NOW)


def login(kind: Kind, *, token: str = TOKEN) -> Login:
    return Login(token=Secret(token), kind=kind, email="octo-alice@example.test")


def provider_in(sandbox: RunningSandbox, slug: str) -> Provider:
    """The provider of an emulated host, with the real clock."""
    host = sandbox.hosts[slug]
    facts = HostFacts(
        slug=slug, name=slug.title(), web_url=host.web_url, api_url=host.api_url, client_id=host.client_id
    )
    return registry.get(host.provider)(host=facts, door=door(), now=lambda: datetime.now(UTC))


def login_in(
    sandbox: RunningSandbox,
    slug: str,
    kind: Kind,
    scopes: Sequence[str] = (),
    *,
    minted_as: str = "",
    expires_in: float | None = None,
    resource: str | None = None,
    organizations: Sequence[str] = (),
) -> Login:
    """A fresh token of octo-alice at an emulated host, as she would paste it."""
    minted = sandbox.mint(
        slug,
        "octo-alice",
        minted_as or SANDBOX_KINDS.get(kind, kind.value),
        scopes,
        expires_in,
        resource=resource,
        organizations=organizations,
    )
    assert recognize(minted.token).usable
    return Login(token=Secret(minted.token), kind=kind, email=minted.email)
