"""Disconnecting, connecting again and refreshing at the same moment: no live grant is left behind, ever.

Each seed is one order in which the statements and the provider's steps follow one another. How many are tried
is told by ``RACES``: ``RACES=10000 pytest tests/credentials/services/refresh/test_races.py``, and ``RACES_FROM``
where to begin, to see one again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, NotFound, TokenNotAccepted
from credentials.models import Credential, Host, PendingConnection, Revocation, RevocationState, Status
from credentials.services import disconnect, pending, vault
from credentials.services.refresh import heal, perform
from credentials.services.revocation import attempts
from project.sandbox.tokens import Token, digest
from tests import builders
from tests.gated_gitlab import GatedGitLab, gated_gitlab
from tests.interleaving import Interleaving, threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0)]

RACES = int(os.environ.get("RACES", "15"))
FROM = int(os.environ.get("RACES_FROM", "0"))
_CAST = 4  # actors in one race, at most
Actor = tuple[str, Callable[[], object]]


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GatedGitLab]:
    with gated_gitlab(tmp_path) as running:
        yield running


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that keep their connections from race to race."""
    with threads(_CAST) as started:
        yield started


@pytest.fixture
def host(gitlab: GatedGitLab, db: None) -> Host:
    app = next(iter(gitlab.host.state.apps.values()))
    return builders.host(
        "gitlab",
        web_url=gitlab.web_url,
        api_url=f"{gitlab.web_url}/api/v4",
        client_id=app.client_id,
        client_secret=Secret(app.client_secret),
    )


def come_back(
    user: User, host: Host, gitlab: GatedGitLab, reconnects: Credential | None
) -> PendingConnection:
    """Their owner is back from GitLab, and looks at the page that asks for a confirmation."""
    return pending.receive_grant(
        actor=builders.SYSTEM, user=user, host=host, grant=gitlab.grant(), reconnects=reconnects
    )


def refresher(credential: Credential) -> object:
    return perform.refresh(
        credential.pk, need=None, distrust=credential.generation, now=timezone.now, sleep=lambda _: None
    )


def disconnecter(pk: UUID) -> object:
    row = Credential.objects.select_related("host", "owner").get(pk=pk)
    return disconnect.disconnect(actor=builders.SYSTEM, credential=row)


def confirmer(waiting: PendingConnection) -> object:
    found = pending.get(user=waiting.user, pending_id=waiting.pk, now=timezone.now())
    return pending.confirm(actor=builders.SYSTEM, pending=found)


def cast_of(dice: random.Random, credential: Credential, gitlab: GatedGitLab) -> list[Actor]:
    """Always a refresh and somebody who disconnects; perhaps another refresh, perhaps a new connection."""
    actors: list[Actor] = [
        ("refresher", partial(refresher, credential)),
        ("owner", partial(disconnecter, credential.pk)),
    ]
    if dice.random() < 0.4:
        actors.append(("other refresher", partial(refresher, credential)))
    if dice.random() < 0.5:
        waiting = come_back(credential.owner, credential.host, gitlab, credential)
        actors.append(("owner elsewhere", partial(confirmer, waiting)))
    return actors


def settle() -> None:
    """What the duties do in the hours that follow."""
    later = timezone.now()

    def clock() -> datetime:
        return later

    for _ in range(12):
        later += timedelta(hours=1)
        heal.replay(now=clock)
        for pk in heal.abandoned(now=clock):
            perform.refresh(pk, need=None, now=clock, sleep=lambda _: None)
        attempts.attempt_due(actor=builders.SYSTEM, now=clock)
        if not Revocation.objects.filter(state=RevocationState.PENDING).exists():
            return


def held() -> set[str]:
    """Digests of the tokens that connected rows hold."""
    digests = set()
    for row in Credential.objects.exclude(status=Status.DISCONNECTED).select_related("host"):
        for name in ("access", "refresh"):
            envelope = getattr(row, f"{name}_envelope")
            assert envelope is not None
            digests.add(digest(vault.unseal_after_audit(bytes(envelope), row.binding(name)).reveal()))
    return digests


def grants(gitlab: GatedGitLab) -> list[Token]:
    """What can still be used and renewed.

    Where a refresh does not end the access token before it, that one runs out by itself: it is not renewable, and
    nobody holds it any more.
    """
    return [token for token in gitlab.live() if not token.refresh_spent]


def test_no_live_grant_is_left_behind_whatever_the_order(
    alice: User, host: Host, gitlab: GatedGitLab, pool: ThreadPoolExecutor
) -> None:
    assert RACES > 0
    for seed in range(FROM, FROM + RACES):
        race(seed, alice, host, gitlab, pool)


def race(seed: int, owner: User, host: Host, gitlab: GatedGitLab, pool: ThreadPoolExecutor) -> None:
    dice, schedule = random.Random(seed), Interleaving(seed=seed)
    rules = gitlab.rules(dice)
    first = come_back(owner, host, gitlab, None)
    credential = pending.confirm(actor=builders.SYSTEM, pending=first).credential
    actors = cast_of(dice, credential, gitlab)
    gitlab.schedule = schedule
    outcomes = schedule.run(pool, actors)
    gitlab.schedule = None
    told = f"seed {seed}, {rules}: {dict(zip([name for name, _ in actors], outcomes, strict=True))}\n"
    told += "\n".join(schedule.steps)
    for outcome in outcomes:
        assert not isinstance(outcome, Exception) or isinstance(
            outcome, (Conflict, NotFound, TokenNotAccepted)
        ), told
    settle()
    kept = held()
    left = [token for token in grants(gitlab) if not {token.digest, token.refresh_digest} & kept]
    assert left == [], told
    for row in Credential.objects.exclude(status__in=[Status.DISCONNECTED, Status.RECONNECT_REQUIRED]):
        assert row.refreshing_since is None, told
        disconnect.disconnect(actor=builders.SYSTEM, credential=row)
    PendingConnection.objects.all().delete()
    for row in Credential.objects.exclude(status=Status.DISCONNECTED):
        disconnect.disconnect(actor=builders.SYSTEM, credential=row)
    settle()
    assert grants(gitlab) == [], told
    for token in gitlab.host.state.tokens():
        gitlab.host.state.forget(token)


def test_the_order_is_the_seeds(
    alice: User, host: Host, gitlab: GatedGitLab, pool: ThreadPoolExecutor
) -> None:
    orders = []
    for _ in range(3):
        first = come_back(alice, host, gitlab, None)
        credential = pending.confirm(actor=builders.SYSTEM, pending=first).credential
        gitlab.schedule = Interleaving(seed=7)
        actors = [
            ("refresher", partial(refresher, credential)),
            ("owner", partial(disconnecter, credential.pk)),
        ]
        gitlab.schedule.run(pool, actors)
        orders.append(gitlab.schedule.steps)
        gitlab.schedule = None
        settle()
    # In the first round this process reads its keys.
    assert orders[1] == orders[2]
