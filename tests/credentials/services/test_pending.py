"""Connecting by OAuth, below the pages: sealed until confirmed, and never narrower than before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, NotFound, ProviderUnreachable, TokenNotAccepted, TokenRejected
from credentials.models import Credential, Host, PendingConnection, Status
from credentials.providers.grants import OAuthGrant
from credentials.services import diagnose, hosts, oauth, pending, vault, verify
from credentials.services.audit import Actor
from credentials.verdicts import VerdictCode
from tests import builders
from tests.credentials.providers.loopback import Reply, Server
from tests.credentials.services.stored import host_at, meanwhile
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

CALLBACK = "http://testserver/connect/{slug}/callback/"


def grant_for(
    sandbox: RunningSandbox, host: Host, owner: User, *, person: str = "octo-alice", **consent: Any
) -> OAuthGrant:
    """Walk the host's consent page, and exchange the code it gives."""
    endpoints = hosts.provider_of(host).oauth()
    pkce = generate_code_challenge()
    callback = CALLBACK.format(slug=host.slug)
    query = {
        "client_id": host.client_id,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": endpoints.scope_delimiter.join(oauth.scopes_of(host)),
        "state": "s",
        "code_challenge": pkce["code_challenge"],
        "code_challenge_method": "S256",
    }
    answer = sandbox.consent(f"{endpoints.authorize_url}?{urlencode(query)}", person=person, **consent)
    return oauth.exchange(
        actor=Actor.user(owner),
        host=host,
        code=Secret(answer["code"]),
        code_verifier=Secret(pkce["code_verifier"]),
        redirect_uri=callback,
    )


def receive(
    owner: User, host: Host, grant: OAuthGrant, *, reconnects: Credential | None = None
) -> PendingConnection:
    return pending.receive_grant(
        actor=Actor.user(owner), user=owner, host=host, grant=grant, reconnects=reconnects
    )


def confirm(owner: User, waiting: PendingConnection) -> Any:
    return pending.confirm(actor=Actor.user(owner), pending=waiting)


@pytest.mark.parametrize("slug", ["github", "gitlab", "bitbucket", "gitea"])
def test_a_confirmed_grant_becomes_a_credential_that_knows_its_account(
    sandbox: RunningSandbox, alice: User, slug: str
) -> None:
    host = builders.sandbox_host(sandbox, slug)
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    assert waiting.facts["account_name"] == "octo-alice"
    assert not Credential.objects.exists(), "nothing is linked before its owner says so"

    done = confirm(alice, waiting)

    credential = Credential.objects.get()
    assert done.created
    assert (credential.kind, credential.status) == ("oauth", Status.VALID)
    assert credential.account_name == "octo-alice"
    # Gitea does not say what it granted; what is not known is not guessed.
    assert (credential.scopes is None) == (slug == "gitea")
    assert (credential.refresh_envelope is None) == (slug == "github")
    assert not PendingConnection.objects.exists()


def test_connecting_the_same_account_again_keeps_the_credentials_id(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    first = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice))).credential
    again = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice)))

    assert again.credential.pk == first.pk
    assert not again.created
    assert again.credential.generation == 2


def test_another_account_at_the_same_host_becomes_a_credential_of_its_own(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    for person in ("octo-alice", "octo-bob"):
        confirm(alice, receive(alice, host, grant_for(sandbox, host, alice, person=person)))

    assert set(Credential.objects.values_list("account_name", flat=True)) == {"octo-alice", "octo-bob"}


def test_a_reconnect_that_answers_for_another_account_is_refused(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    mine = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice))).credential

    with pytest.raises(TokenNotAccepted) as refused:
        receive(alice, host, grant_for(sandbox, host, alice, person="octo-bob"), reconnects=mine)

    assert refused.value.verdict.code is VerdictCode.WRONG_ACCOUNT


def test_fewer_scopes_never_replace_more(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    mine = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice))).credential
    before = bytes(mine.access_envelope)

    waiting = receive(alice, host, grant_for(sandbox, host, alice, scopes=["read:org"]))
    with pytest.raises(TokenNotAccepted) as refused:
        confirm(alice, waiting)

    assert refused.value.verdict.code is VerdictCode.SCOPE_MISSING
    assert bytes(Credential.objects.get().access_envelope or b"") == before


def test_a_pending_connection_is_its_owners_alone_and_ends(
    sandbox: RunningSandbox, alice: User, charlie: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    now = timezone.now()

    assert pending.get(user=alice, pending_id=waiting.pk, now=now) == waiting
    for user, moment, key in (
        (charlie, now, waiting.pk),
        (alice, now + timedelta(minutes=11), waiting.pk),
        (alice, now, uuid4()),
    ):
        with pytest.raises(NotFound):
            pending.get(user=user, pending_id=key, now=moment)


def test_a_pending_connection_is_confirmed_once(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    twin = PendingConnection.objects.get(pk=waiting.pk)
    confirm(alice, waiting)

    with pytest.raises(Conflict):
        confirm(alice, twin)

    assert Credential.objects.count() == 1


def test_at_a_host_that_is_switched_off_nothing_is_confirmed(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    asked = len(sandbox.calls("github"))
    hosts.set_enabled(actor=builders.SYSTEM, host=Host.objects.get(pk=host.pk), enabled=False)

    with pytest.raises(Conflict):
        confirm(alice, waiting)

    assert len(sandbox.calls("github")) == asked
    assert PendingConnection.objects.exists()
    hosts.set_enabled(actor=builders.SYSTEM, host=Host.objects.get(pk=host.pk), enabled=True)
    assert confirm(alice, waiting).created


@pytest.mark.django_db(transaction=True)
def test_a_host_that_is_switched_off_while_it_is_asked_gets_no_connection(alice: User) -> None:
    def off() -> None:
        hosts.set_enabled(actor=builders.SYSTEM, host=Host.objects.get(), enabled=False)

    with Server(meanwhile(off, Reply(status=503))) as server:
        waiting = builders.pending(alice, host_at(server.url))
        with pytest.raises(Conflict):
            confirm(alice, waiting)

    assert not Credential.objects.exists()


def test_a_canceled_connection_leaves_nothing(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    pending.cancel(
        actor=Actor.user(alice),
        pending=receive(alice, host, grant_for(sandbox, host, alice)),
        now=timezone.now(),
    )

    assert not PendingConnection.objects.exists()
    assert not Credential.objects.exists()


def test_a_wrong_verifier_and_a_used_code_give_nothing(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    with pytest.raises(TokenRejected):
        oauth.exchange(
            actor=Actor.user(alice),
            host=host,
            code=Secret("used-or-made-up"),
            code_verifier=Secret("v" * 43),
            redirect_uri=CALLBACK.format(slug="github"),
        )


def test_an_account_nobody_could_ask_about_is_not_linked_blindly(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    grant = grant_for(sandbox, host, alice)
    sandbox.control("github", "POST", "faults", {"status": 503})

    with pytest.raises(ProviderUnreachable):
        receive(alice, host, grant)

    assert not PendingConnection.objects.exists()


def test_a_token_that_replicas_do_not_know_yet_is_waited_for(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    grant = grant_for(sandbox, host, alice)
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 1000})
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) > 1:
            sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 0})

    waiting = pending.receive_grant(
        actor=Actor.user(alice), user=alice, host=host, grant=grant, reconnects=None, sleep=sleep
    )

    assert waiting.facts["account_name"] == "octo-alice"
    assert waited == [0.5, 1.0]


def test_a_token_that_stays_unknown_is_no_refusal(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    grant = grant_for(sandbox, host, alice)
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 1000})
    waited: list[float] = []

    with pytest.raises(ProviderUnreachable):
        pending.receive_grant(
            actor=Actor.user(alice),
            user=alice,
            host=host,
            grant=grant,
            reconnects=None,
            sleep=waited.append,
        )

    assert sum(waited) < 5, "a page waits for it"
    assert not PendingConnection.objects.exists()


def test_a_replica_that_lags_behind_at_the_confirmation_leaves_it_unverified_and_then_unknown(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 1000})

    credential = confirm(alice, waiting).credential

    assert credential.status == Status.UNVERIFIED
    found = verify.verify(actor=Actor.user(alice), credential=credential, purpose="test")
    assert found.code is VerdictCode.UNKNOWN
    walked = diagnose.diagnose(
        actor=Actor.user(alice), user=alice, repository_url=f"{host.web_url}/acme/cases"
    )
    assert walked.verdict.code is VerdictCode.UNKNOWN
    credential.refresh_from_db()
    assert credential.status == Status.UNVERIFIED
    sandbox.control("github", "POST", "settings", {"replica_lag_seconds": 0})
    assert verify.verify(
        actor=Actor.user(alice),
        credential=credential,
        purpose="test",
        now=lambda: timezone.now() + timedelta(minutes=1),
    ).ok


def test_a_connection_that_nobody_confirmed_in_time_is_gone_and_others_stay(alice: User) -> None:
    now, second = timezone.now(), timedelta(seconds=1)
    for ends in (now - second, now + second):
        waiting = PendingConnection(user=alice, host=builders.host(), expires_at=ends)
        waiting.access_envelope = vault.seal_secret(Secret("t"), waiting.binding("access"))
        waiting.save()

    assert pending.drop_expired(actor=builders.SYSTEM, now=now) == 1

    assert PendingConnection.objects.get() == waiting
