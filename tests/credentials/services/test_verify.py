"""Verification: what was proved is kept, what is not known changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Hold, HostHealth, Status
from credentials.providers.tokens import Kind
from credentials.services import circuit_breaker, connect, disconnect, holds, verify
from credentials.services.connect import ManualEntry
from credentials.verdicts import Verdict, VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.stored import fresh, host_at, known, meanwhile, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def look(credential: Credential, clock: Clock, **options: Any) -> Verdict:
    return verify.verify(
        actor=builders.SYSTEM, credential=fresh(credential), purpose="test", now=clock, **options
    )


@pytest.mark.parametrize("slug", ["github", "gitlab", "bitbucket", "gitea"])
def test_a_living_token_is_proved_and_its_opening_recorded_first(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    host = builders.sandbox_host(sandbox, slug)
    credential, _minted = store(sandbox, alice, host, status=Status.UNVERIFIED)
    assert look(credential, clock).code is VerdictCode.OK
    row = fresh(credential)
    assert row.status in {Status.VALID, Status.EXPIRING}
    assert (row.status_detail, row.last_verified_at) == ("", clock())
    assert row.organizations.filter(organization__key="acme", state="accessible").exists()
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", flat=True))
    opened = actions.index("credential.opened")
    assert opened < actions.index("credential.verified")


def test_a_missing_scope_limits_and_its_return_makes_it_valid_again(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, minted = store(sandbox, alice, host, scopes=["read:org"])
    assert look(credential, clock).code is VerdictCode.SCOPE_MISSING
    assert (fresh(credential).status, fresh(credential).missing_scopes) == (Status.LIMITED, ["repo"])
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"scopes": ["repo", "read:org"]})
    assert look(credential, clock).ok
    assert (fresh(credential).status, fresh(credential).missing_scopes) == (Status.VALID, [])


@pytest.mark.parametrize(
    ("kind", "change", "status", "code"),
    [
        (Kind.PERSONAL_TOKEN, {"revoked": True}, Status.REJECTED, VerdictCode.TOKEN_REVOKED),
        (Kind.PERSONAL_TOKEN, {"expires_in": 0}, Status.EXPIRED, VerdictCode.TOKEN_EXPIRED),
        (Kind.OAUTH, {"revoked": True}, Status.RECONNECT_REQUIRED, VerdictCode.TOKEN_REJECTED),
    ],
)
def test_a_dead_token_is_marked_with_its_cause_and_rests(
    sandbox: RunningSandbox,
    alice: User,
    clock: Clock,
    kind: Kind,
    change: dict[str, object],
    status: Status,
    code: VerdictCode,
) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    credential, minted = store(sandbox, alice, host, kind=kind)
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", change)
    assert look(credential, clock).code is code
    row = fresh(credential)
    assert (row.status, row.status_detail, row.refusals) == (status, code, 1)
    assert row.access_envelope is not None, "its owner may want it back"
    event = AuditEvent.objects.get(action="credential.verified")
    assert event.data == {"verdict": code, "status_before": "valid", "status": status}


def test_while_it_rests_nothing_is_opened_or_asked_and_a_button_waits_seconds(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host)
    holds.note_refusal(fresh(credential), now=clock())
    before = known(credential)
    assert look(credential, clock).code is VerdictCode.UNKNOWN
    assert look(credential, clock, by_hand=True).code is VerdictCode.UNKNOWN
    assert known(credential) == before
    assert sandbox.calls("github") == []
    assert not AuditEvent.objects.filter(action="credential.opened").exists()
    clock.step(seconds=10)
    assert look(credential, clock).code is VerdictCode.UNKNOWN
    assert look(credential, clock, by_hand=True).ok
    assert fresh(credential).hold_until is None, "the host accepted it"


@pytest.mark.parametrize("quota", ["primary", "secondary"])
def test_a_spent_quota_changes_nothing_and_is_waited_for_by_everybody(
    sandbox: RunningSandbox, alice: User, clock: Clock, quota: str
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host)
    sandbox.control("github", "POST", "faults", {"quota": quota})
    before = known(credential)
    assert look(credential, clock).code is VerdictCode.RATE_LIMITED
    assert known(credential) == before
    assert fresh(credential).hold_reason == Hold.QUOTA
    asked = len(sandbox.calls("github"))
    for options in ({}, {"by_hand": True}, {"in_doubt": True}):
        assert look(credential, clock, **options).code is VerdictCode.RATE_LIMITED
    assert len(sandbox.calls("github")) == asked


def test_an_open_breaker_keeps_everybody_away(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host)
    HostHealth.objects.create(
        host=host,
        failures=circuit_breaker.FAILURES,
        retry_at=clock() + circuit_breaker.PAUSE,
        last_failure="503",
    )
    for options in ({}, {"by_hand": True}, {"in_doubt": True}):
        assert look(credential, clock, **options).code is VerdictCode.HOST_UNREACHABLE
    assert sandbox.calls("github") == []


def test_in_doubt_it_goes_on_resting_whatever_the_api_says(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host)
    holds.note_refusal(fresh(credential), now=clock())
    assert look(credential, clock, in_doubt=True).ok
    assert holds.is_held(fresh(credential), now=clock())


# --- Replicas -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "age", "status"),
    [
        (Kind.OAUTH, timedelta(seconds=5), Status.VALID),
        (Kind.OAUTH, timedelta(minutes=3), Status.RECONNECT_REQUIRED),
        (Kind.PERSONAL_TOKEN, timedelta(seconds=5), Status.REJECTED),
    ],
)
def test_a_replica_that_does_not_know_a_token_of_seconds_ago_says_nothing(
    sandbox: RunningSandbox, alice: User, clock: Clock, kind: Kind, age: timedelta, status: Status
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host, kind=kind, sealed_at=clock() - age)
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 600})
    found = look(credential, clock)
    assert fresh(credential).status == status
    if status is Status.VALID:
        assert found.code is VerdictCode.UNKNOWN
        sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 0})
        assert look(credential, clock).ok


# --- Changes while the host is asked ------------------------------------------------------------------------


REFUSED = json_reply({"message": "Bad credentials"}, 401)


@pytest.mark.django_db(transaction=True)
def test_an_answer_about_a_secret_that_was_replaced_meanwhile_is_dropped(alice: User, clock: Clock) -> None:
    def replace() -> None:
        Credential.objects.update(generation=2)

    with Server(meanwhile(replace, REFUSED)) as server:
        credential = builders.credential(alice, host_at(server.url))
        assert look(credential, clock).code is VerdictCode.TOKEN_REJECTED
    row = fresh(credential)
    assert (row.generation, row.status, row.status_detail, row.refusals) == (2, Status.VALID, "", 0)
    assert not AuditEvent.objects.filter(action="credential.verified").exists()


@pytest.mark.django_db(transaction=True)
def test_who_disconnects_meanwhile_stays_disconnected(alice: User, clock: Clock) -> None:
    def leave() -> None:
        disconnect.disconnect(actor=builders.SYSTEM, credential=fresh(Credential.objects.get()))

    with Server(meanwhile(leave, json_reply({"id": 1, "login": "octo-alice"}))) as server:
        credential = builders.credential(alice, host_at(server.url))
        look(credential, clock)
    row = fresh(credential)
    assert (row.status, row.access_envelope, row.account_name) == (Status.DISCONNECTED, None, "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [REFUSED, json_reply({"id": 1, "login": "octo-alice"})])
def test_a_quarantine_is_not_lifted_by_an_answer(alice: User, clock: Clock, reply: Reply) -> None:
    with Server(meanwhile(lambda: Credential.objects.update(status="quarantined"), reply)) as server:
        credential = builders.credential(alice, host_at(server.url))
        look(credential, clock)
    assert fresh(credential).status == Status.QUARANTINED


# --- The organizations that come along ----------------------------------------------------------------------


def test_a_list_of_organizations_that_breaks_takes_nothing_away(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, _minted = store(sandbox, alice, host, kind=Kind.OAUTH)
    assert look(credential, clock).ok
    before = known(credential)["organizations"]
    assert before
    for path in ("/api/v3/user/memberships", "/api/v3/user/orgs", "/api/graphql", "/api/v3/orgs"):
        sandbox.control("github", "POST", "faults", {"path_prefix": path, "status": 500, "body": "{}"})
    clock.step(hours=1)
    assert look(credential, clock).ok, "the token itself was proved"
    assert known(credential)["organizations"] == before


def test_what_was_pasted_and_verified_again_stays_one_credential(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
    done = connect.connect_token(
        actor=builders.SYSTEM, owner=alice, host=host, entry=ManualEntry(token=Secret(minted.token))
    )
    before = known(done.credential)
    assert look(done.credential, clock).ok
    after = known(done.credential)
    for name in ("status", "account_id", "account_name", "scopes", "generation", "envelope"):
        assert after[name] == before[name]
