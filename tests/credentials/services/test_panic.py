"""The emergency stop: everything of the chosen hosts, nothing of any other, and it can be ended anywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.errors import NotFound, NoUsableCredential
from credentials.models import AuditEvent, Credential, Host, Notice, PendingConnection, Revocation, Status
from credentials.providers.tokens import Kind
from credentials.services import clients, disconnect, hosts, lend, panic, pending, quarantine
from tests import builders
from tests.credentials.providers.loopback import Reply, Seen, Server
from tests.credentials.services.stored import fresh, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)


def stop(*chosen: Host) -> int:
    return panic.stop(actor=builders.SYSTEM, chosen=chosen, now=timezone.now())


def revoke(*chosen: Host) -> int:
    return panic.revoke(actor=builders.SYSTEM, chosen=chosen)


def test_every_token_of_the_host_dies_and_the_other_hosts_go_on(
    sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    known = {slug: builders.sandbox_host(sandbox, slug) for slug in ("github", "gitlab", "bitbucket")}
    held = {
        slug: [store(sandbox, person, host)[0] for person in (alice, bob)] for slug, host in known.items()
    }
    stopped = (known["github"], known["bitbucket"])

    assert stop(*stopped) == 4
    assert Notice.objects.filter(code="credential_stopped").count() == 4
    assert revoke(*stopped) == 4

    told = panic.report(stopped)
    assert told.counts == {"github": {"revoked": 2}, "bitbucket": {"manual": 2}}
    assert {(one.user, one.host, bool(one.url)) for one in told.by_hand} == {
        ("alice", "bitbucket", True),
        ("bob", "bitbucket", True),
    }
    assert {fresh(one).status for one in held["gitlab"]} == {Status.VALID}
    assert {event.host for event in AuditEvent.objects.filter(action="host.panic")} == {"github", "bitbucket"}


def test_nothing_is_lent_before_the_first_host_is_asked(alice: User) -> None:
    _, key = builders.client()
    refused: list[str] = []

    def borrow(seen: Seen) -> Reply:
        try:
            for credential in Credential.objects.exclude(status=Status.DISCONNECTED):
                request = lend.LeaseRequest(user="alice", purpose="p", credential=credential.pk)
                with pytest.raises(NoUsableCredential):
                    lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1")
        finally:
            connection.close()
        refused.append(seen.path)
        return Reply(status=202)

    with Server(borrow) as server:
        host = builders.host(web_url=server.url, api_url=f"{server.url}/api/v3")
        for number in range(3):
            builders.credential(alice, host, token=f"ghp_{number:036}")
        stop(host)
        revoke(host)

    assert refused


def test_a_host_is_off_while_its_credentials_are_taken_one_batch_after_another(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "BATCH", 2)
    on, off = builders.host(), builders.host("gitlab")
    hosts.set_enabled(actor=builders.SYSTEM, host=off, enabled=False)
    for number in range(5):
        builders.credential(alice, on, token=f"ghp_{number:036}")
    _, key = builders.client()
    refused: list[str] = []

    def borrow(_done: int) -> None:
        request = lend.LeaseRequest(user="alice", purpose="p", host="github")
        with pytest.raises(NoUsableCredential) as error:
            lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1")
        refused.append(error.value.verdict.code)

    chosen = [Host.objects.get(pk=on.pk), Host.objects.get(pk=off.pk)]
    panic.stop(actor=builders.SYSTEM, chosen=chosen, now=timezone.now(), progress=borrow)

    assert refused == ["host_unknown"] * 3
    assert dict(Host.objects.values_list("slug", "is_enabled")) == {"github": True, "gitlab": False}


def test_what_waits_for_a_confirmation_there_is_revoked_and_elsewhere_it_goes_on_waiting(
    sandbox: RunningSandbox, alice: User
) -> None:
    host, other = (builders.sandbox_host(sandbox, slug) for slug in ("github", "gitlab"))
    minted = sandbox.mint("github", "octo-alice", "oauth", ["repo"])
    waiting = builders.pending(alice, host, token=minted.token)
    elsewhere = builders.pending(alice, other)

    stop(host)

    assert [*PendingConnection.objects.all()] == [elsewhere]
    with pytest.raises(NotFound):
        pending.get(user=alice, pending_id=waiting.pk, now=timezone.now())
    revoke(host)
    assert Revocation.objects.get().state == "revoked"


def test_a_second_run_finds_nothing_left_and_asks_nobody(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    store(sandbox, alice, host)
    stop(host)
    revoke(host)
    asked = len(sandbox.calls("gitlab"))

    assert (stop(host), revoke(host)) == (0, 0)

    assert len(sandbox.calls("gitlab")) == asked
    assert panic.report([host]).counts == {"gitlab": {"revoked": 1}}


def test_a_run_that_was_killed_is_carried_on_by_the_next(
    sandbox: RunningSandbox, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    for _number in range(6):
        store(sandbox, alice, host)
    stop(host)
    left = [3]
    close: Callable[..., object] = disconnect.close

    def dying(**values: object) -> object:
        if not left:
            raise KeyboardInterrupt
        left[0] -= 1
        if left[0] == 0:
            left.clear()
        return close(**values)

    monkeypatch.setattr(panic, "WORKERS", 1)
    with monkeypatch.context() as patched:
        patched.setattr(disconnect, "close", dying)
        with pytest.raises(KeyboardInterrupt):
            revoke(host)
    counts = panic.report([host]).counts["gitlab"]
    assert counts == {"revoked": 3, "quarantined": 3}

    assert revoke(host) == 3
    assert panic.report([host]).counts == {"gitlab": {"revoked": 6}}


def test_a_long_report_takes_no_more_queries_than_a_short_one(alice: User) -> None:
    host = builders.host("gitea")

    def report() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as asked:
            told = panic.report([host])
        return len(told.by_hand), len(asked)

    counted = []
    for number in range(3):
        builders.credential(alice, host, token=f"token-{number}", kind=Kind.OAUTH)
        stop(host)
        revoke(host)
        counted.append(report())

    assert [rows for rows, _queries in counted] == [1, 2, 3]
    assert len({queries for _rows, queries in counted}) == 1


def test_a_host_that_does_not_answer_is_left_to_the_worker(alice: User) -> None:
    host = builders.host("gitlab")
    builders.credential(alice, host, token="glpat-" + "a" * 20)

    stop(host)
    revoke(host)

    assert panic.report([host]).counts == {"gitlab": {"pending": 1}}
    assert Revocation.objects.get().access_envelope is not None


def test_to_disconnect_one_never_asks_for_its_host_or_its_owner_alone(alice: User) -> None:
    credential = builders.credential(alice, builders.host("gitlab"), token="glpat-" + "a" * 20)
    stop(credential.host)

    with CaptureQueriesContext(connection) as asked:
        panic._revoke_one(credential.pk, actor=builders.SYSTEM, now=timezone.now)

    alone = ('FROM "auth_user"', 'FROM "credentials_host"')
    assert [one["sql"] for one in asked if any(table in one["sql"] for table in alone)] == []


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_threads_do_everything_once_whatever_their_number(count: int) -> None:
    keys = [builders.uuid4() for _number in range(count)]
    done: list[object] = []

    assert sorted(panic._by_many(keys, done.append)) == sorted(keys)
    assert sorted(done) == sorted(keys)  # type: ignore[type-var]


def test_an_error_of_a_thread_is_not_lost() -> None:
    def fail(_key: object) -> None:
        raise RuntimeError("disk full")

    work: Callable[..., None] = fail
    with pytest.raises(RuntimeError, match="disk full"):
        list(panic._by_many([builders.uuid4() for _number in range(20)], work))
