"""The board: it changes only on an answer, and every change is an event, and news where it concerns somebody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail

from credentials.models import (
    AccessState,
    AuditEvent,
    Credential,
    Hold,
    HostHealth,
    Notice,
    Organization,
    OrganizationAccess,
    Status,
)
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.tokens import Kind
from credentials.services import disconnect, duties, holds, organizations
from tests import builders
from tests.clock import Clock
from tests.credentials.services.stored import fresh, known, state, store, switch
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(alice: User) -> Credential:
    """A credential whose host nobody needs to ask."""
    return builders.credential(alice, builders.host())


def say(credential: Credential, clock: Clock, *told: tuple[str, OrganizationState]) -> None:
    """What a host has answered about these organizations."""
    facts = [
        OrganizationFact(key=key, name=key.title(), state=state, evidence=f"GET /{key} said {state}")
        for key, state in told
    ]
    organizations.observe(credential, facts, actor=builders.SYSTEM, now=clock())


def refresh(credential: Credential, clock: Clock, *, by_hand: bool = False) -> bool:
    return organizations.refresh(
        actor=builders.SYSTEM, credential=fresh(credential), now=clock, by_hand=by_hand
    )


def check_due(clock: Clock) -> int:
    return organizations.check_due(actor=builders.SYSTEM, now=clock)


def changes(key: str = "acme") -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action="organization.access_changed", organization=key)
    return [(event.data["status_before"], event.data["status"]) for event in events.order_by("seq")]


def entry(credential: Credential, key: str = "acme") -> OrganizationAccess:
    return OrganizationAccess.objects.get(credential=credential, organization__key=key)


# --- What an answer does ------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [state for state in OrganizationState if state != "unknown"])
def test_unknown_never_overrides_what_is_known(
    held: Credential, clock: Clock, before: OrganizationState
) -> None:
    say(held, clock, ("acme", before))
    then = known(held)["organizations"]
    clock.step(hours=1)
    say(held, clock, ("acme", OrganizationState.UNKNOWN))
    assert known(held)["organizations"] == then
    assert changes() == [("", before)]
    assert (entry(held).next_check_at or clock()) > clock(), "it is asked again later"


def test_half_a_list_is_not_a_list(held: Credential, clock: Clock) -> None:
    say(held, clock, ("acme", OrganizationState.ACCESSIBLE), ("sso-corp", OrganizationState.SSO_REQUIRED))
    then = known(held)["organizations"]
    clock.step(hours=1)
    say(held, clock)
    assert known(held)["organizations"] == then


@pytest.mark.parametrize("asked", [AccessState.REQUESTED, AccessState.DENIED])
@pytest.mark.parametrize(
    ("said", "after"),
    [
        (OrganizationState.NOT_APPROVED, None),
        (OrganizationState.UNKNOWN, None),
        (OrganizationState.ACCESSIBLE, AccessState.ACCESSIBLE),
        (OrganizationState.SSO_REQUIRED, AccessState.SSO_REQUIRED),
        (OrganizationState.NO_MEMBERSHIP, AccessState.NO_MEMBERSHIP),
    ],
)
def test_what_the_person_knows_stands_while_the_host_says_not_approved(
    held: Credential, clock: Clock, asked: AccessState, said: OrganizationState, after: AccessState | None
) -> None:
    say(held, clock, ("acme", OrganizationState.NOT_APPROVED))
    organizations.mark(entry(held), asked, actor=builders.SYSTEM, now=clock.step(minutes=1))
    say(held, clock, ("acme", said))
    assert state(held, "acme") == (after or asked)


@pytest.mark.parametrize("before", [OrganizationState.ACCESSIBLE, OrganizationState.SSO_REQUIRED])
def test_nobody_requests_where_nothing_waits_for_approval(
    held: Credential, clock: Clock, before: OrganizationState
) -> None:
    say(held, clock, ("acme", before))
    organizations.mark(entry(held), AccessState.REQUESTED, actor=builders.SYSTEM, now=clock())
    assert state(held, "acme") == before
    assert entry(held).requested_at is None


def test_a_request_is_kept_with_its_time_and_in_the_trail(held: Credential, clock: Clock) -> None:
    say(held, clock, ("acme", OrganizationState.NOT_APPROVED))
    asked_at = clock.step(minutes=5)
    organizations.mark(entry(held), AccessState.REQUESTED, actor=builders.SYSTEM, now=asked_at)
    organizations.mark(entry(held), AccessState.REQUESTED, actor=builders.SYSTEM, now=clock())
    organizations.mark(entry(held), AccessState.DENIED, actor=builders.SYSTEM, now=clock.step(hours=1))
    assert (entry(held).requested_at, entry(held).since) == (asked_at, clock())
    assert changes() == [("", "not_approved"), ("not_approved", "requested"), ("requested", "denied")]


@pytest.mark.parametrize(
    ("before", "after", "codes"),
    [
        ("not_approved", "accessible", ["organization_opened"]),
        ("requested", "accessible", ["organization_opened"]),
        ("token_pending", "accessible", ["organization_opened"]),
        ("accessible", "sso_required", ["organization_closed"]),
        ("accessible", "no_membership", []),
        ("unknown", "accessible", []),
        ("not_approved", "sso_required", []),
        ("accessible", "accessible", []),
    ],
)
def test_people_hear_of_an_organization_that_opened_or_closed_and_of_nothing_else(
    held: Credential, clock: Clock, before: str, after: str, codes: list[str]
) -> None:
    say(held, clock, ("acme", OrganizationState(before)))
    clock.step(minutes=1)
    say(held, clock, ("acme", OrganizationState(after)))
    assert list(Notice.objects.values_list("code", flat=True)) == codes
    assert len(changes()) == 1 + (before != after)


# --- When it is asked again ---------------------------------------------------------------------------------


def pauses(credential: Credential, clock: Clock, told: OrganizationState, times: int) -> list[float]:
    found = []
    for _ in range(times):
        say(credential, clock, ("acme", told))
        due = entry(credential).next_check_at
        assert due is not None
        found.append((due - clock()).total_seconds() / 60)
        clock.at = due
    return found


def test_what_blocks_is_asked_after_an_hour_and_twice_as_long_each_time_up_to_a_day(
    held: Credential, clock: Clock
) -> None:
    for told in (
        OrganizationState.NOT_APPROVED,
        OrganizationState.SSO_REQUIRED,
        OrganizationState.IP_BLOCKED,
    ):
        OrganizationAccess.objects.all().delete()
        assert pauses(held, clock, told, 7) == [60, 120, 240, 480, 960, 1440, 1440]


def test_what_is_waited_for_is_asked_after_five_minutes_and_twice_as_long_up_to_six_hours(
    held: Credential, clock: Clock
) -> None:
    expected = [5, 10, 20, 40, 80, 160, 320, 360, 360]
    assert pauses(held, clock, OrganizationState.TOKEN_PENDING, 9) == expected
    OrganizationAccess.objects.all().delete()
    say(held, clock, ("acme", OrganizationState.NOT_APPROVED))
    organizations.mark(entry(held), AccessState.REQUESTED, actor=builders.SYSTEM, now=clock())
    assert entry(held).next_check_at == clock() + timedelta(minutes=5)
    assert pauses(held, clock, OrganizationState.NOT_APPROVED, 8) == [*expected[1:], 360][:8]


def test_what_is_open_is_asked_once_a_day(held: Credential, clock: Clock) -> None:
    assert pauses(held, clock, OrganizationState.ACCESSIBLE, 3) == [1440, 1440, 1440]


def test_a_change_begins_the_schedule_anew(held: Credential, clock: Clock) -> None:
    pauses(held, clock, OrganizationState.NOT_APPROVED, 5)
    assert pauses(held, clock, OrganizationState.SSO_REQUIRED, 2) == [60, 120]


# --- Through real HTTP --------------------------------------------------------------------------------------


def opened(sandbox: RunningSandbox, alice: User) -> Credential:
    """An OAuth credential, and assxxx has not approved its app."""
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"), kind=Kind.OAUTH)
    organizations.named(credential.host, ["assxxx"], now=Clock()())
    return credential


def test_from_not_approved_over_requested_to_open_with_notice_event_and_mail(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential = opened(sandbox, alice)
    assert refresh(credential, clock)
    assert state(credential, "assxxx") == "not_approved"
    organizations.mark(entry(credential, "assxxx"), AccessState.REQUESTED, actor=builders.SYSTEM, now=clock())
    clock.step(minutes=5)
    assert check_due(clock) == 1
    assert state(credential, "assxxx") == "requested", "the host still says: not approved"

    switch(sandbox, "github", "assxxx", approved=True)
    assert check_due(clock) == 0, "it is not due yet"
    clock.step(minutes=10)
    done = {outcome.name: outcome.done for outcome in duties.once(clock=clock, force=True)}

    assert done["mail-notices"] == 1
    assert state(credential, "assxxx") == "accessible"
    assert changes("assxxx") == [
        ("", "not_approved"),
        ("not_approved", "requested"),
        ("requested", "accessible"),
    ]
    assert Notice.objects.get().user == alice
    [letter] = mail.outbox
    assert (letter.to, "assxxx" in letter.body) == (["alice@example.org"], True)

    switch(sandbox, "github", "assxxx", approved=False)
    clock.step(days=1)
    check_due(clock)
    assert state(credential, "assxxx") == "not_approved"
    assert Notice.objects.filter(code="organization_closed").count() == 1


def test_a_denied_request_opens_all_the_same_when_the_owner_thinks_again(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential = opened(sandbox, alice)
    refresh(credential, clock)
    organizations.mark(entry(credential, "assxxx"), AccessState.DENIED, actor=builders.SYSTEM, now=clock())
    switch(sandbox, "github", "assxxx", approved=True)
    clock.step(hours=1)
    assert check_due(clock) == 1
    assert state(credential, "assxxx") == "accessible"


@pytest.mark.parametrize("slug", ["github", "gitlab", "bitbucket", "gitea"])
def test_a_list_that_breaks_half_way_deletes_and_downgrades_nothing(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, slug))
    assert refresh(credential, clock)
    before = known(credential)["organizations"]
    assert before
    first = len(sandbox.calls(slug))
    for healthy in range(first + 1):
        sandbox.control(slug, "DELETE", "faults")
        if healthy:
            sandbox.control(slug, "POST", "faults", {"times": healthy, "latency_ms": 1})
        sandbox.control(slug, "POST", "faults", {"status": 500, "body": "{}"})
        HostHealth.objects.all().delete()
        clock.step(hours=1)
        refresh(credential, clock)
        states = {(key, said) for key, said, *_rest in known(credential)["organizations"]}  # type: ignore[attr-defined]  # a list
        assert states == {(key, said) for key, said, *_rest in before}  # type: ignore[attr-defined]  # a list
    assert fresh(credential).status == Status.VALID


def test_a_name_that_the_host_does_not_know_any_more_keeps_its_state_and_its_turn(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    builders.access(credential, "gone-inc", state="not_approved", next_check_at=clock())
    for hours in (1, 2, 4):
        due = clock()
        assert check_due(clock) == 1
        assert state(credential, "gone-inc") == "not_approved"
        assert entry(credential, "gone-inc").next_check_at == due + timedelta(hours=2 * hours)
        clock.step(hours=2 * hours)


def test_a_dead_token_is_marked_once_its_host_confirms_it_and_then_left_alone(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    for key in ("acme", "assxxx", "sso-corp"):
        builders.access(credential, key, state="accessible", next_check_at=clock())
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    check_due(clock)
    assert fresh(credential).status == Status.REJECTED
    assert {state(credential, key) for key in ("acme", "assxxx", "sso-corp")} == {"accessible"}
    assert len(sandbox.calls("github")) == 2, "one question, and one to be sure"
    clock.step(days=2)
    assert check_due(clock) == 0
    assert not refresh(credential, clock, by_hand=True)
    assert len(sandbox.calls("github")) == 2


def test_one_organization_that_refuses_the_token_does_not_make_it_dead(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitea"))
    builders.access(credential, "acme", state="accessible", next_check_at=clock())
    refusal = {"path_prefix": "/api/v1/orgs/acme", "status": 401, "body": '{"message": "no"}'}
    sandbox.control("gitea", "POST", "faults", refusal)
    check_due(clock)
    row = fresh(credential)
    assert (row.status, row.refusals) == (Status.VALID, 1)
    assert state(credential, "acme") == "accessible"


def test_a_token_too_young_for_a_replica_is_not_dead(
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
    assert not refresh(credential, clock)
    assert fresh(credential).status == Status.VALID


@pytest.mark.parametrize("fault", [{"quota": "primary"}, {"quota": "secondary"}])
def test_a_spent_quota_ends_the_round_at_once(
    sandbox: RunningSandbox, alice: User, clock: Clock, fault: dict[str, object]
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    for number in range(20):
        builders.access(credential, f"org-{number}", state="accessible", next_check_at=clock())
    before = known(credential)
    sandbox.control("github", "POST", "faults", fault)
    sandbox.control("github", "DELETE", "calls")
    check_due(clock)
    assert fresh(credential).hold_reason == Hold.QUOTA
    assert not refresh(credential, clock, by_hand=True), "a button asks no sooner either"
    assert known(credential) == before
    assert len(sandbox.calls("github")) == 1


def test_nobody_is_asked_with_what_rests_or_cannot_be_used(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    for status in Status:
        if status in {Status.VALID, Status.LIMITED, Status.EXPIRING, Status.UNVERIFIED}:
            continue
        credential, _minted = store(sandbox, alice, host)
        builders.access(credential, "acme", next_check_at=clock())
        if status == Status.DISCONNECTED:
            disconnect.disconnect(actor=builders.SYSTEM, credential=fresh(credential))
        else:
            Credential.objects.filter(pk=credential.pk).update(status=status)
        assert not refresh(credential, clock, by_hand=True)
    resting, _minted = store(sandbox, alice, host)
    builders.access(resting, "acme", next_check_at=clock())
    holds.note_refusal(resting, now=clock())
    sandbox.control("github", "DELETE", "calls")
    assert not refresh(resting, clock)
    assert check_due(clock) == 0
    assert [call for call in sandbox.calls("github") if call["path"].startswith("/api")] == []


def test_owners_out_of_addresses_are_asked_about_and_kept_only_where_they_are_organizations(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"), kind=Kind.OAUTH)
    organizations.named(credential.host, ["AssXXX", "octo-bob", "nobody-made"], now=clock())
    assert refresh(credential, clock)
    assert state(credential, "assxxx") == "not_approved"
    assert not OrganizationAccess.objects.filter(organization__key__in=["octo-bob", "nobody-made"]).exists()
    assert Organization.objects.get(key="assxxx").last_named_at == clock()


def test_a_name_longer_than_the_column_is_remembered_by_its_beginning(held: Credential, clock: Clock) -> None:
    for _ in range(2):
        organizations.named(held.host, ["x" * 300], now=clock.step(hours=1))
    assert Organization.objects.get().last_named_at == clock()
