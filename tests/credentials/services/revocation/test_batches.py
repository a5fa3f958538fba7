"""Many tokens in one call: the host's limits are kept, and one bad token spoils nothing."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Host, Revocation, RevocationReason
from credentials.providers.tokens import Kind
from credentials.services import vault
from credentials.services.revocation import attempts
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.credentials.services.revocation.dying import calls, closed, grants, setting
from tests.credentials.services.stored import host_at, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def due(clock: Clock) -> int:
    return attempts.attempt_due(actor=builders.SYSTEM, now=clock)


def many(owner: User, host: Host, clock: Clock, count: int) -> None:
    """Tokens on their way out, without the credentials they were in."""
    rows = []
    for number in range(count):
        row = Revocation(host=host, row=uuid4(), owner_id=str(owner.pk), owner_name="alice", generation=1)
        row.kind, row.reason = Kind.PERSONAL_TOKEN.value, RevocationReason.PANIC
        row.requested_at = row.next_attempt_at = clock()
        row.access_envelope = vault.seal_secret(Secret(f"ghp_{number:036d}"), row.binding("access"))
        rows.append(row)
    Revocation.objects.bulk_create(rows)


def states() -> dict[str, int]:
    return {
        state: Revocation.objects.filter(state=state).count()
        for state in Revocation.objects.order_by().values_list("state", flat=True).distinct()
    }


class Reported:
    """A GitHub that takes ``quota`` calls, each of at most ``most`` tokens, none of them ``bad``."""

    def __init__(self, *, quota: int = 60, most: int = 1000, bad: str = "") -> None:
        self.quota, self.most, self.bad = quota, most, bad
        self.sizes: list[int] = []
        self.dead: set[str] = set()

    def __call__(self, seen: Seen) -> Reply:
        if seen.method == "GET":
            token = seen.headers["Authorization"].removeprefix("Bearer ")
            return (
                json_reply({"message": "Bad credentials"}, 401)
                if token in self.dead
                else json_reply({"id": 1})
            )
        if len(self.sizes) >= self.quota:
            return json_reply({"message": "secondary rate limit"}, 403, Retry_After="1800")
        tokens = json.loads(seen.body)["credentials"]
        self.sizes.append(len(tokens))
        if len(tokens) > self.most or self.bad in tokens:
            return json_reply({"message": "Validation Failed"}, 422)
        self.dead |= set(tokens)
        return json_reply({}, 202)


def test_more_than_a_thousand_tokens_go_in_two_calls_and_wait_for_the_quota(
    alice: User, clock: Clock
) -> None:
    github = Reported(quota=1)
    with Server(github) as server:
        many(alice, host_at(server.url), clock, 1005)
        assert due(clock) == 1005
        assert states() == {"revoked": 1000, "pending": 5}
        waiting = Revocation.objects.filter(state="pending").first()
        assert waiting is not None
        assert waiting.next_attempt_at is not None
        assert (waiting.next_attempt_at - clock()).total_seconds() == 1800

        github.quota = 2
        clock.step(seconds=1799)
        assert due(clock) == 0
        clock.step(seconds=1)
        assert due(clock) == 5
    assert github.sizes == [1000, 5]
    assert states() == {"revoked": 1005}
    assert AuditEvent.objects.filter(action="credential.revocation", purpose="ask the host").count() == 1010


def test_one_call_for_all_of_a_host_at_the_sandbox(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    for kind in (Kind.PERSONAL_TOKEN, Kind.FINE_GRAINED_TOKEN, Kind.PERSONAL_TOKEN, Kind.OAUTH):
        credential, _minted = store(sandbox, alice, host, kind=kind, scopes=["repo"])
        closed(credential, now=clock())

    assert due(clock) == 4

    assert calls(sandbox, "github", "POST", "/credentials/revoke") == 1
    assert calls(sandbox, "github", "DELETE", "/token") == 1
    assert (states(), grants(sandbox, "github")) == ({"revoked": 4}, 0)


def test_a_token_the_host_finds_fault_with_holds_up_nobody_else(alice: User, clock: Clock) -> None:
    github = Reported(bad=f"ghp_{5:036d}")
    with Server(github) as server:
        many(alice, host_at(server.url), clock, 8)
        assert due(clock) == 8
    assert states() == {"revoked": 7, "pending": 1}
    assert len(github.sizes) <= 7


def test_a_list_that_was_accepted_is_proved_one_by_one(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    for _number in range(3):
        closed(store(sandbox, alice, host)[0], now=clock())
    setting(sandbox, "github", ignores_revocation=True)

    due(clock)

    assert states() == {"pending": 3}
    assert set(Revocation.objects.values_list("evidence", flat=True)) == {
        "the host said yes, but the token still works"
    }
    assert not Revocation.objects.filter(accepted_at=None).exists()


def test_a_server_without_the_call_leaves_them_to_their_owners(alice: User, clock: Clock) -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({"id": 1}) if seen.method == "GET" else json_reply({"message": "Not Found"}, 404)

    with Server(script) as server:
        many(alice, host_at(server.url), clock, 3)
        due(clock)
    assert states() == {"manual": 3}


def test_an_outage_settles_none_of_them(alice: User, clock: Clock) -> None:
    many(alice, builders.host(), clock, 3)
    assert due(clock) == 3
    assert states() == {"pending": 3}


def test_one_that_cannot_be_opened_does_not_hold_up_the_others(alice: User, clock: Clock) -> None:
    with Server(Reported()) as server:
        many(alice, host_at(server.url), clock, 3)
        first = Revocation.objects.order_by("pk").first()
        assert first is not None
        Revocation.objects.filter(pk=first.pk).update(generation=99)
        due(clock)
    assert states() == {"revoked": 2, "manual": 1}
