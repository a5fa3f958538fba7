"""Who may take a credential for a refresh, and when: one at a time, and not from under a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import Credential, Lease, ServiceClient, Status
from credentials.services import audit, hosts, lend_statements
from credentials.services.logins import subject_of
from credentials.services.refresh import claim
from credentials.services.refresh.claim import Claim, Outcome, Result
from tests import builders
from tests.clock import Clock
from tests.credentials.services.refresh.grants import LIFE, gitlab_at, lease_of, pair
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db(transaction=True)

NEED = timedelta(minutes=30)


@pytest.fixture
def credential(alice: User) -> Credential:
    host = gitlab_at("http://127.0.0.1:9")
    return pair(alice, host, token="at-1", refresh="rt-1", ends=timedelta(minutes=4))


@pytest.fixture
def backend(db: None) -> ServiceClient:
    return builders.client()[0]


def take(credential: Credential, **options: Any) -> Claim | Result:
    values: dict[str, Any] = {"need": NEED, "distrust": None, "now": timezone.now}
    return claim.take(credential.pk, by=claim.new_mark(), **{**values, **options})


def outcome(credential: Credential, **options: Any) -> Outcome | None:
    taken = take(credential, **options)
    return taken.outcome if isinstance(taken, Result) else None


def test_a_claim_is_committed_with_its_mark_and_its_event(credential: Credential) -> None:
    taken = take(credential)
    assert isinstance(taken, Claim)
    assert not taken.interrupted
    row = fresh(credential)
    assert row.refreshing_by == taken.by
    assert row.refreshing_since is not None
    assert len(taken.by) <= 100


@pytest.mark.parametrize(
    "change",
    [
        {"status": Status.QUARANTINED},
        {"status": Status.RECONNECT_REQUIRED},
        {"status": Status.REJECTED},
        {"refresh_envelope": None},
    ],
)
def test_what_cannot_or_must_not_be_refreshed_is_not_taken(
    credential: Credential, change: dict[str, Any]
) -> None:
    Credential.objects.filter(pk=credential.pk).update(refresh_wanted_at=timezone.now(), **change)
    assert outcome(credential) is Outcome.NOT_POSSIBLE
    assert fresh(credential).refresh_wanted_at is None
    assert fresh(credential).refreshing_since is None


def test_nothing_is_refreshed_for_somebody_inactive_or_at_a_closed_host(
    credential: Credential, alice: User
) -> None:
    hosts.set_enabled(actor=builders.SYSTEM, host=credential.host, enabled=False)
    assert outcome(credential) is Outcome.NOT_POSSIBLE
    hosts.set_enabled(actor=builders.SYSTEM, host=credential.host, enabled=True)
    alice.is_active = False
    alice.save()
    assert outcome(credential) is Outcome.NOT_POSSIBLE


def test_a_credential_that_is_gone_is_no_error(credential: Credential) -> None:
    Credential.objects.all().delete()
    assert outcome(credential) is Outcome.NOT_POSSIBLE


def test_what_was_promised_while_the_clock_was_a_day_ahead_bars_no_token_for_a_day(
    credential: Credential, backend: ServiceClient
) -> None:
    lease_of(credential, backend)
    assert outcome(credential, now=Clock(timezone.now() - timedelta(seconds=30))) is Outcome.RESERVED
    assert outcome(credential, now=Clock(timezone.now() - timedelta(days=1))) is None


def test_a_job_keeps_its_token_until_its_time_is_over_or_it_says_that_it_is_done(
    credential: Credential, backend: ServiceClient
) -> None:
    clock = Clock()
    lease = lease_of(credential, backend)
    taken = take(credential, now=clock)
    assert isinstance(taken, Result)
    assert taken.outcome is Outcome.RESERVED
    assert taken.until == lease.reserved_until

    clock.step(minutes=3, seconds=1)
    assert isinstance(take(credential, now=clock), Claim)


def test_a_lease_that_was_ended_keeps_nothing(credential: Credential, backend: ServiceClient) -> None:
    lease = lease_of(credential, backend)
    Lease.objects.filter(pk=lease.pk).update(ended_at=timezone.now())
    assert isinstance(take(credential), Claim)


def test_no_promise_outlasts_the_token(credential: Credential, backend: ServiceClient) -> None:
    clock = Clock()
    lease_of(credential, backend, minutes=60)
    clock.step(minutes=4, seconds=1)
    assert isinstance(take(credential, now=clock), Claim)


def test_a_promise_of_a_clock_that_was_set_back_since_holds_nothing(
    credential: Credential, backend: ServiceClient
) -> None:
    clock = Clock()
    ahead = timedelta(days=1)
    lease = lease_of(credential, backend)
    lease.created_at, lease.reserved_until = clock() + ahead, clock() + ahead + timedelta(minutes=5)
    lease.save()
    assert isinstance(take(credential, now=clock), Claim)


def test_a_token_that_the_host_refused_is_no_use_to_any_job(
    credential: Credential, backend: ServiceClient
) -> None:
    lease_of(credential, backend)
    assert isinstance(take(credential, distrust=credential.generation), Claim)


def test_where_old_tokens_go_on_nothing_is_reserved(alice: User, backend: ServiceClient) -> None:
    host = builders.host("gitea", client_id="c", client_secret=Secret("s"))
    credential = pair(alice, host, token="at-1", refresh="rt-1", ends=timedelta(minutes=4))
    lease_of(credential, backend)
    assert isinstance(take(credential), Claim)


def test_without_a_need_the_row_itself_says_whether_it_is_time(credential: Credential) -> None:
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now() + LIFE, refresh_due_at=None)
    assert outcome(credential, need=None) is Outcome.NOT_NEEDED
    Credential.objects.filter(pk=credential.pk).update(refresh_wanted_at=timezone.now())
    assert isinstance(take(credential, need=None), Claim)


def test_a_pause_that_a_wrong_clock_has_set_a_day_ahead_is_not_waited_for(credential: Credential) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    Credential.objects.filter(pk=credential.pk).update(refresh_failures=3, refresh_due_at=tomorrow)
    assert isinstance(take(credential), Claim)


def test_of_many_at_once_one_takes_it(credential: Credential) -> None:
    barrier = threading.Barrier(8)
    taken: list[Claim | Result] = []

    def ask() -> None:
        barrier.wait()
        mark = claim.new_mark()
        with claim.in_flight(mark):
            taken.append(claim.take(credential.pk, by=mark, need=NEED, distrust=None, now=timezone.now))
            over.wait(20)
        connection.close()

    over = threading.Event()
    _together(ask, 8, until=lambda: len(taken) == 8, then=over.set)
    claims = [one for one in taken if isinstance(one, Claim)]
    assert len(claims) == 1
    assert {one.outcome for one in taken if isinstance(one, Result)} == {Outcome.BUSY}


@pytest.mark.parametrize("seed", range(12))
def test_a_lease_and_a_refresh_at_the_same_moment_never_both_get_the_token(
    credential: Credential, backend: ServiceClient, seed: int
) -> None:
    barrier = threading.Barrier(2)
    got: dict[str, bool] = {}

    def lend() -> None:
        lease = lease_of(credential, backend, commit=False)
        event = audit.build("lease.created", actor=builders.SYSTEM, subject=subject_of(credential))
        barrier.wait()
        got["lent"] = lend_statements.insert(
            lease,
            event,
            generation=credential.generation,
        )
        connection.close()

    def refresh() -> None:
        mark = claim.new_mark()
        with claim.in_flight(mark):
            barrier.wait()
            taken = claim.take(credential.pk, by=mark, need=NEED, distrust=None, now=timezone.now)
        got["refreshing"] = isinstance(taken, Claim)
        connection.close()

    threads = [threading.Thread(target=lend), threading.Thread(target=refresh)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert got["lent"] != got["refreshing"]


def lent_while(
    credential: Credential, backend: ServiceClient, change: Callable[[Credential], object]
) -> list[bool]:
    """Whether a lease was made that came while somebody held the row's lock, who then makes ``change``."""
    begun = threading.Event()
    got: list[bool] = []

    def lend() -> None:
        lease = lease_of(credential, backend, commit=False)
        event = audit.build("lease.created", actor=builders.SYSTEM, subject=subject_of(credential))
        begun.set()
        got.append(lend_statements.insert(lease, event, generation=credential.generation))
        connection.close()

    thread = threading.Thread(target=lend)
    with transaction.atomic():
        row = Credential.objects.select_for_update(of=("self",)).get(pk=credential.pk)
        thread.start()
        begun.wait(10)
        time.sleep(0.5)
        change(row)
    thread.join(30)
    return got


def test_a_lease_that_comes_while_the_row_is_being_claimed_waits_and_gets_no_dying_token(
    credential: Credential, backend: ServiceClient
) -> None:
    def claimed(row: Credential) -> None:
        Credential.objects.filter(pk=row.pk).update(refreshing_since=timezone.now(), refreshing_by="x")

    assert lent_while(credential, backend, claimed) == [False]
    assert not Lease.objects.exists()


def test_a_lease_and_a_change_that_is_recorded_never_wait_for_each_other(
    credential: Credential, backend: ServiceClient
) -> None:
    def recorded(row: Credential) -> None:
        audit.record("credential.renamed", actor=builders.SYSTEM, subject=subject_of(row))

    assert lent_while(credential, backend, recorded) == [True]


def _together(
    step: Callable[[], None], count: int, *, until: Callable[[], bool], then: Callable[[], None]
) -> None:
    threads = [threading.Thread(target=step) for _one in range(count)]
    for thread in threads:
        thread.start()
    for _wait in range(400):
        if until():
            break
        threading.Event().wait(0.05)
    then()
    for thread in threads:
        thread.join(30)
