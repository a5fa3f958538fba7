"""The worker's round about organizations: each credential once, and nobody stands before the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from credentials.models import AuditEvent, Credential, Notice, Status
from credentials.services import circuit_breaker, disconnect, holds, organizations
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.stored import fresh, host_at, meanwhile, state, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def check_due(clock: Clock) -> int:
    return organizations.check_due(actor=builders.SYSTEM, now=clock)


MEMBER = json_reply({"state": "active", "role": "member", "organization": {"login": "acme", "id": 1}})


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_asks(alice: User, clock: Clock) -> None:
    with Server(lambda seen: MEMBER) as server:
        host = host_at(server.url)
        for number in range(5):
            credential = builders.credential(alice, host, token=f"ghp_{number:036}")
            builders.access(credential, "acme", state="not_approved", next_check_at=clock())
        asked, failures = _at_once(3, lambda: check_due(clock))
        assert failures == []
        assert sum(asked) == 5
        memberships = [seen for seen in server.seen if "memberships" in seen.path]
        assert len(memberships) == 5
    assert AuditEvent.objects.filter(action="credential.opened").count() == 5
    assert Notice.objects.count() == 5


def _at_once(workers: int, work: Callable[[], int]) -> tuple[list[int], list[BaseException]]:
    done: list[int] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as problem:
            failures.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done, failures


def replaced() -> None:
    Credential.objects.update(generation=2)


def left() -> None:
    disconnect.disconnect(actor=builders.SYSTEM, credential=fresh(Credential.objects.get()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [MEMBER, json_reply({"message": "Bad credentials"}, 401)])
@pytest.mark.parametrize(("change", "after"), [(replaced, "not_approved"), (left, "")])
def test_an_answer_about_what_was_changed_meanwhile_is_dropped(
    alice: User, clock: Clock, change: Callable[[], None], after: str, reply: Reply
) -> None:
    with Server(meanwhile(change, reply)) as server:
        credential = builders.credential(alice, host_at(server.url))
        builders.access(credential, "acme", state="not_approved", next_check_at=clock())
        check_due(clock)
    row = fresh(credential)
    assert (state(credential, "acme"), row.refusals) == (after, 0)
    assert row.status in {Status.VALID, Status.DISCONNECTED}
    assert not AuditEvent.objects.filter(action="organization.access_changed").exists()


def test_a_host_that_is_down_does_not_stand_before_the_others(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    down = builders.host("gitlab", web_url="http://127.0.0.1:9/gitlab", api_url="http://127.0.0.1:9/api/v4")
    for number in range(organizations.AT_ONCE + 5):
        waiting = builders.credential(alice, down, token=f"glpat-{number:020}")
        builders.access(waiting, "acme", state="requested", next_check_at=clock() - HOUR)
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    builders.access(credential, "acme", state="not_approved", next_check_at=clock())
    rounds = 0
    while state(credential, "acme") != "accessible":
        check_due(clock)
        rounds += 1
        assert rounds <= 2
    assert circuit_breaker.is_blocked(down, now=clock())


def test_who_rests_does_not_stand_before_the_others(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    for number in range(organizations.AT_ONCE):
        resting = builders.credential(alice, host, token=f"ghp_{number:036}")
        builders.access(resting, "acme", state="requested", next_check_at=clock() - HOUR)
        holds.note_refusal(resting, now=clock())
    credential, _minted = store(sandbox, alice, host)
    builders.access(credential, "acme", state="not_approved", next_check_at=clock())
    assert check_due(clock) == 1
    assert state(credential, "acme") == "accessible"


def test_what_waits_longest_is_asked_first(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    for number, key in enumerate(("acme", "assxxx", "sso-corp")):
        builders.access(credential, key, next_check_at=clock() - number * HOUR)
    assert organizations.interest_of(credential).board == ("sso-corp", "assxxx", "acme")
