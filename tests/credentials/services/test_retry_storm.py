"""A token that its host refuses, and everybody tries it again: the host must hardly notice.

GitLab bans an address after 30 refused Git sign-ins within three minutes, and everybody behind it:
https://docs.gitlab.com/security/rate_limits/#failed-authentication-ban-for-git-and-container-registry
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.models import Credential, Lease, Outcome, Status
from credentials.models.credential import LENDABLE
from credentials.services import diagnose, leases, verify
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.services.stored import fresh, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

TIMES = 200
BANNED_AFTER = 30
FEW = 10


@pytest.fixture(autouse=True)
def only_the_rest_protects(settings: Any) -> None:
    """How often one person may ask is another limit, and none for a crowd of people."""
    settings.CREDENTIALS_DIAGNOSES_PER_MINUTE = 10_000


def lent(credential: Credential, clock: Clock) -> list[Lease]:
    client, _key = builders.client()
    return [
        Lease.objects.create(
            client=client,
            credential=credential,
            repository_url=f"{credential.host.web_url}/acme/cases",
            purpose="import",
            chosen_because="only_one",
            created_at=clock(),
            expires_at=clock() + timedelta(hours=1),
        )
        for _ in range(TIMES)
    ]


def report(lease: Lease, clock: Clock) -> None:
    """What the API does with a rejection, and then the worker with what was put into its queue."""
    leases.report(
        actor=builders.SYSTEM,
        lease=Lease.objects.get(pk=lease.pk),
        outcome=Outcome.REJECTED,
        detail="git said no",
        now=clock(),
    )
    credential = fresh(lease.credential)
    if credential.status in LENDABLE:
        verify.verify(
            actor=builders.SYSTEM, credential=credential, purpose="reported", in_doubt=True, now=clock
        )


def ask(credential: Credential, clock: Clock) -> VerdictCode:
    address = f"{credential.host.web_url}/acme/cases"
    return diagnose.diagnose(
        actor=builders.SYSTEM, user=credential.owner, repository_url=address, now=clock
    ).verdict.code


def storm(credential: Credential, *, reports: bool, diagnoses: bool) -> set[VerdictCode]:
    """Two hundred of each, evenly over three minutes; what the diagnoses said."""
    clock, said = Clock(), set()
    for lease in lent(credential, clock):
        if diagnoses:
            said.add(ask(credential, clock))
        if reports:
            report(lease, clock)
        clock.step(seconds=180 / TIMES)
    return said


def refused(sandbox: RunningSandbox) -> int:
    """How many sign-ins the host has refused, by API and by Git."""
    return len([call for call in sandbox.calls("gitlab") if call["status"] == 401 and call["auth"] != "none"])


def is_banned(sandbox: RunningSandbox, bob: User, credential: Credential) -> bool:
    """Whether somebody else behind the same address still gets through by Git."""
    theirs, _minted = store(sandbox, bob, credential.host, scopes=["read_repository"])
    return ask(theirs, Clock()) is not VerdictCode.OK


@pytest.fixture
def gitlab(sandbox: RunningSandbox) -> RunningSandbox:
    sandbox.control("gitlab", "POST", "settings", {"ban_after_failures": BANNED_AFTER})
    return sandbox


WHO = pytest.mark.parametrize(
    ("reports", "diagnoses"), [(True, True), (True, False), (False, True)], ids=["both", "leases", "people"]
)


@WHO
def test_a_dead_token_is_shown_once_or_twice(
    gitlab: RunningSandbox, alice: User, bob: User, reports: bool, diagnoses: bool
) -> None:
    credential, minted = store(gitlab, alice, builders.sandbox_host(gitlab, "gitlab"))
    gitlab.control("gitlab", "POST", f"tokens/{minted.id}", {"revoked": True})
    said = storm(credential, reports=reports, diagnoses=diagnoses)
    assert 1 <= refused(gitlab) <= 2
    assert fresh(credential).status == Status.REJECTED
    assert VerdictCode.OK not in said
    assert not is_banned(gitlab, bob, credential)


@WHO
def test_a_token_that_only_git_refuses_rests_longer_each_time(
    gitlab: RunningSandbox, alice: User, bob: User, reports: bool, diagnoses: bool
) -> None:
    host = builders.sandbox_host(gitlab, "gitlab")
    credential, _minted = store(gitlab, alice, host, scopes=["read_user"])
    said = storm(credential, reports=reports, diagnoses=diagnoses)
    assert refused(gitlab) <= FEW
    assert (refused(gitlab) > 0) is diagnoses, "reports are looked into through the API"
    assert fresh(credential).status == (Status.LIMITED if reports else Status.VALID)
    assert VerdictCode.OK not in said
    assert not is_banned(gitlab, bob, credential)


def test_three_such_tokens_of_one_person_do_not_add_up_to_a_ban(
    gitlab: RunningSandbox, alice: User, bob: User
) -> None:
    host = builders.sandbox_host(gitlab, "gitlab")
    for _ in range(3):
        credential, _minted = store(gitlab, alice, host, scopes=["read_user"])
    storm(credential, reports=False, diagnoses=True)
    assert 3 <= refused(gitlab) < BANNED_AFTER
    assert not is_banned(gitlab, bob, credential)


def test_the_ban_would_be_seen(gitlab: RunningSandbox, alice: User, bob: User) -> None:
    host = builders.sandbox_host(gitlab, "gitlab")
    credential, _minted = store(gitlab, alice, host, scopes=["read_user"])
    clock = Clock()
    for _ in range(BANNED_AFTER):
        ask(credential, clock)
        clock.step(hours=2)
    assert refused(gitlab) == BANNED_AFTER
    assert is_banned(gitlab, bob, credential)
