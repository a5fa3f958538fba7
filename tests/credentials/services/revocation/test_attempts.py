"""Attempts: claimed, told first, asked again with patience, proved, and ended in time."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Host, Revocation, RevocationReason
from credentials.providers.tokens import Kind
from credentials.services import hosts, vault
from credentials.services.revocation import asking, attempts
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply
from tests.credentials.services.revocation.dying import calls, closed, fresh, grants, pair, setting
from tests.credentials.services.stored import host_at, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(revocation: Revocation, clock: Clock) -> Revocation:
    return attempts.attempt(revocation, actor=builders.SYSTEM, now=clock)


def due(clock: Clock) -> int:
    return attempts.attempt_due(actor=builders.SYSTEM, now=clock)


def dying(owner: User, url: str, clock: Clock, **fields: object) -> Revocation:
    return closed(builders.credential(owner, host_at(url), **fields), now=clock())  # type: ignore[arg-type]  # free


@pytest.mark.parametrize(
    ("slug", "kind", "state"),
    [
        ("github", Kind.PERSONAL_TOKEN, "revoked"),
        ("github", Kind.FINE_GRAINED_TOKEN, "revoked"),
        ("github", Kind.OAUTH, "revoked"),
        ("github-enterprise", Kind.PERSONAL_TOKEN, "revoked"),
        ("gitlab", Kind.PERSONAL_TOKEN, "revoked"),
        ("gitlab", Kind.OAUTH, "revoked"),
        ("bitbucket", Kind.API_TOKEN, "manual"),
        ("bitbucket", Kind.OAUTH, "manual"),
        ("gitea", Kind.PERSONAL_TOKEN, "manual"),
        ("gitea", Kind.OAUTH, "manual"),
        ("bitbucket-server", Kind.PERSONAL_TOKEN, "manual"),
        ("azure", Kind.PERSONAL_TOKEN, "manual"),
    ],
)
def test_every_provider_gives_the_receipt_it_can(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str, kind: Kind, state: str
) -> None:
    host = (
        builders.sandbox_host(sandbox, slug) if sandbox.hosts[slug].client_id else plain_host(sandbox, slug)
    )
    credential, _minted = store(sandbox, alice, host, kind=kind, scopes=[])
    made = closed(credential, now=clock())

    done = ask(made, clock)

    assert (done.state, done.finished_at) == (state, clock())
    assert (done.access_envelope, done.refresh_envelope, done.key_id) == (None, None, "")
    assert done.manual_url.startswith(("http://", "https://"))
    assert grants(sandbox, slug) == (0 if state == "revoked" else 1)
    assert (done.verified_at is not None) is (state == "revoked")
    opened = AuditEvent.objects.filter(action="credential.revocation", purpose="ask the host").exists()
    assert opened is (state == "revoked"), "what a person does is not opened for"


def plain_host(sandbox: RunningSandbox, slug: str) -> Host:
    emulated = sandbox.hosts[slug]
    return builders.host(slug, provider=emulated.provider, web_url=emulated.web_url, api_url=emulated.api_url)


def test_both_tokens_of_a_pair_die_the_refresh_token_first(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = pair(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))

    assert ask(closed(credential, now=clock()), clock).state == "revoked"

    assert grants(sandbox, "gitlab") == 0
    assert calls(sandbox, "gitlab", "POST", "/oauth/revoke") == 2
    assert calls(sandbox, "gitlab", "POST", "/oauth/token") == 0, "one row at the host: no need to ask it"


def test_a_refresh_token_whose_access_token_has_expired_is_proved_dead_at_the_token_endpoint(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = pair(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    setting(sandbox, "gitlab", clock_offset_seconds=8000)
    assert grants(sandbox, "gitlab") == 1, "it could still be refreshed"

    done = ask(closed(credential, now=clock()), clock)

    assert done.state == "already_invalid"
    assert not done.in_doubt
    assert calls(sandbox, "gitlab", "POST", "/oauth/token") == 1
    assert grants(sandbox, "gitlab") == 0


def test_a_host_that_says_yes_and_does_nothing_is_told_on(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    setting(sandbox, "gitlab", ignores_revocation=True)

    done = ask(closed(credential, now=clock()), clock)

    assert (done.state, done.evidence) == ("pending", "the host said yes, but the token still works")
    assert done.accepted_at == clock()
    assert done.access_envelope is not None
    setting(sandbox, "gitlab", ignores_revocation=False)
    sandbox.control("gitlab", "POST", f"tokens/{minted.id}", {"revoked": True})
    clock.step(minutes=2)
    assert due(clock) == 1
    assert fresh(done).state == "revoked", "it was asked for, and now it is true"


def test_a_refresh_token_that_lives_on_despite_a_yes_is_found_and_its_pair_kept(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = pair(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    setting(sandbox, "gitlab", ignores_revocation=True, clock_offset_seconds=8000)
    made = closed(credential, now=clock())
    before = bytes(made.refresh_envelope or b"")

    done = ask(made, clock)

    assert done.state == "pending"
    assert bytes(done.refresh_envelope or b"") != before, "the newer pair took its place"
    setting(sandbox, "gitlab", ignores_revocation=False)
    clock.step(minutes=2)
    due(clock)
    assert (fresh(made).state, grants(sandbox, "gitlab")) == ("revoked", 0)


def test_a_token_that_dies_a_moment_later_is_looked_at_again(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    setting(sandbox, "github", revocation_lag_seconds=90)

    made = ask(closed(credential, now=clock()), clock)
    assert (made.state, made.next_attempt_at) == ("pending", clock() + timedelta(minutes=1))
    assert due(clock) == 0

    setting(sandbox, "github", clock_offset_seconds=100)
    clock.step(minutes=1)
    assert due(clock) == 1
    assert fresh(made).state == "revoked"


def test_a_token_that_was_dead_before_is_said_to_be(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    for slug in ("github", "gitlab"):
        credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, slug))
        sandbox.control(slug, "POST", f"tokens/{minted.id}", {"revoked": True})
        done = ask(closed(credential, now=clock()), clock)
        assert (done.state, done.manual_url != "") == ("already_invalid", True)


def test_an_outage_is_waited_out_by_the_duty(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    made = closed(credential, now=clock())
    sandbox.control("gitlab", "POST", "faults", {"status": 503})
    pauses = []
    for _time in range(12):
        moment = clock()
        assert due(clock) == 1
        row = fresh(made)
        assert row.state == "pending"
        assert row.next_attempt_at is not None
        pauses.append(round((row.next_attempt_at - moment).total_seconds() / 60))
        clock.step(minutes=pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]

    sandbox.control("gitlab", "DELETE", "faults")
    assert due(clock) == 1
    assert (fresh(made).state, grants(sandbox, "gitlab")) == ("revoked", 0)


@pytest.mark.parametrize(
    "reply",
    [Reply(status=503), html_reply(200), html_reply(401), json_reply({}, 429), json_reply({}, 500), Reply()],
)
@pytest.mark.parametrize("kind", [Kind.PERSONAL_TOKEN, Kind.OAUTH])
def test_what_is_no_answer_settles_nothing(alice: User, clock: Clock, reply: Reply, kind: Kind) -> None:
    with Server(lambda seen: reply) as server:
        host = builders.host(
            web_url=server.url, api_url=f"{server.url}/api", client_id="c", client_secret=Secret("s")
        )
        made = closed(builders.credential(alice, host, kind=kind), now=clock())
        done = ask(made, clock)

    assert (done.state, done.finished_at) == ("pending", None)
    assert done.access_envelope is not None
    assert done.evidence


def test_the_host_says_when_to_come_back(alice: User, clock: Clock) -> None:
    with Server(lambda seen: json_reply({}, 429, Retry_After="3000")) as server:
        done = ask(dying(alice, server.url, clock), clock)
    assert done.next_attempt_at == clock() + timedelta(seconds=3000)


def test_a_host_that_is_gone_for_a_week_leaves_it_to_its_owner(alice: User, clock: Clock) -> None:
    made = closed(builders.credential(alice, builders.host()), now=clock())
    rounds = 0
    while fresh(made).state == "pending":
        rounds += due(clock)
        clock.step(minutes=30)
        assert rounds < 60

    row = fresh(made)
    assert (row.state, row.manual_url) == ("manual", "http://127.0.0.1:9/settings/tokens")
    assert row.finished_at is not None
    assert timedelta(days=7) <= row.finished_at - row.requested_at < timedelta(days=7, hours=1)
    assert row.access_envelope is None
    assert row.evidence
    assert rounds > 25


def test_a_closed_host_is_asked_all_the_same(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    credential, _minted = store(sandbox, alice, host)
    hosts.set_enabled(actor=builders.SYSTEM, host=host, enabled=False)
    assert ask(closed(credential, now=clock()), clock).state == "revoked"


@pytest.mark.parametrize("slug", ["github", "gitlab"])
def test_a_refused_client_is_the_operators_to_mend(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, slug), kind=Kind.OAUTH)
    setting(sandbox, slug, refuses_clients=True)
    made = ask(closed(credential, now=clock()), clock)
    assert made.state == "pending"
    assert "OAuth client refused" in made.evidence

    clock.step(days=7)
    assert ask(made, clock).state == "manual"


def test_an_altered_envelope_leaves_it_to_its_owner_at_once(alice: User, clock: Clock) -> None:
    made = closed(builders.credential(alice, builders.host()), now=clock())
    Revocation.objects.filter(pk=made.pk).update(owner_id="4711")
    assert ask(made, clock).state == "manual"


def test_a_key_that_is_missing_loses_nothing(own_key_file: Path, alice: User, clock: Clock) -> None:
    host, kept = builders.host(), vault.primary_key_id()
    builders.new_first_key(own_key_file)
    made = closed(builders.credential(alice, host), now=clock())
    builders.lose_all_keys_but(own_key_file, kept)

    done = ask(made, clock)

    assert (done.state, done.evidence) == ("pending", "key_unavailable")
    assert bytes(done.access_envelope or b"") == bytes(made.access_envelope or b"")


@pytest.mark.django_db(transaction=True)
def test_the_event_is_durable_before_the_token_is_shown_to_anybody(alice: User, clock: Clock) -> None:
    told: list[int] = []

    def script(seen: object) -> Reply:
        told.append(AuditEvent.objects.filter(action="credential.revocation").count())
        connection.close()
        return json_reply({"message": "Bad credentials"}, 401)

    with Server(script) as server:
        ask(dying(alice, server.url, clock), clock)
    assert told[0] == 1, "committed, as another connection sees it"
    order = list(AuditEvent.objects.filter(action="credential.revocation").order_by("seq"))
    assert [event.purpose for event in order] == ["ask the host", ""]
    assert order[0].data == {"attempts": 1, "reason": "disconnected"}


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_ask_at_once(alice: User, clock: Clock) -> None:
    entered, leave = threading.Event(), threading.Event()

    def script(seen: object) -> Reply:
        entered.set()
        leave.wait(10)
        return json_reply({}, 503)

    def work() -> None:
        try:
            due(clock)
        finally:
            connection.close()

    with Server(script) as server:
        made = dying(alice, server.url, clock)
        first = threading.Thread(target=work)
        first.start()
        assert entered.wait(10)
        assert due(clock) == 0
        assert ask(made, clock).attempts == 1, "nor does somebody who presses a button"
        asked = len(server.seen)
        leave.set()
        first.join()
    assert asked == 1


def test_the_claim_of_a_killed_worker_ends_by_itself(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    made = closed(credential, now=clock())
    assert attempts._claim(made.pk, now=clock()) is not None, "and then it is killed"

    assert due(clock) == 0
    clock.step(minutes=11)
    assert due(clock) == 1
    assert fresh(made).state == "revoked"


def test_a_worker_that_was_too_slow_changes_nothing(alice: User, clock: Clock) -> None:
    made = closed(builders.credential(alice, builders.host()), now=clock())
    slow = attempts._claim(made.pk, now=clock())
    assert slow is not None
    clock.step(minutes=11)
    assert attempts._claim(made.pk, now=clock()) is not None

    kept = attempts._settle(slow, asking.by_hand("too late"), actor=builders.SYSTEM, now=clock())

    assert (kept.state, kept.attempts, kept.evidence) == ("pending", 2, "")


@pytest.mark.parametrize("reason", [RevocationReason.REPLACED, RevocationReason.DISCONNECTED])
def test_a_token_that_is_connected_again_meanwhile_lives(
    sandbox: RunningSandbox, alice: User, clock: Clock, reason: RevocationReason
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, minted = store(sandbox, alice, host)
    made = closed(credential, now=clock(), reason=reason)
    builders.credential(alice, host, token=minted.token)

    done = ask(made, clock)

    assert (done.state, done.manual_url) == ("manual", "")
    assert grants(sandbox, "github") == 1


def test_an_emergency_stop_ends_it_even_so(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, minted = store(sandbox, alice, host)
    made = closed(credential, now=clock(), reason=RevocationReason.PANIC)
    builders.credential(alice, host, token=minted.token)
    assert ask(made, clock).state == "revoked"


def test_no_secret_is_in_the_trail_or_the_receipt(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    credential, minted = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    done = ask(closed(credential, now=clock()), clock)
    everything = repr([vars(done), *(vars(event) for event in AuditEvent.objects.all())])
    assert minted.token not in everything


def test_time_is_the_clocks(alice: User) -> None:
    made = closed(builders.credential(alice, builders.host()), now=timezone.now())
    assert attempts.attempt_due(actor=builders.SYSTEM) == 1
    assert fresh(made).attempts == 1
