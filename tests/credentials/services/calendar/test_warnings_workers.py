"""Warnings with several workers, with killed ones, and with ten thousand credentials."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Credential, Host, Status
from credentials.providers.tokens import Kind
from credentials.services import audit_proof, calendar
from tests.clock import Clock
from tests.credentials.services.calendar.test_warnings import DAY, clock, ending, host, told

__all__ = ["clock", "host"]

pytestmark = pytest.mark.django_db


def at_once(work: Callable[[], object], number: int = 3) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_tells(alice: User, host: Host, clock: Clock) -> None:
    held = [ending(alice, host, clock() + timedelta(days=3 * number)) for number in range(1, 10)]
    at_once(lambda: calendar.warn_due(now=clock()))
    assert [told(one) for one in held] == [[7]] * 2 + [[14]] * 2 + [[30]] * 5
    assert audit_proof.verify().holds


class Killed(BaseException):
    """The worker is gone."""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_in_the_middle_leaves_no_half_warning(
    alice: User, host: Host, clock: Clock
) -> None:
    held = [ending(alice, host, clock() + 5 * DAY) for _ in range(4)]
    writes = [0]

    def killer(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and "credentials_credential" in sql:
            writes[0] += 1
            if writes[0] == 3:
                raise Killed
        return execute(sql, params, many, context)

    with connection.execute_wrapper(killer), pytest.raises(Killed):
        calendar.warn_due(now=clock())
    assert sorted(map(len, map(told, held))) == [0, 0, 1, 1]

    calendar.warn_due(now=clock())
    assert [told(one) for one in held] == [[7]] * 4


def test_a_token_that_is_replaced_before_its_turn_comes_is_not_warned_of(
    alice: User, host: Host, clock: Clock
) -> None:
    held = [ending(alice, host, clock() + timedelta(days=5, hours=number)) for number in range(2)]

    def replacing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        done = execute(sql, params, many, context)
        if sql.startswith("INSERT INTO") and "credentials_notice" in sql:  # the first one is being told
            Credential.objects.filter(pk=held[1].pk).update(expires_at=None)
        return done

    with connection.execute_wrapper(replacing):
        assert calendar.warn_due(now=clock()) == 1
    assert [told(one) for one in held] == [[7], []]


def test_ten_thousand_credentials_take_few_statements_and_little_time(
    alice: User, host: Host, clock: Clock
) -> None:
    rows = [
        Credential(
            owner=alice,
            host=host,
            kind=Kind.PERSONAL_TOKEN,
            status=Status.VALID,
            expires_at=clock() + timedelta(days=40 + number % 300),
            sealed_at=clock(),
        )
        for number in range(10_000)
    ]
    Credential.objects.bulk_create(rows, batch_size=500)
    soon = ending(alice, host, clock() + 3 * DAY)

    began = time.process_time()
    with CaptureQueriesContext(connection) as seen:
        assert calendar.warn_due(now=clock()) == 1
    assert len(seen) < 25
    assert time.process_time() - began < 5
    assert told(soon) == [7]
    with CaptureQueriesContext(connection) as seen:
        assert calendar.warn_due(now=clock()) == 0
    assert len(seen) <= 6
