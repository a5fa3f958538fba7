"""Lending: what is found, what is refused, and that no secret leaves without its event."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import (
    AuditUnavailable,
    InputInvalid,
    KeyUnavailable,
    NotAuthenticated,
    NoUsableCredential,
    PermissionRefused,
)
from credentials.models import AuditEvent, Lease, Scope, Status
from credentials.services import clients, lend, lend_statements, vault
from credentials.services.choice import Reason
from credentials.services.lend import LeaseRequest
from credentials.verdicts import VerdictCode
from tests import builders

pytestmark = pytest.mark.django_db

REPOSITORY = "http://127.0.0.1:9/acme/cases.git"


def ask(
    key: Secret, *, address: str = "127.0.0.1", preview: bool = False, **request: Any
) -> lend.LentCredential:
    """Borrow for alice and for acme/cases, unless the test says otherwise."""
    values: dict[str, Any] = {
        "user": "alice",
        "purpose": "import 42",
        "repository_url": REPOSITORY,
        **request,
    }
    walk = lend.preview if preview else lend.lend
    return walk(
        key=clients.parse_key(key.reveal()), request=LeaseRequest(**values), address=address, request_id="r-1"
    )


def test_a_client_borrows_the_only_credential_and_gets_the_git_login(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), token="ghp_the-token")
    _, key = builders.client()

    lent = ask(key)

    assert lent.password is not None
    assert lent.password.reveal() == "ghp_the-token"
    assert lent.username == "x-access-token"
    assert lent.candidate.id == credential.pk
    assert lent.chosen_because == Reason.ONLY_ONE
    lease = Lease.objects.get()
    assert lease.pk == lent.lease_id
    assert (lease.purpose, lease.repository_url) == ("import 42", "http://127.0.0.1:9/acme/cases")


def test_the_lease_is_in_the_trail_with_client_owner_repository_and_purpose(alice: User) -> None:
    builders.credential(alice, builders.host(), label="work")
    client, key = builders.client()

    lent = ask(key, reference="job-7")

    event = AuditEvent.objects.get(action="lease.created")
    assert (event.actor_kind, event.actor_name, event.actor_id) == ("client", client.name, str(client.pk))
    assert (event.owner_name, event.subject_name, event.host) == ("alice", "work", "github")
    assert (event.repository, event.purpose, event.reference) == (
        "http://127.0.0.1:9/acme/cases",
        "import 42",
        "job-7",
    )
    assert (event.request_id, event.address) == ("r-1", "127.0.0.1")
    assert event.data["lease"] == str(lent.lease_id)


@pytest.mark.parametrize("crowd", [1, 60])
def test_a_common_lease_takes_at_most_three_statements_whatever_the_crowd(alice: User, crowd: int) -> None:
    host = builders.host()
    for number in range(crowd):
        held = builders.credential(alice, host, token=f"ghp_{number:036}")
        builders.access(held, "acme", state="accessible")
        builders.client(f"client {number}")
    builders.credential(builders.user("dora"), host)
    _, key = builders.client()
    ask(key)  # the purpose keys are read once per process

    with CaptureQueriesContext(
        connection,
    ) as captured:
        ask(key)

    statements = [
        query["sql"]
        for query in captured.captured_queries
        if not query["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))
    ]
    assert len(statements) <= 3, statements


@pytest.mark.django_db(transaction=True)
def test_nothing_is_opened_where_the_event_cannot_be_written(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.access(builders.credential(alice, builders.host()), "acme", state="accessible")
    _, key = builders.client()
    opened: list[object] = []
    monkeypatch.setattr(vault, "unseal_after_audit", lambda *args: opened.append(args))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_auditevent RENAME TO set_aside")
    try:
        with pytest.raises(AuditUnavailable):
            ask(key)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_auditevent")

    assert opened == []
    assert not Lease.objects.exists()


def test_a_lease_inside_another_transaction_is_refused_because_it_could_roll_back(alice: User) -> None:
    with transaction.atomic():
        builders.credential(alice, builders.host())
        _, key = builders.client()
        with pytest.raises(RuntimeError, match="inside another transaction"):
            ask(key)


def test_a_credential_that_changed_between_the_two_statements_is_not_lent(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    real = lend_statements.insert

    def quarantined_meanwhile(*args: Any, **kwargs: Any) -> bool:
        type(credential).objects.filter(pk=credential.pk).update(status=Status.QUARANTINED)
        return real(*args, **kwargs)

    monkeypatch.setattr(lend_statements, "insert", quarantined_meanwhile)

    with pytest.raises(NoUsableCredential):
        ask(key)

    assert not Lease.objects.exists()
    assert not AuditEvent.objects.filter(action="lease.created").exists()


def test_a_preview_makes_no_lease_and_opens_nothing(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    lent = ask(key, preview=True)

    assert lent.password is None
    assert lent.lease_id is None
    assert not Lease.objects.exists()


# --- Who may ask --------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused(alice: User) -> None:
    builders.client()
    _, other = clients._new_key()

    with pytest.raises(NotAuthenticated):
        ask(other)


def test_a_known_public_id_with_another_secret_is_refused(alice: User) -> None:
    _, key = builders.client()
    body = key.reveal()[:-52]
    forged = body + "A" * 43
    with pytest.raises(NotAuthenticated):
        ask(Secret(forged + clients._checksum(forged)))


def test_a_revoked_and_an_expired_key_are_refused(alice: User) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    _, old = builders.client("old", expires_at=timezone.now() - timedelta(seconds=1))
    clients.revoke(actor=builders.SYSTEM, client=client, now=timezone.now())

    for refused in (key, old):
        with pytest.raises(NotAuthenticated):
            ask(refused)


def test_a_key_without_the_lend_scope_is_refused(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client(scopes=[Scope.CREDENTIALS_READ])

    with pytest.raises(PermissionRefused, match="credentials:lend"):
        ask(key)


def test_a_key_from_another_network_is_refused(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client(allowed_networks=["10.1.0.0/16"])

    assert ask(key, address="10.1.2.3").password
    with pytest.raises(PermissionRefused):
        ask(key, address="10.2.0.1")


def test_a_client_confined_to_one_host_borrows_nothing_at_another(alice: User) -> None:
    builders.credential(alice, builders.host())
    builders.host("gitlab")
    _, key = builders.client(hosts=["gitlab"])

    with pytest.raises(NoUsableCredential):
        ask(key)


# --- What is found ------------------------------------------------------------------------------------


def test_another_users_credential_is_never_lent(alice: User, bob: User) -> None:
    builders.credential(bob, builders.host())
    _, key = builders.client()

    with pytest.raises(NoUsableCredential) as refused:
        ask(key)

    assert refused.value.verdict.code is VerdictCode.NO_CREDENTIAL
    with pytest.raises(NoUsableCredential):
        ask(key, repository_url="", credential=bob.credentials.get().pk)


def test_a_deactivated_user_lends_nothing(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    alice.is_active = False
    alice.save()

    with pytest.raises(NoUsableCredential):
        ask(key)


def test_a_credential_never_crosses_hosts(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    for other in (
        "https://127.0.0.1:9/acme/cases",
        "http://127.0.0.1:10/acme/cases",
        "http://127.0.0.2:9/acme/cases",
        "http://localhost:9/acme/cases",
    ):
        with pytest.raises(NoUsableCredential) as refused:
            ask(key, repository_url=other)
        assert refused.value.verdict.code is VerdictCode.HOST_UNKNOWN


def test_a_host_below_a_path_is_matched_by_whole_segments(alice: User) -> None:
    builders.credential(alice, builders.host("gitlab", web_url="http://127.0.0.1:9/git"), token="glpat-x")
    _, key = builders.client()

    assert ask(key, repository_url="http://127.0.0.1:9/git/acme/cases").password
    for other in ("http://127.0.0.1:9/git-evil/acme/cases", "http://127.0.0.1:9/acme/cases"):
        with pytest.raises(NoUsableCredential):
            ask(key, repository_url=other)


def test_an_organization_wins_by_its_longest_run_of_whole_segments(alice: User) -> None:
    host = builders.host("gitlab", web_url="http://127.0.0.1:9")
    wide = builders.credential(alice, host, token="glpat-wide")
    deep = builders.credential(alice, host, token="glpat-deep")
    evil = builders.credential(alice, host, token="glpat-evil")
    for credential, organization in ((wide, "acme"), (deep, "acme/team"), (evil, "acme/tea")):
        builders.access(credential, organization, state="accessible")
    _, key = builders.client()

    lent = ask(key, repository_url="http://127.0.0.1:9/Acme/Team/cases")

    assert lent.candidate.id == deep.pk
    assert lent.chosen_because == Reason.ORGANIZATION_MATCHES
    assert {judged.reason for judged in lent.judged} == {Reason.ORGANIZATION_MATCHES, Reason.NOT_CHOSEN}


def test_the_account_that_owns_the_path_wins_over_a_more_recent_one(alice: User) -> None:
    host = builders.host()
    own = builders.credential(alice, host, token="ghp_own", account_name="Acme")
    builders.credential(alice, host, token="ghp_new", account_name="other")
    _, key = builders.client()

    lent = ask(key)

    assert lent.candidate.id == own.pk
    assert lent.chosen_because == Reason.ACCOUNT_MATCHES


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.EXPIRED, VerdictCode.TOKEN_EXPIRED),
        (Status.REJECTED, VerdictCode.TOKEN_REJECTED),
        (Status.RECONNECT_REQUIRED, VerdictCode.RECONNECT_REQUIRED),
        (Status.QUARANTINED, VerdictCode.NO_CREDENTIAL),
    ],
)
def test_a_dead_credential_is_refused_with_what_to_do(alice: User, status: Status, code: VerdictCode) -> None:
    builders.credential(alice, builders.host(), status=status)
    _, key = builders.client()

    with pytest.raises(NoUsableCredential) as refused:
        ask(key)

    assert refused.value.verdict.code is code
    assert AuditEvent.objects.get(action="lease.refused").data["verdict"] == code


@pytest.mark.parametrize("status", [Status.VALID, Status.LIMITED, Status.EXPIRING, Status.UNVERIFIED])
def test_a_credential_that_may_work_is_lent(alice: User, status: Status) -> None:
    builders.credential(alice, builders.host(), status=status)
    _, key = builders.client()

    assert ask(key).password


def test_a_token_that_ends_before_the_job_is_passed_over_for_one_that_lasts(alice: User) -> None:
    host = builders.host()
    soon = builders.credential(
        alice, host, token="ghp_soon", expires_at=timezone.now() + timedelta(seconds=200)
    )
    lasting = builders.credential(alice, host, token="ghp_lasting")
    _, key = builders.client()

    lent = ask(key)

    assert lent.candidate.id == lasting.pk
    reasons = {judged.candidate.id: judged.reason for judged in lent.judged}
    assert reasons[soon.pk] is Reason.EXPIRES_TOO_SOON
    assert ask(key, repository_url="", credential=soon.pk, min_valid_seconds=100).password


def test_a_host_by_its_slug_is_enough_where_no_path_is_known(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    assert ask(key, repository_url="", host="github").password
    assert ask(key, repository_url="http://127.0.0.1:9").password


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": "  "},
        {"host": "github"},
        {"repository_url": ""},
        {"min_valid_seconds": -1},
        {"min_valid_seconds": 90_000},
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused(alice: User, wrong: dict[str, Any]) -> None:
    _, key = builders.client()

    with pytest.raises(InputInvalid):
        ask(key, **wrong)


def test_a_missing_key_ring_is_said_and_leaves_no_lease(alice: User, settings: Any) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    settings.CREDENTIALS_KEY_SOURCE = "file:/nonexistent/forgekey/ring"
    vault.forget()

    with pytest.raises(KeyUnavailable):
        ask(key)

    assert not Lease.objects.exists()
