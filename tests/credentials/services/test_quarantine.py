"""Out of use at once, on every process; nobody's answer lifts it; put back by a person only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, ForgekeyError, NoUsableCredential
from credentials.models import (
    AuditEvent,
    Credential,
    Lease,
    Notice,
    QuarantineReason,
    Status,
)
from credentials.services import (
    clients,
    connect,
    diagnose,
    disconnect,
    leases,
    lend,
    organizations,
    quarantine,
    repositories,
    verify,
)
from credentials.services.connect import ManualEntry
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server
from tests.credentials.services.stored import fresh, host_at, meanwhile

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def queue_of_the_deployment(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


ADMINISTRATOR, PANIC = QuarantineReason.ADMINISTRATOR, QuarantineReason.PANIC


def stop(credential: Credential, reason: QuarantineReason = ADMINISTRATOR) -> Credential:
    return quarantine.quarantine(
        actor=builders.SYSTEM, credential=credential, reason=reason, now=timezone.now()
    )


def borrow(key: Secret, credential: Credential) -> lend.LentCredential:
    request = lend.LeaseRequest(user=credential.owner.username, purpose="import", credential=credential.pk)
    return lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1")


def running() -> int:
    return Lease.objects.filter(ended_at=None, expires_at__gt=timezone.now()).count()


def test_a_quarantined_credential_keeps_its_secret_and_nobody_borrows_it(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    sealed = bytes(credential.access_envelope or b"")
    _, key = builders.client()
    borrow(key, credential)

    stop(credential)

    row = fresh(credential)
    assert (row.status, row.quarantine_reason) == (Status.QUARANTINED, ADMINISTRATOR)
    assert bytes(row.access_envelope or b"") == sealed
    assert running() == 0
    with pytest.raises(NoUsableCredential):
        borrow(key, credential)
    event = AuditEvent.objects.get(action="credential.quarantined")
    assert event.data == {"reason": "administrator", "status_before": "valid"}
    assert Notice.objects.get(user=alice).code == "credential_quarantined"


def test_a_second_time_changes_and_records_nothing(alice: User) -> None:
    credential = stop(builders.credential(alice, builders.host()))

    stop(credential, PANIC)

    assert fresh(credential).quarantine_reason == ADMINISTRATOR
    assert AuditEvent.objects.filter(action="credential.quarantined").count() == 1


def test_what_was_disconnected_has_nothing_to_quarantine(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    disconnect.close(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    with pytest.raises(Conflict):
        stop(credential)


def test_a_repeated_request_gets_nothing_from_a_quarantined_credential(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    client, key = builders.client()
    lent = borrow(key, credential)
    assert lent.lease_id is not None

    stop(credential)

    with pytest.raises(Conflict):
        leases.reopen(client=client, lease_id=lent.lease_id, address="")
    assert not AuditEvent.objects.filter(action="lease.repeated").exists()


@pytest.mark.django_db(transaction=True)
def test_a_repeated_request_that_was_looked_up_a_moment_earlier_gets_nothing_either(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    client, key = builders.client()
    lent = borrow(key, credential)
    assert lent.lease_id is not None
    # The clock is asked first before anything is opened: there the quarantine comes in between.
    asked: list[int] = []

    def now() -> object:
        asked.append(1)
        if len(asked) == 2:
            stop(fresh(credential))
        return timezone.now()

    with pytest.raises(Conflict):
        leases.reopen(client=client, lease_id=lent.lease_id, address="", now=now)  # type: ignore[arg-type]
    assert len(asked) == 2
    assert not AuditEvent.objects.filter(action="lease.repeated").exists()


def _check(credential: Credential) -> object:
    return verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", by_hand=True)


def _check_organizations(credential: Credential) -> object:
    return organizations.refresh(actor=builders.SYSTEM, credential=credential)


def _check_due_organizations(credential: Credential) -> object:
    return organizations.check_due(actor=builders.SYSTEM)


def _look_into(credential: Credential) -> object:
    address = f"{credential.host.web_url}/acme/cases"
    return diagnose.diagnose(actor=builders.SYSTEM, user=credential.owner, repository_url=address)


def _list(credential: Credential) -> object:
    return repositories.page(actor=builders.SYSTEM, credential=credential)


def _check_later(credential: Credential) -> object:
    from credentials.services import queue  # noqa: PLC0415

    return queue.verify_credential.call(str(credential.pk))


USES = (_check, _check_organizations, _check_due_organizations, _look_into, _list, _check_later)


@pytest.mark.parametrize("use", USES)
def test_nothing_opens_a_quarantined_credential(alice: User, use: Callable[[Credential], object]) -> None:
    def refuse(seen: object) -> Reply:
        return Reply(status=404)

    with Server(refuse) as server:
        credential = builders.credential(alice, host_at(server.url))
        builders.access(credential, "acme", next_check_at=timezone.now() - timedelta(hours=1))
        stop(credential)

        with suppress(ForgekeyError):
            use(fresh(credential))

        assert not any("Authorization" in seen.headers for seen in server.seen)
    assert fresh(credential).status == Status.QUARANTINED
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


@pytest.mark.parametrize("use", [_check, _check_organizations, _list])
@pytest.mark.django_db(transaction=True)
def test_who_read_the_row_before_the_quarantine_opens_nothing_after_it(
    alice: User, use: Callable[[Credential], object]
) -> None:
    credential = builders.credential(alice, builders.host())
    stale = fresh(credential)
    stop(credential)

    with pytest.raises(Conflict):
        use(stale)

    assert not AuditEvent.objects.filter(action="credential.opened").exists()


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.django_db(transaction=True)
def test_no_answer_that_was_under_way_lifts_a_quarantine(alice: User, clock: Clock, status: int) -> None:
    reply = Reply(status=status, body=b'{"id": 1, "login": "octo-alice"}')
    with Server(meanwhile(lambda: stop(Credential.objects.get()), reply)) as server:
        credential = builders.credential(alice, host_at(server.url))
        verify.verify(actor=builders.SYSTEM, credential=credential, purpose="test", now=clock)

    assert fresh(credential).status == Status.QUARANTINED


def test_a_new_token_does_not_lift_a_quarantine(alice: User) -> None:
    credential = stop(builders.credential(alice, builders.host()))
    same, other = (ManualEntry(token=Secret("ghp_" + letter * 36)) for letter in "ab")

    with pytest.raises(Conflict):
        connect.connect_token(actor=builders.SYSTEM, owner=alice, host=credential.host, entry=same)
    with pytest.raises(Conflict):
        connect.replace_token(actor=builders.SYSTEM, credential=fresh(credential), entry=other)

    assert fresh(credential).status == Status.QUARANTINED


# --- Released ------------------------------------------------------------------------------------------


def test_what_is_released_is_unchecked_until_the_worker_has_checked_it(alice: User) -> None:
    credential = stop(builders.credential(alice, builders.host()))

    quarantine.release(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    row = fresh(credential)
    assert (row.status, row.quarantine_reason) == (Status.UNVERIFIED, "")
    assert AuditEvent.objects.get(action="credential.released").data["reason"] == "administrator"
    assert [notice.code for notice in Notice.objects.filter(user=alice, read_at=None)] == [
        "credential_released"
    ]
    _, key = builders.client()
    assert borrow(key, row).password is not None


def test_what_is_not_quarantined_is_not_released(alice: User) -> None:
    credential = builders.credential(alice, builders.host(), status=Status.EXPIRED)

    quarantine.release(actor=builders.SYSTEM, credential=credential, now=timezone.now())

    assert fresh(credential).status == Status.EXPIRED
    assert not AuditEvent.objects.filter(action="credential.released").exists()


def test_nothing_is_released_to_somebody_who_is_not_active(alice: User) -> None:
    credential = stop(builders.credential(alice, builders.host()))
    User.objects.filter(pk=alice.pk).update(is_active=False)

    with pytest.raises(Conflict):
        quarantine.release(actor=builders.SYSTEM, credential=credential, now=timezone.now())
    assert fresh(credential).status == Status.QUARANTINED


# --- In bulk -------------------------------------------------------------------------------------------


def many(owner: User, count: int) -> list[Credential]:
    host = builders.host()
    return [builders.credential(owner, host, token=f"ghp_{number:036}") for number in range(count)]


def test_many_take_a_few_statements_for_all_of_them(alice: User, django_assert_max_num_queries: Any) -> None:
    many(alice, 60)
    every = Credential.objects.order_by("pk")

    with django_assert_max_num_queries(60 + 8 if connection.vendor == "sqlite" else 8), transaction.atomic():
        taken = quarantine.withdraw(every, actor=builders.SYSTEM, reason=PANIC, now=timezone.now())

    assert len(taken) == 60
    assert Credential.objects.filter(status=Status.QUARANTINED, quarantine_reason=PANIC).count() == 60
    assert AuditEvent.objects.filter(action="credential.quarantined").count() == 60
    assert Notice.objects.filter(user=alice, code="credential_quarantined").count() == 60


def test_batches_go_on_until_nothing_is_left(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "BATCH", 4)
    held = many(alice, 10)
    stop(held[0])
    disconnect.close(actor=builders.SYSTEM, credential=held[1], now=timezone.now())
    seen: list[int] = []

    done = quarantine.quarantine_all(
        actor=builders.SYSTEM,
        credentials=Credential.objects.all(),
        reason=PANIC,
        now=timezone.now(),
        progress=seen.append,
    )

    assert (done, seen) == (8, [4, 8])
    assert fresh(held[0]).quarantine_reason == ADMINISTRATOR
    assert fresh(held[1]).status == Status.DISCONNECTED


# --- Against everybody who lends at the same moment ------------------------------------------------------


class Borrowers:
    """Threads, each with a connection of its own, that borrow as fast as they can until told to stop."""

    def __init__(self, key: Secret, credential: Credential, count: int = 4) -> None:
        self.answered: list[float] = []
        self.odd: list[BaseException] = []
        self._key, self._credential = key, credential
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _number in range(count)]

    def __enter__(self) -> Borrowers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    borrow(self._key, self._credential)
                except (Conflict, NoUsableCredential):
                    continue
                self.answered.append(timezone.now().timestamp())
        except BaseException as error:
            self.odd.append(error)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_no_lease_runs_whoever_was_lending_at_that_moment(alice: User) -> None:
    host, (_client, key) = builders.host(), builders.client()
    for number in range(15):
        credential = builders.credential(alice, host, token=f"ghp_{number:036}")
        with Borrowers(key, credential) as borrowers:
            while not borrowers.answered and not borrowers.odd:
                pass
            stop(credential)
            left = Lease.objects.filter(credential=credential, ended_at=None).count()
            lent = Lease.objects.filter(credential=credential).count()
        assert borrowers.odd == []
        assert left == 0
        assert Lease.objects.filter(credential=credential).count() == lent, "lent after the quarantine"


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite lets one writer in at a time")
@pytest.mark.django_db(transaction=True)
def test_a_lend_that_waits_for_the_quarantine_to_commit_lends_nothing(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    caught: list[BaseException | None] = []

    def lend_meanwhile() -> None:
        try:
            borrow(key, credential)
            caught.append(None)
        except BaseException as error:
            caught.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=lend_meanwhile)
    with transaction.atomic():
        rows = Credential.objects.filter(pk=credential.pk)
        quarantine.withdraw(rows, actor=builders.SYSTEM, reason=PANIC, now=timezone.now())
        thread.start()
        wait_until_blocked()
    thread.join()

    assert isinstance(caught[0], NoUsableCredential)
    assert not Lease.objects.exists()


def wait_until_blocked() -> None:
    """Until another connection waits for a lock."""
    for _try in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.02)")
    raise AssertionError("nobody waits")
