"""The breaker of a host: five failures close the way for all, one question a minute opens it again."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from credentials.errors import ProviderRateLimited, ProviderUnreachable
from credentials.models import Host, HostHealth
from credentials.providers.http import Door
from credentials.services import circuit_breaker
from credentials.services.circuit_breaker import CircuitBreaker
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, html_reply, json_reply

pytestmark = pytest.mark.django_db

DOWN = ProviderUnreachable("down", evidence="GET / 503")


@pytest.fixture
def host() -> Host:
    return builders.host()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def door(host: Host, clock: Clock) -> Door:
    """What each operation gets: a door of its own."""
    return Door(allow_private=True, breaker=CircuitBreaker(host, now=clock), now=clock)


def fail(host: Host, clock: Clock, times: int) -> None:
    for _ in range(times):
        one = CircuitBreaker(host, now=clock)
        one.enter()
        one.failed(DOWN)


def may_enter(host: Host, clock: Clock) -> bool:
    try:
        CircuitBreaker(host, now=clock).enter()
    except ProviderUnreachable:
        return False
    return True


def test_a_host_that_never_failed_costs_one_statement(
    host: Host, clock: Clock, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django types the fixture so
        one = CircuitBreaker(host, now=clock)
        for _ in range(3):
            one.enter()
            one.succeeded()
    assert not HostHealth.objects.exists()


def test_four_failures_keep_nobody_out_and_five_keep_out_everybody(host: Host, clock: Clock) -> None:
    fail(host, clock, 4)
    assert may_enter(host, clock)
    assert not circuit_breaker.is_blocked(host, now=clock())
    fail(host, clock, 1)
    assert circuit_breaker.is_blocked(host, now=clock())
    for _ in range(3):
        with pytest.raises(ProviderUnreachable) as caught:
            CircuitBreaker(host, now=clock).enter()
        assert caught.value.evidence == "not asked: GET / 503"


def test_another_host_is_another_matter(host: Host, clock: Clock) -> None:
    fail(host, clock, 5)
    other = builders.host("gitlab")
    assert may_enter(other, clock)
    assert not circuit_breaker.is_blocked(other, now=clock())
    assert [health.host for health in circuit_breaker.blocked_at(clock())] == [host]


def test_a_success_between_failures_starts_the_count_anew(host: Host, clock: Clock) -> None:
    fail(host, clock, 4)
    one = CircuitBreaker(host, now=clock)
    one.enter()
    one.succeeded()
    fail(host, clock, 4)
    assert may_enter(host, clock)


def test_after_a_minute_one_may_ask_and_then_again_nobody_for_a_minute(host: Host, clock: Clock) -> None:
    fail(host, clock, 5)
    clock.step(seconds=59)
    assert not may_enter(host, clock)
    clock.step(seconds=1)
    assert not circuit_breaker.is_blocked(host, now=clock())
    assert [may_enter(host, clock) for _ in range(5)] == [True, False, False, False, False]
    clock.step(seconds=59)
    assert not may_enter(host, clock)
    clock.step(seconds=1)
    assert may_enter(host, clock), "a claim whose process died opens again by itself"


def test_the_success_of_the_one_opens_the_way_for_all(host: Host, clock: Clock) -> None:
    fail(host, clock, 5)
    clock.step(minutes=1)
    probe = CircuitBreaker(host, now=clock)
    probe.enter()
    probe.succeeded()
    assert all(may_enter(host, clock) for _ in range(3))
    health = HostHealth.objects.get()
    assert (health.failures, health.failing_since, health.retry_at, health.last_failure) == (
        0,
        None,
        None,
        "",
    )


def test_it_is_remembered_since_when_the_host_fails(host: Host, clock: Clock) -> None:
    began = clock()
    fail(host, clock, 3)
    clock.step(seconds=30)
    fail(host, clock, 1)
    assert HostHealth.objects.get().failing_since == began


def test_an_operation_that_met_a_failure_looks_again_before_its_next_question(
    host: Host, clock: Clock
) -> None:
    one = CircuitBreaker(host, now=clock)
    for _ in range(5):
        one.enter()
        one.failed(DOWN)
    with pytest.raises(ProviderUnreachable):
        one.enter()


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (Reply(status=503), True),
        (Reply(status=500), True),
        ([], True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: application/json\r\n\r\n{"], True),
        (json_reply({"message": "Bad credentials"}, 401), False),
        (json_reply({"message": "Not Found"}, 404), False),
        (json_reply({}, 429), False),
        (html_reply(404), False),
    ],
)
def test_through_a_real_door_only_silence_and_disorder_count(
    host: Host, clock: Clock, reply: Reply | list[bytes], counts: bool
) -> None:
    with Server(lambda seen: reply) as server:
        for _ in range(7):
            try:
                door(host, clock).request("GET", f"{server.url}/")
            except (ProviderUnreachable, ProviderRateLimited):
                continue
        assert len(server.seen) == (5 if counts else 7)
    assert circuit_breaker.is_blocked(host, now=clock()) is counts


def test_a_page_where_json_was_due_is_no_sign_of_health(host: Host, clock: Clock) -> None:
    fail(host, clock, 5)
    clock.step(minutes=1)
    with Server(lambda seen: html_reply()) as server:
        door(host, clock).request("GET", f"{server.url}/")
    assert circuit_breaker.is_blocked(host, now=clock())


@pytest.mark.django_db(transaction=True)
def test_of_several_processes_one_gets_the_question_of_the_minute(host: Host, clock: Clock) -> None:
    fail(host, clock, 5)
    clock.step(minutes=1)
    start, entered, failures = threading.Barrier(6), [], list[BaseException]()

    def run() -> None:
        try:
            start.wait(timeout=10)
            entered.append(may_enter(host, clock))
        except BaseException as problem:
            failures.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert entered.count(True) == 1
