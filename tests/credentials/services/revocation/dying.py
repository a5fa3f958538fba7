"""Credentials of the sandbox on their way out, and what is left of them at the host."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Revocation, RevocationReason
from credentials.providers.tokens import Kind
from credentials.services import disconnect, vault
from tests import builders
from tests.credentials.services.stored import store
from tests.sandbox import Minted, RunningSandbox


def closed(credential: Credential, **options: Any) -> Revocation:
    """The receipt of a credential that was closed a moment ago; nobody was asked."""
    made = disconnect.close(
        actor=builders.SYSTEM, credential=credential, **{"now": timezone.now(), **options}
    )
    assert made is not None
    return made


def pair(sandbox: RunningSandbox, owner: User, host: Host, **fields: Any) -> tuple[Credential, Minted]:
    """An OAuth credential with its refresh token."""
    credential, minted = store(sandbox, owner, host, kind=Kind.OAUTH, scopes=["read_user"], **fields)
    credential.refresh_envelope = vault.seal_secret(
        Secret(minted.refresh_token or ""), credential.binding("refresh")
    )
    credential.save()
    return credential, minted


def grants(sandbox: RunningSandbox, slug: str) -> int:
    """How many tokens live at a host, or can be brought back by their refresh token."""
    count: int = sandbox.control(slug, "GET", "grants")["count"]
    return count


def setting(sandbox: RunningSandbox, slug: str, **settings: object) -> None:
    sandbox.control(slug, "POST", "settings", settings)


def calls(sandbox: RunningSandbox, slug: str, method: str, part: str) -> int:
    """How many calls of this kind a host has received."""
    return sum(call["method"] == method and part in call["path"] for call in sandbox.calls(slug))


def fresh(revocation: Revocation) -> Revocation:
    """The row as it is now."""
    return Revocation.objects.select_related("host").get(pk=revocation.pk)


__all__ = ["RevocationReason", "calls", "closed", "fresh", "grants", "pair", "setting"]
