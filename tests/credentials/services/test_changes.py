"""What a change tells: clients all they need to act, owners what they have to do, and nobody a token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import (
    AccessState,
    Credential,
    Notice,
    RevocationReason,
    Status,
    WebhookEndpoint,
    WebhookEvent,
    WebhookMessage,
)
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.tokens import Kind
from credentials.services import (
    calendar,
    changes,
    connect,
    disconnect,
    maintenance,
    organizations,
    rejection,
    verify,
)
from credentials.services.audit import Actor
from credentials.services.connect import ManualEntry
from credentials.services.notices import Code
from credentials.verdicts import VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.services.stored import fresh, host_at, store, switch
from tests.credentials.services.webhooks.receiver import Receiver, deliver, endpoint
from tests.sandbox import RunningSandbox
from tests.sweep import sweep

pytestmark = pytest.mark.django_db

HOOK = "https://receiver.example.org/hooks"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listening(db: None) -> WebhookEndpoint:
    return endpoint(HOOK)[0]


@pytest.fixture
def stored(alice: User) -> Credential:
    return builders.credential(
        alice, builders.host(), label="work", account_id="42", account_name="octo-alice"
    )


def told() -> list[tuple[str, dict[str, Any]]]:
    return [(one.event, one.data) for one in WebhookMessage.objects.order_by("created_at", "pk")]


def events() -> list[str]:
    return [event for event, _data in told()]


def codes(owner: User) -> list[str]:
    return list(Notice.objects.filter(user=owner, read_at=None).values_list("code", flat=True))


def become(credential: Credential, status: Status, clock: Clock, actor: Actor | None = None) -> None:
    """Have the status change, as a service does it."""
    before = credential.status
    Credential.objects.filter(pk=credential.pk).update(status=status)
    credential.status = status
    changes.status_changed(credential, before=before, now=clock(), actor=actor)


# --- The facts ------------------------------------------------------------------------------------------


def test_a_message_holds_what_its_receiver_needs_to_act(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    stored.expires_at = clock() + timedelta(days=3, hours=1)
    stored.missing_scopes, stored.status_detail = ["repo"], "scope_missing"
    become(stored, Status.LIMITED, clock)
    assert told() == [
        (
            "credential.limited",
            {
                "credential": str(stored.pk),
                "user": "alice",
                "host": "github",
                "provider": "github",
                "kind": "personal_token",
                "label": "work",
                "account": {"id": "42", "name": "octo-alice"},
                "status": "limited",
                "status_before": "valid",
                "status_detail": "scope_missing",
                "lendable": True,
                "missing_scopes": ["repo"],
                "expires_at": stored.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "days": 3,
            },
        )
    ]


@pytest.mark.parametrize(
    ("status", "event", "code"),
    [
        (Status.LIMITED, WebhookEvent.CREDENTIAL_LIMITED, Code.CREDENTIAL_LIMITED),
        (Status.EXPIRING, None, None),
        (Status.EXPIRED, WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED, Code.CREDENTIAL_EXPIRED),
        (Status.REJECTED, WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED, Code.CREDENTIAL_REJECTED),
        (Status.RECONNECT_REQUIRED, WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED, Code.CREDENTIAL_RECONNECT),
        (Status.QUARANTINED, None, None),
        (Status.VALID, None, None),
    ],
)
def test_each_status_has_its_event_and_the_owner_hears_of_those_that_ask_for_the_owner(
    stored: Credential,
    listening: WebhookEndpoint,
    clock: Clock,
    status: Status,
    event: WebhookEvent | None,
    code: Code | None,
) -> None:
    become(stored, status, clock)
    assert events() == ([event.value] if event else [])
    assert codes(stored.owner) == ([code.value] if code else [])


def test_one_that_works_again_is_told_and_what_was_asked_of_the_owner_is_settled(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    become(stored, Status.REJECTED, clock)
    clock.step(seconds=1)
    become(stored, Status.VALID, clock)
    assert events() == ["credential.reconnect_required", "credential.connected"]
    assert codes(stored.owner) == []


def test_the_newest_news_of_a_credential_replaces_what_was_said_before(
    stored: Credential, clock: Clock, bob: User
) -> None:
    theirs = builders.credential(bob, stored.host)
    for status in (Status.LIMITED, Status.REJECTED):
        become(stored, status, clock)
        become(theirs, Status.LIMITED, clock)
        clock.step(seconds=1)
    assert codes(stored.owner) == ["credential_rejected"]
    assert codes(bob) == ["credential_limited"]


def test_who_pressed_the_button_needs_no_mail_about_it_and_others_do(
    stored: Credential, clock: Clock, bob: User
) -> None:
    become(stored, Status.LIMITED, clock, Actor.user(stored.owner))
    assert codes(stored.owner) == []
    become(stored, Status.REJECTED, clock, Actor.user(bob))
    assert codes(stored.owner) == ["credential_rejected"]


def test_who_is_not_active_any_more_gets_no_notice(stored: Credential, clock: Clock) -> None:
    stored.owner.is_active = False
    become(stored, Status.REJECTED, clock)
    assert codes(stored.owner) == []


@pytest.mark.parametrize(
    ("by", "reason", "is_told"),
    [
        ("bob", RevocationReason.DISCONNECTED, True),
        ("alice", RevocationReason.DISCONNECTED, False),
        ("backend", RevocationReason.DISCONNECTED, False),
        ("bob", RevocationReason.PANIC, False),
        ("bob", RevocationReason.OFFBOARDED, False),
    ],
)
def test_the_owner_is_told_where_an_administrator_disconnected(
    stored: Credential, clock: Clock, bob: User, by: str, reason: RevocationReason, is_told: bool
) -> None:
    client = Actor(kind="client", id="1", name="backend")
    actor = {"bob": Actor.user(bob), "alice": Actor.user(stored.owner), "backend": client}[by]
    disconnect.close(actor=actor, credential=stored, reason=reason, now=clock())
    assert codes(stored.owner) == (["credential_closed"] if is_told else [])


def test_who_has_left_is_not_told_of_a_disconnection(stored: Credential, clock: Clock, bob: User) -> None:
    User.objects.filter(pk=stored.owner_id).update(is_active=False)
    disconnect.close(actor=Actor.user(bob), credential=stored, now=clock())
    assert codes(stored.owner) == []


def test_offboarding_is_told_of_the_person(listening: WebhookEndpoint, clock: Clock) -> None:
    changes.user_offboarded(username="alice", credentials=3, now=clock())
    assert told() == [("user.offboarded", {"user": "alice", "credentials": 3})]


def test_an_end_that_comes_nearer_is_told_with_its_days(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    end = clock() + timedelta(days=6, hours=3)
    changes.ends_soon(stored, threshold=7, at=end, now=clock())
    clock.step(seconds=1)
    changes.ends_soon(stored, threshold=0, at=None, now=clock())
    (event, dated), (_event, any_day) = told()
    assert event == "credential.expiring"
    assert (dated["threshold"], dated["days"], dated["expires_at"]) == (
        7,
        6,
        end.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    assert (any_day["threshold"], any_day["days"], any_day["expires_at"]) == (None, None, None)


def test_the_days_until_an_end_are_counted_alike_in_every_message(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    stored.expires_at = clock() + timedelta(days=6, hours=23)
    changes.connected(stored, now=clock())
    clock.step(seconds=1)
    changes.ends_soon(stored, threshold=7, at=stored.expires_at, now=clock())
    (_event, connected), (_event, expiring) = told()
    assert connected["days"] == expiring["days"] == 6
    assert "threshold" not in connected


@pytest.mark.parametrize("known", [True, False])
def test_of_a_pair_the_end_of_what_renews_it_is_told(
    stored: Credential, listening: WebhookEndpoint, clock: Clock, known: bool
) -> None:
    stored.refresh_envelope = b"sealed"
    stored.expires_at = clock() + timedelta(hours=2)
    stored.refresh_ends_at = clock() + timedelta(days=40, hours=1) if known else None
    changes.connected(stored, now=clock())
    [(_event, data)] = told()
    end = stored.refresh_ends_at
    expected = (end.strftime("%Y-%m-%dT%H:%M:%SZ"), 40) if end else (None, None)
    assert (data["expires_at"], data["days"]) == expected


def test_where_nobody_listens_no_message_is_kept(stored: Credential, clock: Clock) -> None:
    become(stored, Status.REJECTED, clock)
    changes.connected(stored, now=clock())
    changes.disconnected(stored, actor=builders.SYSTEM, reason=RevocationReason.PANIC, now=clock())
    assert told() == []


# --- Where it is called ---------------------------------------------------------------------------------


def test_connecting_and_replacing_tell_the_organizations_too_and_mail_nobody(
    sandbox: RunningSandbox, alice: User, listening: WebhookEndpoint, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    poor = sandbox.mint("github", "octo-alice", "personal_token", ["read:org"])
    rich = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
    owner = Actor.user(alice)
    made = connect.connect_token(
        actor=owner, owner=alice, host=host, entry=ManualEntry(token=Secret(poor.token)), now=clock
    )
    clock.step(seconds=1)
    connect.replace_token(
        actor=owner, credential=made.credential, entry=ManualEntry(token=Secret(rich.token)), now=clock
    )
    (first, poor_data), (second, rich_data) = told()
    assert first == second == "credential.connected"
    assert (poor_data["status"], poor_data["missing_scopes"]) == ("limited", ["repo"])
    assert (rich_data["status"], rich_data["credential"]) == ("valid", poor_data["credential"])
    assert {"key": "acme", "name": "acme", "state": "accessible"} in rich_data["organizations"]
    assert codes(alice) == []


def test_a_check_that_finds_a_token_dead_tells_client_and_owner(
    sandbox: RunningSandbox, alice: User, listening: WebhookEndpoint, clock: Clock
) -> None:
    credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    sandbox.control("github", "DELETE", f"tokens/{minted.id}")
    verify.verify(actor=builders.SYSTEM, credential=fresh(credential), purpose="test", now=clock)
    assert events() == ["credential.reconnect_required"]
    assert codes(alice) == ["credential_rejected"]


def test_a_refusal_on_the_way_tells_once(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    for _again in range(2):
        rejection.note(fresh(stored), VerdictCode.TOKEN_REJECTED, actor=builders.SYSTEM, now=clock())
    assert events() == ["credential.reconnect_required"]
    assert told()[0][1]["lendable"] is False


def test_a_known_end_tells_once_at_each_threshold_and_when_it_has_come(
    alice: User, listening: WebhookEndpoint
) -> None:
    clock = Clock(timezone.now())
    builders.credential(alice, builders.host(), expires_at=clock() + timedelta(days=31))
    for _half_day in range(70):
        calendar.warn_due(now=clock())
        maintenance.mark_ends(now=clock())
        clock.step(hours=12)
    assert events() == [*["credential.expiring"] * 4, "credential.reconnect_required"]
    assert [data["days"] for _event, data in told()] == [30, 14, 7, 1, 0]
    assert [data.get("threshold") for _event, data in told()] == [30, 14, 7, 1, None]
    assert [data["status"] for _event, data in told()] == ["valid", *["expiring"] * 3, "expired"]
    assert "credential_expired" in codes(alice)


def test_an_organization_tells_when_its_answer_changes_and_not_at_first_sight(
    stored: Credential, listening: WebhookEndpoint, clock: Clock
) -> None:
    def observe(state: OrganizationState) -> None:
        fact = OrganizationFact(key="Acme", name="Acme Inc.", state=state, evidence="GET /orgs 200")
        organizations.observe(stored, [fact], actor=builders.SYSTEM, now=clock.step(minutes=1))

    for state in (
        OrganizationState.NOT_APPROVED,
        OrganizationState.NOT_APPROVED,
        OrganizationState.UNKNOWN,
        OrganizationState.ACCESSIBLE,
    ):
        observe(state)
    [(event, data)] = told()
    assert event == "organization.access_changed"
    assert data["organization"] == {"key": "acme", "name": "Acme Inc."}
    assert (data["state_before"], data["state"]) == (AccessState.NOT_APPROVED, AccessState.ACCESSIBLE)
    assert data["credential"] == str(stored.pk)


def test_disconnecting_tells_why(stored: Credential, listening: WebhookEndpoint, clock: Clock) -> None:
    become(stored, Status.REJECTED, clock)
    WebhookMessage.objects.all().delete()
    disconnect.disconnect(actor=builders.SYSTEM, credential=fresh(stored), now=clock)
    [(event, data)] = told()
    assert event == "credential.disconnected"
    assert (data["status"], data["reason"], data["lendable"]) == ("disconnected", "disconnected", False)
    assert codes(stored.owner) == []


# --- Never a secret -------------------------------------------------------------------------------------


def test_no_token_is_in_anything_that_is_sent(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "github")
    with Receiver() as receiver:
        _endpoint, secret = endpoint(receiver.hook)
        minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
        entry = ManualEntry(token=Secret(minted.token), label=f"mine: {minted.token}")
        made = connect.connect_token(actor=builders.SYSTEM, owner=alice, host=host, entry=entry, now=clock)
        switch(sandbox, "github", "acme", approved=False)
        verify.verify(actor=builders.SYSTEM, credential=made.credential, purpose="test", now=clock)
        sandbox.control("github", "DELETE", f"tokens/{minted.id}")
        verify.verify(actor=builders.SYSTEM, credential=made.credential, purpose="test", now=clock)
        disconnect.disconnect(actor=builders.SYSTEM, credential=made.credential, now=clock)
        assert deliver(clock) == len(receiver.seen) >= 3
        places = {
            f"{number} {one.path}": str(one.headers).encode() + one.body
            for number, one in enumerate(receiver.seen)
        }
    secrets = {
        "token": minted.token,
        "signing secret": secret,
        "client secret": sandbox.hosts["github"].client_secret,
    }
    assert sweep(places, secrets) == []
    assert sweep({"x": f"a {minted.token} b".encode()}, secrets) == ["token in x"]


def test_a_refused_host_tells_nothing(alice: User, listening: WebhookEndpoint, clock: Clock) -> None:
    """Unknown is not no: an outage changes no status, so there is no news."""
    credential = builders.credential(alice, host_at("http://127.0.0.1:9"), kind=Kind.PERSONAL_TOKEN)
    verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", now=clock)
    assert told() == []
    assert codes(alice) == []
