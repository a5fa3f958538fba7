"""Fills an empty installation with a host and with people whose accounts can be refreshed, as the pages do it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from bench.stage import SLUG
from credentials.crypto.secret import Secret
from credentials.models import Credential, Scope
from credentials.providers.grants import OAuthGrant
from credentials.services import clients, hosts, pending
from credentials.services.audit import Actor

if TYPE_CHECKING:
    from bench.stage import Provider

_ACTOR = Actor.system("bench")
_SCOPES = ("read_user", "read_repository")


def furnish(provider: Provider) -> str:
    """Tables, the host, and a client that may lend; its key."""
    call_command("migrate", verbosity=0)
    hosts.add_host(
        actor=_ACTOR,
        slug=SLUG,
        provider=SLUG,
        web_url=provider.web_url,
        api_url=provider.api_url,
        client_id=provider.client_id,
        client_secret=Secret(provider.client_secret),
        oauth_scopes=_SCOPES,
        allow_private_network=True,
    )
    _client, key = clients.create(actor=_ACTOR, name="backend", scopes=[Scope.CREDENTIALS_LEND])
    return key.reveal()


def connect(pairs: Sequence[tuple[str, str, int]]) -> list[Credential]:
    """A person for each pair of tokens, who connects an account with it."""
    before = User.objects.count()
    return [_connected(f"person-{before + number}", *pair) for number, pair in enumerate(pairs)]


def _connected(name: str, access: str, refresh: str, seconds: int) -> Credential:
    grant = OAuthGrant(
        access=Secret(access),
        refresh=Secret(refresh),
        scopes=_SCOPES,
        expires_in=seconds,
        refresh_expires_in=None,
    )
    kept = pending.receive_grant(
        actor=_ACTOR,
        user=User.objects.create_user(name),
        host=hosts.get(SLUG),
        grant=grant,
        reconnects=None,
    )
    return pending.confirm(actor=_ACTOR, pending=kept).credential


def let_end() -> None:
    """Every access token has ended, as far as the rows know."""
    Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
