"""``Idempotency-Key``: the same request twice brings about one thing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from credentials.errors import Conflict, IdempotencyKeyReused, InputInvalid
from credentials.models import IdempotencyRecord, PurposeKey
from credentials.services import idempotency, maintenance, vault
from credentials.services.idempotency import IN_PROGRESS, KEPT

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ask(
    *, caller: str = "client:1", key: str = "job-7", body: Any = None, now: datetime = NOON, make: Any = uuid4
) -> tuple[str, UUID]:
    """Ask once; whether something was made, and what."""
    made: tuple[str, UUID] = idempotency.once(
        caller=caller,
        key=key,
        digest=idempotency.digest_of(method="POST", path="/leases/", body=body or {"user": "alice"}),
        make=lambda: ("made", make()),
        id_of=lambda done: done[1],
        again=lambda known: ("again", known),
        now=lambda: now,
    )
    return made


def test_the_same_request_is_carried_out_once() -> None:
    first = ask()
    second = ask(now=NOON + timedelta(hours=3))

    assert first == ("made", second[1])
    assert second[0] == "again"


def test_another_caller_and_another_key_are_other_requests() -> None:
    assert len({ask()[1], ask(key="job-8")[1], ask(caller="client:2")[1], ask(caller="user:1")[1]}) == 4


def test_a_key_that_came_with_another_request_is_refused() -> None:
    ask()

    with pytest.raises(IdempotencyKeyReused):
        ask(body={"user": "bob"})


def test_the_digest_follows_the_meaning_of_a_body_and_not_its_spelling() -> None:
    def digest(**changes: Any) -> bytes:
        request: dict[str, Any] = {"method": "POST", "path": "/leases/", "body": {"a": 1, "b": [2]}}
        return idempotency.digest_of(**{**request, **changes})

    assert digest() == digest(body={"b": [2], "a": 1})
    others = [digest(), digest(method="PUT"), digest(path="/credentials/"), digest(body={"a": 1, "b": [3]})]
    assert len(set(others)) == 4


def test_the_stored_digest_confirms_no_guess_without_the_key() -> None:
    token = "ghp_" + "a" * 36
    ask(body={"token": token})
    (stored,) = IdempotencyRecord.objects.values_list("request_digest", flat=True)

    vault.forget()
    assert bytes(stored) == idempotency.digest_of(method="POST", path="/leases/", body={"token": token})
    PurposeKey.objects.filter(purpose=idempotency.IDEMPOTENCY).delete()
    vault.forget()
    assert bytes(stored) != idempotency.digest_of(method="POST", path="/leases/", body={"token": token})


def test_a_request_that_failed_may_be_tried_again_with_its_key() -> None:
    def broken() -> UUID:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ask(make=broken)

    assert ask()[0] == "made"


def test_a_request_still_being_worked_on_is_not_carried_out_beside_itself() -> None:
    def meanwhile() -> UUID:
        with pytest.raises(Conflict) as error:
            ask(now=NOON + IN_PROGRESS)
        assert error.value.retryable
        return uuid4()

    assert ask(make=meanwhile)[0] == "made"


def test_a_request_whose_process_was_killed_is_taken_over_and_cannot_spoil_its_successor() -> None:
    later = NOON + IN_PROGRESS + timedelta(seconds=1)
    successors: list[tuple[str, UUID]] = []

    def slow() -> UUID:
        successors.append(ask(now=later))
        return uuid4()

    first = ask(make=slow)

    assert [first[0], successors[0][0]] == ["made", "made"]
    assert ask(now=later) == ("again", successors[0][1])


def test_a_key_is_free_again_after_a_day() -> None:
    first = ask()
    assert ask(now=NOON + KEPT) == ("again", first[1])
    assert ask(now=NOON + KEPT + timedelta(seconds=1))[0] == "made"
    assert ask(body={"user": "bob"}, now=NOON + 3 * KEPT)[0] == "made"


def test_maintenance_forgets_a_key_no_earlier_than_it_is_free() -> None:
    ask()

    assert maintenance.drop_idempotency(now=NOON + KEPT) == 0
    assert maintenance.drop_idempotency(now=NOON + KEPT + timedelta(seconds=1)) == 1


@pytest.mark.parametrize("key", ["x" * 201, "a b", "a\n", "\x7f", "ü"])
def test_a_key_is_short_and_visible(key: str) -> None:
    with pytest.raises(InputInvalid):
        idempotency.checked_key(key)


@pytest.mark.parametrize("key", ["", "x" * 200, "3f1c9a52-6f0e", "!~"])
def test_a_proper_key_is_taken_as_it_is(key: str) -> None:
    assert idempotency.checked_key(key) == key


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_is_carried_out() -> None:
    idempotency.digest_of(method="POST", path="/", body={})  # the purpose key is made once
    made: list[str] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        try:
            made.append(ask()[0])
        except Conflict:
            made.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert made.count("made") == 1
    assert IdempotencyRecord.objects.count() == 1
