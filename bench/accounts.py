"""Fills an empty installation with a host and with people whose accounts can be refreshed, as the pages do it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.db.models import Q
from django.utils import timezone

from bench.stage import SLUG
from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Notice, Scope, Status
from credentials.models.audit import Action
from credentials.providers.grants import OAuthGrant
from credentials.services import audit_proof, clients, hosts, pending
from credentials.services.audit import Actor

if TYPE_CHECKING:
    from bench.borrowers import Borrowers
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


def connect(provider: Provider, count: int) -> list[Credential]:
    """So many people, who connect an account each; the accounts are called like the people."""
    start = User.objects.count()
    return [_connects(provider, User.objects.create_user(f"person-{start + at}")) for at in range(count)]


def _connects(provider: Provider, person: User, *, reconnects: Credential | None = None) -> Credential:
    (pair,) = provider.pairs(person.get_username())
    return _connected(person, pair, reconnects=reconnects)


def _connected(person: User, pair: tuple[str, str, int], *, reconnects: Credential | None) -> Credential:
    access, refresh, seconds = pair
    grant = OAuthGrant(
        access=Secret(access),
        refresh=Secret(refresh),
        scopes=_SCOPES,
        expires_in=seconds,
        refresh_expires_in=None,
    )
    kept = pending.receive_grant(
        actor=_ACTOR, user=person, host=hosts.get(SLUG), grant=grant, reconnects=reconnects
    )
    return pending.confirm(actor=_ACTOR, pending=kept).credential


def reconnect_flagged(provider: Provider) -> int:
    """Whoever is asked to connect again does so; how many. Raises AssertionError where somebody was not told."""
    flagged = list(
        Credential.objects.filter(status=Status.RECONNECT_REQUIRED).select_related("owner", "host")
    )
    for row in flagged:
        assert was_told(row), f"{row.owner} was not told"
        _connects(provider, row.owner, reconnects=row)
    return len(flagged)


def was_told(row: Credential) -> bool:
    """Whether its owner has a notice to connect again."""
    return Notice.objects.filter(credential=row, code__contains="reconnect").exists()


class Fate(StrEnum):
    """What has become of an account."""

    LIVE = "live"  # it lends a token that the provider accepts
    FLAGGED = "flagged"  # its owner is asked to connect again, and has been told
    FALSE_ALARM = "flagged though alive"
    UNDECIDED = "undecided"  # being refreshed, or to be tried again
    LOST = "lost silently"  # the provider knows it no more, and nothing says so


def fates(provider: Provider, borrowers: Borrowers) -> Counter[Fate]:
    """What has become of every account by now."""
    rows = Credential.objects.exclude(status=Status.DISCONNECTED).select_related("owner")
    return Counter(_fate(row, provider, borrowers) for row in rows)


def _fate(row: Credential, provider: Provider, borrowers: Borrowers) -> Fate:
    name = row.owner.get_username()
    if borrowers.lent(name, provider) == "lent":
        return Fate.LIVE
    row.refresh_from_db()
    alive = provider.is_alive(name)
    if row.status == Status.RECONNECT_REQUIRED and was_told(row):
        return Fate.FALSE_ALARM if alive else Fate.FLAGGED
    if alive or row.refreshing_since or row.refresh_failures:
        return Fate.UNDECIDED
    return Fate.LOST


def settled(provider: Provider, borrowers: Borrowers, *, seconds: float) -> Counter[Fate]:
    """Ask for every account until each is decided, or the time is over."""
    connections.close_all()  # the server may have been another one until now
    deadline = time.monotonic() + seconds
    while True:
        found = fates(provider, borrowers)
        if not found[Fate.UNDECIDED] + found[Fate.LOST] or time.monotonic() > deadline:
            return +found
        time.sleep(1)


def undecided() -> list[str]:
    """What the rows say of accounts that are neither well nor given up."""
    rows = Credential.objects.filter(Q(refreshing_since__isnull=False) | Q(refresh_failures__gt=0))
    return [
        f"{row.owner}: {row.status}, refreshing since {row.refreshing_since} by {row.refreshing_by}, "
        f"{row.refresh_failures} failures, due {row.refresh_due_at}"
        for row in rows.select_related("owner")
    ]


def events() -> dict[str, int]:
    """How often the trail says that a refresh was begun, interrupted, stored, refused."""
    names = {
        "begun": Action.CREDENTIAL_REFRESHING,
        "interrupted": Action.CREDENTIAL_REFRESH_INTERRUPTED,
        "refreshed": Action.CREDENTIAL_REFRESHED,
        "refused": Action.CREDENTIAL_REFRESH_REFUSED,
    }
    return {name: AuditEvent.objects.filter(action=action).count() for name, action in names.items()}


def trail() -> str:
    """Whether the audit trail proves itself."""
    proof = audit_proof.verify()
    return "holds" if proof.holds else str(proof.problem)


def let_end() -> None:
    """Every access token has ended, as far as the rows know."""
    Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
