"""Disconnecting: closed here before anybody is asked, and a receipt that says what is left to do there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Lease, RevocationReason, Status
from credentials.providers.facts import Revocation, RevocationResult
from credentials.providers.tokens import Kind
from credentials.services import disconnect, vault, verify
from credentials.services.audit import Actor
from credentials.services.revocation import attempts
from credentials.verdicts import VerdictCode
from tests import builders
from tests.credentials.providers.loopback import Reply, Server
from tests.credentials.services.stored import fresh, host_at, meanwhile, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def leave(credential: Credential, owner: User) -> RevocationResult:
    return disconnect.disconnect(actor=Actor.user(owner), credential=credential)


def told() -> list[tuple[str, object]]:
    """What the trail says, without how the tests began."""
    events = AuditEvent.objects.exclude(actor_name="tests").order_by("seq")
    return [(event.action, event.data.get("revocation") or event.purpose) for event in events]


@pytest.mark.parametrize(
    ("slug", "kind", "outcome"),
    [
        ("github", Kind.PERSONAL_TOKEN, Revocation.REVOKED),
        ("github", Kind.OAUTH, Revocation.REVOKED),
        ("gitlab", Kind.PERSONAL_TOKEN, Revocation.REVOKED),
        ("gitlab", Kind.OAUTH, Revocation.REVOKED),
        ("bitbucket", Kind.API_TOKEN, Revocation.MANUAL),
        ("gitea", Kind.PERSONAL_TOKEN, Revocation.MANUAL),
    ],
)
def test_the_token_is_dead_afterwards_or_the_receipt_says_where_to_end_it(
    sandbox: RunningSandbox, alice: User, slug: str, kind: Kind, outcome: Revocation
) -> None:
    host = builders.sandbox_host(sandbox, slug)
    credential, minted = store(sandbox, alice, host, kind=kind)

    receipt = leave(credential, alice)

    assert receipt.outcome is outcome
    again = builders.credential(alice, host, token=minted.token, kind=kind, email=minted.email)
    code = verify.verify(actor=builders.SYSTEM, credential=again, purpose="test").code
    if outcome is Revocation.MANUAL:
        assert receipt.manual_url
        assert code is VerdictCode.OK
    else:
        assert receipt.manual_url == ""
        assert code in {VerdictCode.TOKEN_REJECTED, VerdictCode.TOKEN_REVOKED}


def test_nothing_of_the_secret_and_of_what_it_reached_stays(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), account_name="octo-alice")
    builders.access(credential, "acme", state="accessible")
    generation = credential.generation

    leave(credential, alice)

    row = fresh(credential)
    assert row.status == Status.DISCONNECTED
    assert (row.access_envelope, row.refresh_envelope, row.fingerprint, row.key_id) == (None, None, None, "")
    assert row.disconnected_at is not None
    assert row.generation > generation, "an envelope out of a backup does not open here any more"
    assert not row.organizations.exists()
    assert row.account_name == "octo-alice", "the trail's names stay readable"


def test_what_is_borrowed_ends_with_the_connection(alice: User) -> None:
    client, _ = builders.client()
    credential = builders.credential(alice, builders.host())
    now = timezone.now()
    lease = Lease.objects.create(
        client=client,
        credential=credential,
        purpose="build",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )

    leave(credential, alice)

    lease.refresh_from_db()
    assert lease.ended_at is not None
    assert not lease.is_active(timezone.now())


def test_the_host_may_be_gone(alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    receipt = leave(credential, alice)

    assert receipt == RevocationResult(
        outcome=Revocation.PENDING, manual_url="http://127.0.0.1:9/settings/tokens"
    )
    assert told() == [
        ("credential.disconnected", ""),
        ("credential.revocation", "ask the host"),
        ("credential.revocation", "pending"),
    ]


def test_its_key_may_be_gone_and_come_back(own_key_file: Path, sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    kept = vault.primary_key_id()
    builders.new_first_key(own_key_file)
    whole = own_key_file.read_text("ascii")
    credential, _minted = store(sandbox, alice, host)
    builders.lose_all_keys_but(own_key_file, kept)

    assert leave(credential, alice).outcome is Revocation.PENDING
    assert fresh(credential).status == Status.DISCONNECTED
    assert sandbox.control("github", "GET", "grants")["count"] == 1

    own_key_file.write_text(whole, encoding="ascii")
    vault.forget()
    assert attempts.attempt_due(actor=builders.SYSTEM, now=lambda: timezone.now() + timedelta(minutes=2)) == 1
    assert sandbox.control("github", "GET", "grants")["count"] == 0


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lent_any_more_while_the_host_is_still_asked(alice: User) -> None:
    seen: list[str] = []

    def look() -> None:
        row = Credential.objects.get()
        seen.append(row.status)
        assert row.access_envelope is None

    with Server(meanwhile(look, Reply(status=202))) as server:
        leave(builders.credential(alice, host_at(server.url)), alice)

    assert seen == [Status.DISCONNECTED]


def test_a_second_time_asks_nobody_and_records_nothing(alice: User) -> None:
    with Server(lambda seen: Reply(status=202)) as server:
        credential = builders.credential(alice, host_at(server.url))
        leave(credential, alice)
        asked, before = len(server.seen), told()

        assert leave(fresh(credential), alice).outcome is Revocation.PENDING, "the receipt of the first time"

        assert (len(server.seen), told()) == (asked, before)


@pytest.mark.parametrize(
    ("kind", "opened"), [(Kind.OAUTH, True), (Kind.APP_TOKEN, True), (Kind.PERSONAL_TOKEN, False)]
)
def test_the_client_secret_is_opened_for_tokens_of_the_hosts_own_app_only(
    sandbox: RunningSandbox, alice: User, kind: Kind, opened: bool
) -> None:
    credential = builders.credential(alice, builders.sandbox_host(sandbox, "github"), kind=kind)

    leave(credential, alice)

    assert (("host.client_secret_opened", "revocation") in told()) is opened


def test_a_host_without_an_app_leaves_its_old_oauth_tokens_to_their_owner(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), kind=Kind.OAUTH, oauth_client_id="gone")
    assert leave(credential, alice).outcome is Revocation.MANUAL


def killed_after_closing(credential: Credential) -> None:
    """What a process that dies between the two has done."""
    disconnect.close(actor=builders.SYSTEM, credential=credential, now=timezone.now())


def test_who_is_killed_between_closing_and_asking_leaves_it_to_the_duty(
    sandbox: RunningSandbox, alice: User
) -> None:
    credential, _minted = store(sandbox, alice, builders.sandbox_host(sandbox, "gitlab"))
    killed_after_closing(credential)
    assert fresh(credential).access_envelope is None
    assert sandbox.control("gitlab", "GET", "grants")["count"] == 1

    assert leave(credential, alice).outcome is Revocation.PENDING, "told again, not asked again"
    assert attempts.attempt_due(actor=builders.SYSTEM) == 1

    assert sandbox.control("gitlab", "GET", "grants")["count"] == 0
    assert leave(credential, alice) == RevocationResult(outcome=Revocation.REVOKED)


def test_the_reason_is_told_and_the_secret_goes_to_the_receipt_sealed(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    envelope = bytes(credential.access_envelope or b"")
    generation = credential.generation

    made = disconnect.close(
        actor=builders.SYSTEM, credential=credential, reason=RevocationReason.PANIC, now=timezone.now()
    )

    assert made is not None
    assert (made.reason, made.state, made.generation) == ("panic", "pending", generation)
    assert bytes(made.access_envelope or b"") == envelope, "moved, neither opened nor sealed anew"
    assert AuditEvent.objects.get(action="credential.disconnected").data["reason"] == "panic"
    assert not AuditEvent.objects.filter(action="credential.revocation").exists()


def test_a_refresh_under_way_leaves_its_doubt_to_the_receipt(alice: User) -> None:
    credential = builders.credential(
        alice, builders.host(), refreshing_since=timezone.now(), refreshing_by="worker-1"
    )
    made = disconnect.close(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    assert made is not None
    assert made.in_doubt
    assert fresh(credential).refreshing_since is None, "nobody waits for it any more"
