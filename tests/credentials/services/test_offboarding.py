"""Offboarding: nothing is lent from the first commit on, each credential gets a receipt, and killing it anywhere
loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import ForgekeyError, InputInvalid, NoUsableCredential
from credentials.models import (
    AuditEvent,
    Credential,
    Lease,
    PendingConnection,
    QuarantineReason,
    Revocation,
    RevocationState,
    Status,
)
from credentials.providers.tokens import Kind
from credentials.services import (
    audit,
    clients,
    departures,
    disconnect,
    handing_over,
    lend,
    offboarding,
    pending,
    quarantine,
    vault,
    verify,
)
from credentials.services.offboarding import Dark, Offboarding, Outcome
from credentials.services.revocation import attempts
from credentials.verdicts import VerdictCode
from tests import builders
from tests.credentials.services.stored import fresh, store
from tests.sandbox import Minted, RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


def leave(user: User, *, hand_over: dict[Any, User] | None = None, revoke: bool = True) -> Offboarding:
    return offboarding.offboard(
        actor=builders.SYSTEM, user=user, hand_over=hand_over or {}, revoke=revoke, reason="left the firm"
    )


def borrow(key: Secret, credential: Credential, **more: str) -> Lease:
    at: dict[str, Any] = more or {"credential": credential.pk}
    request = lend.LeaseRequest(user=credential.owner.username, purpose="import 42", **at)
    lent = lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1")
    assert lent.lease_id is not None
    return Lease.objects.get(pk=lent.lease_id)


def outcomes(done: Offboarding) -> dict[Any, Outcome]:
    return {one.id: one.outcome for one in done.credentials}


def works(host: Any, minted: Minted, owner: User, kind: Kind = Kind.PERSONAL_TOKEN) -> bool:
    """Whether the host takes the token, asked as somebody else."""
    again = builders.credential(owner, host, token=minted.token, kind=kind, email=minted.email)
    found = verify.verify(actor=builders.SYSTEM, credential=again, purpose="test").code
    Credential.objects.filter(pk=again.pk).delete()
    return found is VerdictCode.OK


def test_every_token_is_dead_or_somebody_is_told_where_to_end_it(
    sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    made = {}
    for slug in ("github", "gitlab", "bitbucket"):
        host = builders.sandbox_host(sandbox, slug)
        made[slug] = (host, *store(sandbox, alice, host, account_name="octo-alice"))

    done = leave(alice)

    told = {one.host: (one.outcome, bool(one.manual_url)) for one in done.credentials}
    assert told == {
        "github": (Outcome.REVOKED, False),
        "gitlab": (Outcome.REVOKED, False),
        "bitbucket": (Outcome.MANUAL, True),
    }
    assert (done.user, done.is_active) == ("alice", False)
    for slug in ("github", "gitlab"):
        host, _credential, minted = made[slug]
        assert not works(host, minted, bob)
    assert set(Credential.objects.filter(owner=alice).values_list("status", flat=True)) == {
        Status.DISCONNECTED
    }
    assert [event.data["reason"] for event in AuditEvent.objects.filter(action="user.offboarded")] == [
        "left the firm"
    ]


def test_the_person_is_signed_out_everywhere_and_comes_back_to_nothing(alice: User) -> None:
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(alice)
        assert browser.get("/").status_code == 200

    leave(alice)

    assert [browser.get("/").status_code for browser in browsers] == [302, 302]
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert [browser.get("/").status_code for browser in browsers] == [302, 302], "a session came back"


def test_nothing_is_lent_while_the_hosts_are_still_asked(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    lease = borrow(key, credential)

    departures.stop(actor=builders.SYSTEM, user=alice, now=timezone.now())

    with pytest.raises(NoUsableCredential):
        borrow(key, credential)
    lease.refresh_from_db()
    assert lease.ended_at is not None


def test_what_waits_for_confirmation_is_revoked_too(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "oauth", ["repo"])
    waiting = builders.pending(alice, host, token=minted.token)

    leave(alice)

    assert not PendingConnection.objects.exists()
    attempts.attempt_due(actor=builders.SYSTEM)
    assert Revocation.objects.get().state == RevocationState.REVOKED
    with pytest.raises(ForgekeyError):
        pending.get(user=alice, pending_id=waiting.pk, now=timezone.now())


# --- What depends on it --------------------------------------------------------------------------------


def test_who_borrowed_lately_is_told_with_the_last_purpose(alice: User) -> None:
    host, (_c, key) = builders.host(), builders.client()
    credential = builders.credential(alice, host)
    builders.access(credential, "acme", state="accessible")
    lease = borrow(key, credential, repository_url="http://127.0.0.1:9/acme/cases")
    borrow(key, credential, repository_url="http://127.0.0.1:9/acme/cases")
    long_ago = borrow(key, credential, repository_url="http://127.0.0.1:9/acme/old")
    Lease.objects.filter(pk=long_ago.pk).update(created_at=timezone.now() - timedelta(days=91))

    (dependent,) = leave(alice).depends_on

    assert (dependent.client, dependent.repository, dependent.purpose, dependent.credential) == (
        "backend",
        lease.repository_url,
        "import 42",
        credential.pk,
    )
    assert dependent.is_active, "a job may be running with it"


def test_organizations_that_nobody_else_opens_go_dark(alice: User, bob: User, charlie: User) -> None:
    host = builders.host()
    hers = builders.credential(alice, host)
    his = builders.credential(bob, host, token="ghp_" + "b" * 36)
    gone = builders.credential(charlie, host, token="ghp_" + "c" * 36)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    for key, others in (("only-hers", None), ("shared", his), ("of-nobody-else", gone)):
        builders.access(hers, key, state="accessible", name=key.title())
        if others:
            builders.access(others, key, state="accessible")
    builders.access(hers, "closed", state="sso_required")

    done = leave(alice)

    expected = (
        Dark(host="github", key="of-nobody-else", name="Of-Nobody-Else"),
        Dark(host="github", key="only-hers", name="Only-Hers"),
    )
    assert done.organizations == expected
    assert leave(alice).organizations == expected, "a second call tells it as well"


# --- Handing over, keeping ------------------------------------------------------------------------------


def test_what_is_handed_over_works_for_its_new_owner_and_the_rest_is_revoked(
    sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    given, _ = store(sandbox, alice, host, account_name="octo-alice")
    ended, minted = store(sandbox, alice, host)
    builders.access(given, "acme", state="accessible")
    before = bytes(given.access_envelope or b""), given.binding("access")

    done = leave(alice, hand_over={given.pk: bob})

    assert outcomes(done) == {given.pk: Outcome.HANDED_OVER, ended.pk: Outcome.REVOKED}
    assert done.organizations == (), "acme stays open through bob"
    row = fresh(given)
    assert (row.owner, row.status, row.generation) == (bob, Status.UNVERIFIED, given.generation + 1)
    assert row.organizations.filter(organization__key="acme").exists()
    verify.verify(actor=builders.SYSTEM, credential=row, purpose="test")
    assert fresh(row).status == Status.VALID
    _, key = builders.client()
    assert borrow(key, fresh(row)).credential_id == row.pk
    with pytest.raises(ForgekeyError):
        vault.unseal_after_audit(bytes(row.access_envelope or b""), before[1])
    assert not works(host, minted, bob)


def test_without_revoking_everything_stays_quarantined_until_somebody_decides(alice: User, bob: User) -> None:
    credential = builders.credential(alice, builders.host())

    done = leave(alice, revoke=False)

    assert outcomes(done) == {credential.pk: Outcome.QUARANTINED}
    assert fresh(credential).quarantine_reason == QuarantineReason.KEPT
    assert offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now()) == 0
    assert fresh(credential).access_envelope is not None

    assert outcomes(leave(alice, hand_over={credential.pk: bob})) == {credential.pk: Outcome.HANDED_OVER}
    assert fresh(credential).owner == bob


@pytest.mark.parametrize("reason", [QuarantineReason.PANIC, QuarantineReason.ADMINISTRATOR])
def test_what_was_stopped_before_is_kept_and_still_not_handed_over(
    alice: User, bob: User, reason: QuarantineReason
) -> None:
    credential = builders.credential(alice, builders.host())
    quarantine.quarantine(actor=builders.SYSTEM, credential=credential, reason=reason, now=timezone.now())

    leave(alice, revoke=False)

    with pytest.raises(InputInvalid):
        leave(alice, hand_over={credential.pk: bob})
    assert fresh(credential).quarantine_reason == reason
    assert offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now()) == 0
    assert outcomes(leave(alice)) == {credential.pk: Outcome.PENDING}, "somebody has decided"


@pytest.mark.parametrize("reason", [QuarantineReason.PANIC, QuarantineReason.ADMINISTRATOR])
def test_the_duty_closes_what_was_stopped_before_its_owner_left(
    alice: User, reason: QuarantineReason
) -> None:
    credential = builders.credential(alice, builders.host())
    quarantine.quarantine(actor=builders.SYSTEM, credential=credential, reason=reason, now=timezone.now())
    alice.is_active = False
    alice.save()

    assert offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now()) == 1


def test_a_wrong_list_changes_nothing(alice: User, bob: User, charlie: User) -> None:
    host = builders.host()
    hers = builders.credential(alice, host)
    his = builders.credential(bob, host, token="ghp_" + "b" * 36)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    charlie.refresh_from_db()

    for wrong in ({hers.pk: charlie}, {hers.pk: alice}, {his.pk: charlie}, {builders.uuid4(): bob}):
        with pytest.raises(InputInvalid):
            leave(alice, hand_over=wrong)

    alice.refresh_from_db()
    assert alice.is_active
    assert fresh(hers).status == Status.VALID


def test_a_second_call_tells_how_it_stands_and_records_nothing_more(
    sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    given, _ = store(sandbox, alice, host)
    store(sandbox, alice, host)
    first = leave(alice, hand_over={given.pk: bob})
    asked, events = len(sandbox.calls("github")), AuditEvent.objects.count()

    again = leave(alice, hand_over={given.pk: bob})

    assert outcomes(again) == outcomes(first)
    assert (len(sandbox.calls("github")), AuditEvent.objects.count()) == (asked, events)


def test_a_host_that_does_not_answer_leaves_it_to_the_worker(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), kind=Kind.PERSONAL_TOKEN)

    done = leave(alice)

    assert outcomes(done) == {credential.pk: Outcome.PENDING}
    assert fresh(credential).access_envelope is None


def test_how_it_stands_takes_as_many_queries_for_many_as_for_one(alice: User) -> None:
    host = builders.host("gitea")
    counted = []
    for number in range(3):
        held = builders.credential(alice, host, token=f"token-{number}", kind=Kind.OAUTH)
        for one in range(number + 1):
            builders.access(held, f"group-{number}-{one}", state="accessible")
        leave(alice)
        with CaptureQueriesContext(connection) as asked:
            told = offboarding.standing(user=alice)
        counted.append((len(told.credentials), len(told.organizations), len(asked)))

    assert [(rows, dark) for rows, dark, _queries in counted] == [(1, 1), (2, 2), (3, 3)]
    assert len({queries for _rows, _dark, queries in counted}) == 1


# --- Killed anywhere -----------------------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had gone."""


def _die(*args: object, **values: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (disconnect, "close"),
        (attempts, "attempt"),
        (handing_over, "_store"),
        (audit, "record_durably"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.django_db(transaction=True)
def test_what_a_killed_process_leaves_is_carried_on(
    sandbox: RunningSandbox, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    given, _ = store(sandbox, alice, host)
    ended, minted = store(sandbox, alice, host)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, _die)
        with pytest.raises(Killed):
            leave(alice, hand_over={given.pk: bob})

    assert not User.objects.get(pk=alice.pk).is_active
    assert {fresh(given).status, fresh(ended).status} <= {
        Status.QUARANTINED,
        Status.DISCONNECTED,
        Status.UNVERIFIED,
    }
    offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now())
    attempts.attempt_due(actor=builders.SYSTEM)

    assert fresh(ended).status == Status.DISCONNECTED
    assert not works(host, minted, bob)
    assert fresh(given).access_envelope is not None, "what was to be handed over was not revoked"
    done = leave(User.objects.get(pk=alice.pk), hand_over={given.pk: bob})
    assert outcomes(done) == {given.pk: Outcome.HANDED_OVER, ended.pk: Outcome.REVOKED}


# --- The duty ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("withdrawn", [Status.VALID, Status.EXPIRED, Status.QUARANTINED])
def test_the_duty_closes_what_inactive_people_hold_however_they_became_inactive(
    alice: User, bob: User, withdrawn: Status
) -> None:
    host = builders.host()
    credential = builders.credential(alice, host, status=withdrawn)
    other = builders.credential(bob, host, token="ghp_" + "b" * 36)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now()) == 1
    assert offboarding.close_inactive(actor=builders.SYSTEM, now=timezone.now()) == 0

    assert fresh(credential).status == Status.DISCONNECTED
    assert Revocation.objects.get().reason == "offboarded"
    assert fresh(other).status == Status.VALID
