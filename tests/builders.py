"""Builds rows for tests, through the services wherever there is one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.key_file import prepend_entry
from credentials.crypto.secret import Secret
from credentials.models import (
    AccessState,
    Credential,
    Host,
    Organization,
    OrganizationAccess,
    PendingConnection,
    Scope,
    ServiceClient,
    Status,
)
from credentials.providers.tokens import Kind
from credentials.services import audit, clients, hosts, vault
from credentials.services.audit import Actor
from credentials.services.logins import subject_of
from tests.sandbox import RunningSandbox

__all__ = ["Host", "uuid4"]

SYSTEM = Actor.system("tests")


def new_first_key(path: Path) -> str:
    """What an operator does before rotating: a new first entry, and every process restarted. Its id."""
    first = prepend_entry(path).primary.id
    vault.forget()
    return first


def lose_all_keys_but(path: Path, *kept: str) -> None:
    """Drop every other entry from a key file, and restart."""
    entries = [line for line in path.read_text("ascii").splitlines() if line.startswith(kept)]
    path.write_text("\n".join(entries), encoding="ascii")
    vault.forget()


def user(name: str, **fields: Any) -> User:
    """A person; the password is ``<name>-demo``."""
    return User.objects.create_user(name, f"{name}@example.org", f"{name}-demo", **fields)


def host(slug: str = "github", **fields: Any) -> Host:
    """A host; by default a GitHub at an address that does not answer."""
    values: dict[str, Any] = {
        "provider": slug,
        "web_url": f"http://127.0.0.1:9/{slug}" if slug != "github" else "http://127.0.0.1:9",
        "api_url": "http://127.0.0.1:9/api/v3",
        "name": slug.title(),
        "allow_private_network": True,
    }
    return hosts.add_host(actor=SYSTEM, slug=slug, **{**values, **fields})


def sandbox_host(sandbox: RunningSandbox, slug: str) -> Host:
    """A host of the sandbox, registered with its OAuth client."""
    emulated = sandbox.hosts[slug]
    return hosts.add_host(
        actor=SYSTEM,
        slug=slug,
        provider=emulated.provider,
        web_url=emulated.web_url,
        api_url=emulated.api_url,
        client_id=emulated.client_id,
        client_secret=Secret(emulated.client_secret),
        allow_private_network=True,
    )


def credential(
    owner: User,
    at: Host,
    *,
    token: str = "ghp_" + "a" * 36,
    kind: Kind = Kind.PERSONAL_TOKEN,
    status: Status = Status.VALID,
    expires_at: datetime | None = None,
    refresh: str = "",
    **fields: Any,
) -> Credential:
    """A stored credential, sealed and recorded as the connect service does it, without asking anyone."""
    made = Credential(
        owner=owner, host=at, kind=kind.value, status=status, expires_at=expires_at, generation=1, **fields
    )
    made.key_id = vault.primary_key_id()
    made.access_envelope = vault.seal_secret(Secret(token), made.binding("access"))
    if refresh:
        made.sealed_at = timezone.now()
        made.refresh_envelope = vault.seal_secret(Secret(refresh), made.binding("refresh"))
    made.fingerprint = vault.fingerprint(Secret(token))
    made.last_verified_at = timezone.now()
    made.save(force_insert=True)
    audit.record(
        "credential.connected",
        actor=SYSTEM,
        subject=subject_of(made),
        data={"envelope_mac": vault.envelope_mac(made)},
    )
    return made


def pending(owner: User, at: Host, *, token: str = "gho_" + "a" * 36) -> PendingConnection:
    """What an OAuth flow brought back, waiting for its owner."""
    facts = {"scopes": None, "expires_at": None, "refresh_ends_at": None, "redirect_uri": ""}
    account = {"account_id": "1", "account_name": "octo-alice"}
    waiting = PendingConnection(user=owner, host=at, facts={**facts, **account})
    waiting.expires_at = timezone.now() + timedelta(minutes=5)
    waiting.access_envelope = vault.seal_secret(Secret(token), waiting.binding("access"))
    waiting.save(force_insert=True)
    return waiting


def access(
    to: Credential, key: str, *, state: str = AccessState.UNKNOWN, name: str = "", **fields: Any
) -> OrganizationAccess:
    """What the organization ``key`` answers through a credential."""
    now = timezone.now()
    organization, _created = Organization.objects.get_or_create(
        host=to.host, key=key.lower(), defaults={"name": name or key, "first_seen_at": now}
    )
    values = {"checked_at": now, "since": now, **fields}
    return OrganizationAccess.objects.create(credential=to, organization=organization, state=state, **values)


def client(
    name: str = "backend", *, scopes: Sequence[str] = tuple(Scope.values), **limits: Any
) -> tuple[ServiceClient, Secret]:
    """A service client and its key."""
    return clients.create(actor=SYSTEM, name=name, scopes=scopes, **limits)
