"""Whoever needs a live token gets one: from the refresher, or by doing it here; many at once cost one call."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.errors import RefreshUnavailable
from credentials.models import Credential, Status
from credentials.services.refresh import ensure
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.refresh.grants import Rotating, gitlab_at, lease_of, opened, pair, refresher
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credential(alice: User, provider: Rotating, server: Server) -> Credential:
    access, refresh = provider.first()
    return pair(alice, gitlab_at(server.url), token=access, refresh=refresh, ends=timedelta(seconds=10))


def test_a_token_that_lives_long_enough_costs_nothing(
    credential: Credential, server: Server, django_assert_num_queries: Any
) -> None:
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now() + timedelta(hours=1))
    row = fresh(credential)
    with django_assert_num_queries(0):
        assert ensure.fresh(row) is row
    assert server.seen == []


def test_without_a_refresher_it_is_done_here(credential: Credential, provider: Rotating) -> None:
    ensure.fresh(credential)
    assert opened(credential) in provider.live
    assert provider.calls == 1


def test_with_a_refresher_it_is_done_there_and_waited_for(credential: Credential, provider: Rotating) -> None:
    with refresher():
        ensure.fresh(credential)
    assert opened(credential) in provider.live
    assert credential.refresh_wanted_at is None
    assert provider.calls == 1


@pytest.mark.parametrize("with_refresher", [False, True])
def test_twenty_callers_at_once_cost_one_call_and_all_get_the_living_token(
    credential: Credential, provider: Rotating, with_refresher: bool
) -> None:
    barrier = threading.Barrier(20)
    got: list[str] = []
    problems: list[Exception] = []

    def ask() -> None:
        row = fresh(credential)
        barrier.wait()
        try:
            got.append(opened(ensure.fresh(row)))
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    def run() -> None:
        threads = [threading.Thread(target=ask) for _one in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    if with_refresher:
        with refresher():
            run()
    else:
        run()
    assert problems == []
    assert set(got) == set(provider.live)
    assert (len(got), provider.calls, provider.reused) == (20, 1, 0)


def test_a_token_that_the_host_refused_is_renewed_whatever_its_end_says(
    credential: Credential, provider: Rotating
) -> None:
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now() + timedelta(hours=1))
    row = fresh(credential)
    ensure.fresh(row, distrusted=True)
    assert row.generation == 2


def test_an_outage_says_when_to_ask_again_and_loses_nothing(
    credential: Credential, provider: Rotating
) -> None:
    provider.before = lambda number: Reply(status=503)
    with pytest.raises(RefreshUnavailable) as caught:
        ensure.fresh(credential)
    assert caught.value.retry_after is not None
    assert timedelta(seconds=20) <= caught.value.retry_after <= timedelta(seconds=30)
    assert fresh(credential).status == Status.VALID


def test_a_grant_that_has_ended_is_told_by_the_status(credential: Credential, provider: Rotating) -> None:
    provider.before = lambda number: json_reply({"error": "invalid_grant"}, 400)
    assert ensure.fresh(credential, sleep=lambda seconds: None).status == Status.RECONNECT_REQUIRED


@pytest.mark.parametrize("with_refresher", [False, True])
def test_a_second_job_hears_at_once_until_when_the_first_one_needs_its_token(
    credential: Credential, with_refresher: bool
) -> None:
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now() + timedelta(seconds=40))
    lease_of(credential, builders.client()[0], minutes=10)
    begun = time.monotonic()
    with refresher() if with_refresher else nullcontext(), pytest.raises(RefreshUnavailable) as caught:
        ensure.fresh(fresh(credential))
    assert time.monotonic() - begun < 5
    assert caught.value.retry_after is not None
    assert timedelta(seconds=35) <= caught.value.retry_after <= timedelta(seconds=40)


@pytest.mark.parametrize("hours", [24, -24])
def test_a_clock_that_jumps_by_a_day_costs_one_more_refresh_and_serves_no_dead_token(
    alice: User, provider: Rotating, server: Server, hours: int
) -> None:
    clock = Clock()
    access, first = provider.first()
    credential = pair(
        alice, gitlab_at(server.url), token=access, refresh=first, ends=timedelta(hours=2), now=clock
    )
    Credential.objects.filter(pk=credential.pk).update(sealed_at=clock())
    credential.refresh_from_db()
    for jump in (hours, -hours):
        clock.step(hours=jump)
        for _again in range(3):
            ensure.fresh(credential, now=clock)
            assert opened(credential) in provider.live
    # Ahead: the old one looks ended, and the one fetched then comes from the future afterwards.
    assert provider.calls <= 2
