"""A secret leaves its credential sealed as it was, in the transaction that closes or replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import EnvelopeInvalid, TokenNotAccepted
from credentials.models import Credential, PendingConnection, Revocation, RevocationReason
from credentials.services import connect, oauth, pending, rotate, sealed_rows, vault
from credentials.services.audit import Actor
from credentials.services.connect import ManualEntry
from credentials.services.revocation import attempts, requests
from tests import builders
from tests.clock import Clock
from tests.credentials.services.revocation.dying import closed, fresh, grants, pair
from tests.credentials.services.stored import store
from tests.credentials.services.test_pending import confirm, grant_for, receive
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


def due(clock: Clock) -> int:
    return attempts.attempt_due(actor=builders.SYSTEM, now=clock)


def live(sandbox: RunningSandbox, slug: str) -> set[str]:
    return {grant["id"] for grant in sandbox.control(slug, "GET", "grants")["grants"]}


def replace(credential: Credential, token: str) -> Credential:
    return connect.replace_token(
        actor=builders.SYSTEM, credential=credential, entry=ManualEntry(token=Secret(token))
    ).credential


def test_the_envelopes_open_for_the_row_they_came_from_and_no_other(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), token="ghp_" + "x" * 36)
    made = closed(credential)
    blob = bytes(made.access_envelope or b"")

    assert vault.unseal_after_audit(blob, made.binding("access")) is not None
    made.generation += 1
    with pytest.raises(EnvelopeInvalid):
        vault.unseal_after_audit(blob, made.binding("access"))


def test_nothing_is_taken_where_nothing_is_held_or_the_transaction_fails(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    with transaction.atomic():
        requests.take(credential, reason=RevocationReason.OFFBOARDED, now=timezone.now())
        transaction.set_rollback(True)
    assert not Revocation.objects.exists()
    assert requests.take(credential, reason=RevocationReason.OFFBOARDED, now=timezone.now()) is None


def test_the_receipt_outlives_the_credential_and_its_owner(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"), label="mine")
    made = closed(credential, now=clock())
    alice.delete()

    assert due(clock) == 1
    row = fresh(made)
    assert (row.state, row.owner_name, str(row), row.credential) == ("revoked", "alice", "mine", None)


def test_a_pair_for_a_credential_whose_row_is_gone_is_revoked(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = pair(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    access, refresh = credential.access_envelope, credential.refresh_envelope
    Credential.objects.filter(pk=credential.pk).delete()

    made = requests.of_envelopes(
        credential,
        access_envelope=bytes(access or b""),
        refresh_envelope=bytes(refresh or b""),
        generation=1,
        key_id=credential.key_id,
        reason=RevocationReason.LATE_REFRESH,
        now=clock(),
    )

    assert due(clock) == 1
    assert (fresh(made).state, grants(sandbox, "gitlab")) == ("revoked", 0)


def test_what_waits_to_be_revoked_moves_to_the_first_key(
    own_key_file: Path, sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, _minted = pair(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    made = closed(credential, now=clock())
    first = builders.new_first_key(own_key_file)

    assert rotate.rotate().rewrapped["revocation"] == 1

    assert fresh(made).key_id == first
    assert set(sealed_rows.counts()) == {first}
    builders.lose_all_keys_but(own_key_file, first)
    assert due(clock) == 1
    assert fresh(made).state == "revoked"


@pytest.mark.parametrize("slug", ["github", "gitlab"])
def test_a_replaced_token_dies_and_the_new_one_lives(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    credential, old = store(sandbox, alice, builders.sandbox_host(sandbox, slug))
    new = sandbox.mint(slug, "octo-alice", "personal_token", ["read_user"])

    replace(credential, new.token)

    assert live(sandbox, slug) == {old.id, new.id}, "nothing is asked while the page waits"
    made = Revocation.objects.get()
    assert (made.reason, made.credential_id, made.generation) == ("replaced", credential.pk, 1)
    clock.step(minutes=1)
    due(clock)
    assert (fresh(made).state, live(sandbox, slug)) == ("revoked", {new.id})


def test_the_same_token_pasted_again_is_no_replacement(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    credential, minted = store(sandbox, alice, host)
    replace(credential, minted.token)
    connect.connect_token(
        actor=builders.SYSTEM, owner=alice, host=host, entry=ManualEntry(token=Secret(minted.token))
    )
    assert not Revocation.objects.exists()


def test_a_token_that_is_put_back_before_the_duty_came_is_spared(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    credential, first = store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    second = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    credential = replace(credential, second.token)
    replace(credential, first.token)

    clock.step(minutes=1)
    due(clock)

    assert live(sandbox, "github") == {first.id}


@pytest.mark.parametrize("slug", ["github", "gitlab"])
def test_a_reconnect_ends_the_old_grant_and_not_the_new_one(
    sandbox: RunningSandbox, alice: User, clock: Clock, slug: str
) -> None:
    host = builders.sandbox_host(sandbox, slug)
    mine = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice))).credential
    (old,) = live(sandbox, slug)
    confirm(alice, receive(alice, host, grant_for(sandbox, host, alice)))

    clock.step(minutes=3)
    assert due(clock) == 1

    (new,) = live(sandbox, slug)
    assert new != old
    assert Revocation.objects.get().state == "revoked"
    if slug == "gitlab":
        mine.refresh_from_db()
        refresh = vault.open_credential(mine, field="refresh", record=lambda: None)
        secret = oauth.open_client_secret(host, actor=builders.SYSTEM, purpose="test")
        assert oauth.renew(host=host, refresh=refresh, client_secret=secret).access


def test_what_its_owner_declines_is_revoked(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    waiting = receive(alice, host, grant_for(sandbox, host, alice))
    pending.cancel(actor=Actor.user(alice), pending=waiting, now=clock())
    pending.cancel(actor=Actor.user(alice), pending=waiting, now=clock())

    clock.step(minutes=3)
    assert due(clock) == 1
    assert (Revocation.objects.get().reason, grants(sandbox, "gitlab")) == ("declined", 0)


def test_what_nobody_confirms_in_time_is_revoked(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    receive(alice, host, grant_for(sandbox, host, alice))
    clock.step(minutes=11)

    assert pending.drop_expired(actor=builders.SYSTEM, now=clock()) == 1

    assert not PendingConnection.objects.exists()
    assert due(clock) == 1
    assert grants(sandbox, "gitlab") == 0


def test_what_a_stranger_granted_is_given_back(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    mine = confirm(alice, receive(alice, host, grant_for(sandbox, host, alice))).credential
    with pytest.raises(TokenNotAccepted):
        receive(alice, host, grant_for(sandbox, host, alice, person="octo-bob"), reconnects=mine)

    clock.step(minutes=3)
    assert due(clock) == 1
    assert [grant["account"] for grant in sandbox.control("gitlab", "GET", "grants")["grants"]] == [
        "octo-alice"
    ]


def test_what_was_confirmed_is_not_given_back(sandbox: RunningSandbox, alice: User, clock: Clock) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    confirm(alice, receive(alice, host, grant_for(sandbox, host, alice)))
    clock.step(minutes=30)
    pending.drop_expired(actor=builders.SYSTEM, now=clock())
    assert due(clock) == 0
    assert grants(sandbox, "gitlab") == 1
