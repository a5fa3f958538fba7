"""When a token is renewed, and how long one lives as far as is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from credentials.services.refresh import schedule

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("life", "ahead"),
    [
        (timedelta(hours=8), timedelta(minutes=30)),
        (timedelta(hours=2), timedelta(minutes=30)),
        (timedelta(hours=1), timedelta(minutes=15)),
        (timedelta(seconds=8), timedelta(seconds=2)),
    ],
)
def test_a_token_is_due_a_quarter_of_its_life_ahead_half_an_hour_at_most(
    life: timedelta, ahead: timedelta
) -> None:
    assert schedule.due_at(received_at=NOW, expires_at=NOW + life) == NOW + life - ahead


def test_a_token_without_an_end_is_never_due() -> None:
    assert schedule.due_at(received_at=NOW, expires_at=None) is None


@pytest.mark.parametrize(
    ("left", "need", "lives"),
    [(600, 300, True), (300, 300, True), (299, 300, False), (3600, 86_400, True), (3599, 86_400, False)],
)
def test_a_token_of_two_hours_can_be_asked_for_an_hour_at_most(left: int, need: int, lives: bool) -> None:
    ends = NOW + timedelta(seconds=left)
    sealed = ends - timedelta(hours=2)
    assert schedule.lives(expires_at=ends, sealed_at=sealed, need=timedelta(seconds=need), now=NOW) is lives


def test_a_token_that_came_in_the_future_is_not_believed() -> None:
    tomorrow = NOW + timedelta(days=1)
    ends = tomorrow + timedelta(hours=2)
    assert not schedule.lives(expires_at=ends, sealed_at=tomorrow, need=timedelta(0), now=NOW)


def test_a_token_without_an_end_lives() -> None:
    assert schedule.lives(expires_at=None, sealed_at=None, need=timedelta(days=9), now=NOW)


def test_the_pause_doubles_up_to_a_quarter_of_an_hour() -> None:
    pauses = [schedule.pause(failures).total_seconds() for failures in range(1, 9)]
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    assert schedule.pause(30_000) == schedule.LONGEST_PAUSE
