"""A refresh was under way when the credential was closed: the pair nobody knows is found, or told of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Revocation, RevocationReason
from credentials.providers.grants import OAuthGrant
from credentials.providers.tokens import Kind
from credentials.services import oauth, vault
from credentials.services.rejection import LAG
from credentials.services.revocation import asking, attempts, requests
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.credentials.services.revocation.dying import calls, closed, fresh, grants, pair, setting
from tests.sandbox import Minted, RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(revocation: Revocation, clock: Clock) -> Revocation:
    return attempts.attempt(revocation, actor=builders.SYSTEM, now=clock)


def in_doubt(
    sandbox: RunningSandbox, owner: User, clock: Clock, slug: str = "gitlab"
) -> tuple[Credential, Minted, Revocation]:
    credential, minted = pair(
        sandbox, owner, builders.sandbox_host(sandbox, slug), refreshing_since=clock(), refreshing_by="w"
    )
    return credential, minted, closed(credential, now=clock())


def renewed(host: Host, minted: Minted) -> OAuthGrant:
    """The refresher's call, whose answer is on its way."""
    return oauth.renew(
        host=host,
        refresh=Secret(minted.refresh_token or ""),
        client_secret=oauth.open_client_secret(host, actor=builders.SYSTEM, purpose="test"),
        redirect_uri="http://testserver/connect/gitlab/callback/",
    )


def come_late(credential: Credential, grant: OAuthGrant, generation: int, clock: Clock) -> Revocation:
    """What the refresher does with an answer for a credential that is closed."""
    return requests.of_envelopes(
        credential,
        access_envelope=vault.seal_secret(grant.access, credential.binding("access", generation=generation)),
        refresh_envelope=vault.seal_secret(
            grant.refresh or Secret("-"), credential.binding("refresh", generation=generation)
        ),
        generation=generation,
        key_id=vault.primary_key_id(),
        reason=RevocationReason.LATE_REFRESH,
        now=clock(),
    )


def test_a_refresh_that_never_reached_the_host_leaves_nothing_behind(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    _credential, _minted, made = in_doubt(sandbox, alice, clock)

    done = ask(made, clock)

    assert (done.state, done.in_doubt) == ("revoked", False)
    assert calls(sandbox, "gitlab", "POST", "/oauth/token") == 1, (
        "the old one still worked: it was the only one"
    )
    assert grants(sandbox, "gitlab") == 0


def test_a_refresh_whose_answer_was_lost_ends_with_its_owner_who_is_told_why(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted, made = in_doubt(sandbox, alice, clock)
    renewed(credential.host, minted)

    first = ask(made, clock)
    assert (first.state, first.in_doubt) == ("pending", True), "its answer may still be on its way"
    clock.step(minutes=3)
    done = ask(made, clock)

    assert (done.state, done.access_envelope) == ("manual", None)
    assert "refresh was under way" in done.evidence
    assert done.manual_url.endswith("/-/user_settings/applications")


def test_the_late_answer_is_revoked_and_settles_the_doubt(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted, made = in_doubt(sandbox, alice, clock)
    grant = renewed(credential.host, minted)

    late = come_late(credential, grant, made.generation + 1, clock)
    clock.step(minutes=3)
    assert attempts.attempt_due(actor=builders.SYSTEM, now=clock) == 2

    assert {fresh(made).state, fresh(late).state} <= {"revoked", "already_invalid"}
    assert grants(sandbox, "gitlab") == 0


def test_a_late_answer_after_all_hope_was_lost_mends_the_receipt(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted, made = in_doubt(sandbox, alice, clock)
    grant = renewed(credential.host, minted)
    clock.step(minutes=3)
    assert ask(made, clock).state == "manual"

    come_late(credential, grant, made.generation + 1, clock)

    assert (fresh(made).state, fresh(made).manual_url) == ("already_invalid", "")


def test_a_late_answer_while_the_host_is_being_asked_settles_the_doubt_too(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted, made = in_doubt(sandbox, alice, clock)
    grant = renewed(credential.host, minted)
    clock.step(minutes=3)
    mine = attempts._claim(made.pk, now=clock())
    assert mine is not None
    outcome = asking.ask(mine, actor=builders.SYSTEM, now=clock)
    come_late(credential, grant, made.generation + 1, clock)

    attempts._settle(mine, outcome, actor=builders.SYSTEM, now=clock())

    assert fresh(made).state == "already_invalid"


def test_a_pair_made_while_another_process_took_over_gets_a_receipt_of_its_own(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, minted, made = in_doubt(sandbox, alice, clock)
    slow = attempts._claim(made.pk, now=clock())
    assert slow is not None
    case = asking.opened(slow, actor=builders.SYSTEM, now=clock)
    clock.step(minutes=11)
    assert attempts._claim(made.pk, now=clock()) is not None

    asking._kept(case, renewed(credential.host, minted))

    other = Revocation.objects.exclude(pk=made.pk).get()
    assert (other.state, other.row) == ("pending", made.row)
    assert ask(other, clock).state == "revoked"
    assert grants(sandbox, "gitlab") == 0


def test_no_answer_about_a_refresh_token_leaves_a_doubt_and_an_answer_none(alice: User, clock: Clock) -> None:
    replies = {"/oauth/token": Reply(status=502), "/oauth/token/info": json_reply({}, 401)}

    def script(seen: Seen) -> Reply:
        return replies.get(seen.path, json_reply({}))

    with Server(script) as server:
        host = builders.host(
            "gitlab",
            web_url=server.url,
            api_url=f"{server.url}/api/v4",
            client_id="c",
            client_secret=Secret("s"),
        )
        credential = builders.credential(alice, host, kind=Kind.OAUTH)
        credential.refresh_envelope = vault.seal_secret(Secret("r"), credential.binding("refresh"))
        credential.save()
        made = closed(credential, now=clock())
        assert ask(made, clock).in_doubt, "the host may have made a pair before it fell"
        Revocation.objects.filter(pk=made.pk).update(in_doubt=False)

        replies["/oauth/token"] = json_reply({"error": "invalid_client"}, 401)
        row = ask(made, clock)
        assert (row.state, row.in_doubt, row.evidence) == ("pending", False, "oauth: invalid_client")

        replies["/oauth/token"] = json_reply({"error": "invalid_grant"}, 400)
        assert ask(made, clock).state == "already_invalid"


def test_a_doubt_at_a_host_without_any_call_is_its_owners(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    _credential, _minted, made = in_doubt(sandbox, alice, clock, "gitea")
    assert ask(made, clock).state == "manual"


def test_a_young_token_that_a_replica_does_not_know_is_not_called_dead(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    setting(sandbox, "github", replica_lag_seconds=60)
    credential, _minted = pair_like(sandbox, alice, host, clock)
    made = closed(credential, now=clock())

    assert ask(made, clock).state == "pending"

    setting(sandbox, "github", replica_lag_seconds=0)
    clock.step(seconds=LAG.total_seconds())
    assert ask(made, clock).state == "revoked"
    assert clock() - made.requested_at <= timedelta(minutes=2)


def pair_like(sandbox: RunningSandbox, owner: User, host: Host, clock: Clock) -> tuple[Credential, Minted]:
    minted = sandbox.mint("github", "octo-alice", "oauth", ["repo"])
    return (
        builders.credential(owner, host, token=minted.token, kind=Kind.OAUTH, sealed_at=clock()),
        minted,
    )
