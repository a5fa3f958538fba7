"""The picker's pages: straight from the host, and nothing is asked with what must be left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.errors import Conflict, ProviderRateLimited, ProviderUnreachable, TokenNotAccepted
from credentials.models import AuditEvent, Credential, HostHealth, Status
from credentials.providers.facts import RepositoryPage
from credentials.providers.tokens import Kind
from credentials.services import circuit_breaker, holds, repositories
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Server, json_reply
from tests.credentials.services.stored import READS, fresh, host_at, known, meanwhile, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def page(credential: Credential, clock: Clock, **options: Any) -> RepositoryPage | None:
    return repositories.page(actor=builders.SYSTEM, credential=fresh(credential), now=clock, **options)


@pytest.mark.parametrize("slug", READS)
def test_ones_own_repositories_are_listed_after_the_opening_was_recorded(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, slug))
    found = page(credential, clock)
    assert found is not None
    assert {"octo-alice/private-cases", "acme/cases"} <= {fact.path for fact in found.repositories}
    narrowed = page(credential, clock, query="private")
    assert narrowed is not None
    assert [fact.path for fact in narrowed.repositories] == ["octo-alice/private-cases"]
    opened = AuditEvent.objects.filter(action="credential.opened")
    assert [event.purpose for event in opened] == ["repository list", "repository list"]


@pytest.mark.parametrize(
    "status", [Status.EXPIRED, Status.REJECTED, Status.RECONNECT_REQUIRED, Status.QUARANTINED]
)
def test_what_cannot_be_used_lists_nothing(
    sandbox: RunningSandbox, alice: User, clock: Clock, status: Status
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"), status=status)
    with pytest.raises(Conflict):
        page(credential, clock)
    assert sandbox.calls("github") == []
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_a_refused_token_is_marked_and_not_shown_again(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", {"revoked": True})
    with pytest.raises(TokenNotAccepted) as refused:
        page(credential, clock)
    assert refused.value.verdict.code is VerdictCode.TOKEN_REVOKED
    assert fresh(credential).status == Status.REJECTED
    with pytest.raises(Conflict):
        page(credential, clock)
    assert len(sandbox.calls("gitlab")) == 1


def test_a_token_too_young_for_a_replica_is_not_called_dead(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(
        sandbox,
        alice,
        builders.sandbox_host(sandbox, "github"),
        kind=Kind.OAUTH,
        sealed_at=clock() - timedelta(seconds=5),
    )
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 600})
    before = known(credential)
    with pytest.raises(ProviderUnreachable):
        page(credential, clock)
    assert known(credential) == before


def test_a_spent_quota_is_waited_for(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitea"))
    quota = {"status": 429, "body": "{}", "headers": {"Retry-After": "90"}}
    sandbox.control("gitea", "POST", "faults", quota)
    for waited in (0, 30):
        with pytest.raises(ProviderRateLimited) as caught:
            page(credential, clock)
        assert caught.value.retry_after == timedelta(seconds=90 - waited)
        clock.step(seconds=30)
    assert len(sandbox.calls("gitea")) == 1


def test_while_it_rests_or_its_host_is_down_nothing_is_opened(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    holds.note_refusal(fresh(credential), now=clock())
    with pytest.raises(ProviderUnreachable):
        page(credential, clock)
    holds.clear(fresh(credential))
    HostHealth.objects.create(
        host=credential.host,
        failures=circuit_breaker.FAILURES,
        retry_at=clock() + circuit_breaker.PAUSE,
        last_failure="503",
    )
    with pytest.raises(ProviderUnreachable):
        page(credential, clock)
    assert sandbox.calls("github") == []
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


@pytest.mark.django_db(transaction=True)
def test_a_refusal_of_a_secret_that_was_replaced_meanwhile_is_not_the_new_ones(
    alice: User, clock: Clock
) -> None:
    refused = json_reply({"message": "Bad credentials"}, 401)
    with Server(meanwhile(lambda: Credential.objects.update(generation=2), refused)) as server:
        credential = builders.credential(alice, host_at(server.url))
        with pytest.raises(ProviderUnreachable):
            page(credential, clock)
    assert (fresh(credential).status, fresh(credential).refusals) == (Status.VALID, 0)
