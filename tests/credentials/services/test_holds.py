"""A refused credential rests, longer each time; a button waits less, a spent quota holds for everybody."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from credentials.models import Credential, Hold
from credentials.services import holds
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(alice: User) -> Credential:
    return builders.credential(alice, builders.host())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rests(credential: Credential, now: datetime, *, by_hand: bool = False) -> bool:
    """Asked of the row, not of the object at hand."""
    return holds.is_held(Credential.objects.get(pk=credential.pk), now=now, by_hand=by_hand)


def test_a_fresh_credential_does_not_rest(held: Credential, clock: Clock) -> None:
    assert not rests(held, clock())
    assert not rests(held, clock(), by_hand=True)


@pytest.mark.parametrize(
    ("refusals", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (6, 32), (7, 60), (8, 60), (500, 60)]
)
def test_each_refusal_doubles_the_rest_up_to_an_hour(
    held: Credential, clock: Clock, refusals: int, minutes: int
) -> None:
    for _ in range(refusals):
        holds.note_refusal(held, now=clock())
    assert rests(held, clock() + timedelta(minutes=minutes, seconds=-1))
    assert not rests(held, clock() + timedelta(minutes=minutes))


@pytest.mark.parametrize(("refusals", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 60), (500, 60)])
def test_a_button_waits_seconds_and_never_more_than_a_minute(
    held: Credential, clock: Clock, refusals: int, seconds: int
) -> None:
    for _ in range(refusals):
        holds.note_refusal(held, now=clock())
    assert rests(held, clock() + timedelta(seconds=seconds - 1), by_hand=True)
    assert not rests(held, clock() + timedelta(seconds=seconds), by_hand=True)


def test_a_button_pressed_all_the_time_shows_a_dead_token_a_handful_of_times_in_three_minutes(
    held: Credential, clock: Clock
) -> None:
    shown = 0
    for _second in range(180):
        if not rests(held, clock(), by_hand=True):
            shown += 1
            holds.note_refusal(held, now=clock())
        clock.step(seconds=1)
    assert 3 <= shown <= 6


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        (timedelta(seconds=30), timedelta(seconds=30)),
        (None, timedelta(minutes=1)),
        (timedelta(0), timedelta(minutes=1)),
        (timedelta(days=1), timedelta(hours=1)),
    ],
)
def test_a_spent_quota_rests_as_long_as_the_host_says_within_reason(
    held: Credential, clock: Clock, said: timedelta | None, waited: timedelta
) -> None:
    holds.note_quota(held, wait=said, now=clock())
    for by_hand in (False, True):
        assert rests(held, clock() + waited - timedelta(seconds=1), by_hand=by_hand)
        assert not rests(held, clock() + waited, by_hand=by_hand)


def test_a_refusal_does_not_shorten_a_spent_quota(held: Credential, clock: Clock) -> None:
    holds.note_quota(held, wait=timedelta(minutes=50), now=clock())
    holds.note_refusal(held, now=clock())
    held.refresh_from_db()
    assert (held.refusals, held.hold_reason) == (1, Hold.QUOTA)
    assert rests(held, clock.step(minutes=40), by_hand=True)

    for _ in range(8):
        holds.note_refusal(held, now=clock())
    held.refresh_from_db()
    assert held.hold_reason == Hold.REFUSED, "the longer of the two holds"


def test_acceptance_ends_the_rest_and_forgets_the_refusals(held: Credential, clock: Clock) -> None:
    for _ in range(5):
        holds.note_refusal(held, now=clock())
    holds.clear(held)
    assert not rests(held, clock())
    holds.note_refusal(held, now=clock())
    assert not rests(held, clock() + timedelta(minutes=1))


def test_nothing_is_written_for_a_credential_that_does_not_rest(
    held: Credential, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]  # pytest-django types the fixture so
        holds.clear(held)


def test_only_this_credential_rests_and_only_its_hold_changes(held: Credential, clock: Clock) -> None:
    other = builders.credential(held.owner, held.host, token="ghp_" + "b" * 36)
    Credential.objects.filter(pk=held.pk).update(status="limited")
    holds.note_refusal(held, now=clock())
    held.refresh_from_db()
    assert held.status == "limited", "a stale object must not write what others changed"
    assert not rests(other, clock())
