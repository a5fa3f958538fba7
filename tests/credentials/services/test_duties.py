"""Every duty is in the registry, carried out once per interval, and none keeps another from it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from credentials.models import AuditSeal, Duty
from credentials.services import audit, duties, turns
from credentials.services.audit import Subject
from credentials.services.duties import Clock as ClockArgument
from credentials.services.duties import Outcome, PeriodicDuty, Result
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
ELSEWHERE = "far-00000000:4711:42/1"


def duty(carry_out: Callable[[ClockArgument], int], name: str = "water") -> PeriodicDuty:
    return PeriodicDuty(name=name, description="", interval=lambda: HOUR, carry_out=carry_out)


def fail(_clock: ClockArgument) -> int:
    raise OperationalError("password=hunter2")


def test_a_duty_is_carried_out_counted_and_then_not_due() -> None:
    asked: list[object] = []
    clock = Clock()

    def water(given: ClockArgument) -> int:
        asked.append(given())
        return 3

    first = duties.carry_out(duty(water), clock=clock)
    assert (first.result, first.done, first.error) == (Result.DONE, 3, "")
    assert duties.carry_out(duty(water), clock=clock).result is Result.NOT_DUE
    assert asked == [clock.at]
    assert Duty.objects.get().done == 3


def test_one_that_fails_is_said_by_its_class_and_place_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        outcomes = list(duties.once(chosen=[duty(fail, "fails"), duty(lambda _: 1, "works")], clock=Clock()))
    assert [(one.name, one.result, one.error) for one in outcomes] == [
        ("fails", Result.FAILED, "OperationalError"),
        ("works", Result.DONE, ""),
    ]
    assert "the duty fails failed: OperationalError at " in caplog.text
    assert "hunter2" not in caplog.text
    assert Duty.objects.get(pk="fails").last_error == "OperationalError"


def test_one_that_is_interrupted_is_let_go() -> None:
    def interrupt(_clock: ClockArgument) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        duties.carry_out(duty(interrupt), clock=Clock())
    assert (Duty.objects.get().held_by, Duty.objects.get().last_error) == ("", "KeyboardInterrupt")


def test_what_somebody_holds_is_not_waited_for() -> None:
    now = Clock()
    Duty.objects.create(name="water", held_by=ELSEWHERE, held_until=now() + turns.HELD, started_at=now())
    (outcome,) = duties.once(chosen=[duty(lambda _: 1)], clock=now, pause=lambda _: pytest.fail("waited"))
    assert outcome.result is Result.ELSEWHERE


@pytest.mark.parametrize("lives", [True, False])
def test_what_somebody_holds_who_may_be_gone_is_taken_once_that_is_certain(lives: bool) -> None:
    clock = Clock()
    Duty.objects.create(name="water", held_by=ELSEWHERE, held_until=clock.at, started_at=clock.at - 2 * HOUR)
    order: list[str] = []

    def pause(seconds: float) -> None:
        assert seconds == turns.WATCHED
        order.append("waited")
        if lives:
            Duty.objects.filter(pk="water").update(held_until=clock.at + turns.HELD)

    chosen = [duty(lambda _: 1), duty(lambda _: 2, "feed")]
    outcomes = {one.name: one for one in watching(chosen, clock, pause)}
    assert order == ["waited"]
    assert outcomes["feed"].result is Result.DONE
    # It was watched for no time at all here: what is asked is whether it is asked again.
    assert outcomes["water"].result is Result.ELSEWHERE
    assert outcomes["water"].again is not lives


def watching(chosen: list[PeriodicDuty], clock: Clock, pause: Callable[[float], None]) -> list[Outcome]:
    return list(duties.once(chosen=chosen, clock=clock, pause=pause))


def test_the_registry_has_one_name_per_duty_short_enough_and_says_what_each_is_for() -> None:
    names = [one.name for one in duties.REGISTRY]
    assert len(set(names)) == len(names)
    assert all(
        len(name) <= 50 and str(one.description) for name, one in zip(names, duties.REGISTRY, strict=True)
    )
    assert {"seal-trail", "mark-ends", "restart-tasks", "ask-organizations", "mail-notices"} <= set(names)


def test_what_asks_other_servers_is_apart_and_seals_are_made_as_often_as_set(settings: object) -> None:
    waiting = {one.name for one in duties.REGISTRY if one.waits}
    assert {"ask-organizations", "mail-notices"} <= waiting
    assert "seal-trail" not in waiting
    settings.CREDENTIALS_SEAL_SECONDS = 7  # type: ignore[attr-defined]  # pytest-django's fixture
    (seal,) = [one for one in duties.REGISTRY if one.name == "seal-trail"]
    assert seal.interval() == timedelta(seconds=7)


def test_every_duty_of_the_registry_can_be_carried_out_again_and_again() -> None:
    audit.record(
        "doctor.looked", actor=builders.SYSTEM, subject=Subject(kind="installation", id="", name="d")
    )
    for _round in range(2):
        outcomes = list(duties.once(force=True))
        assert {one.result for one in outcomes} == {Result.DONE}
        assert [one.name for one in outcomes] == [one.name for one in duties.REGISTRY]
    assert AuditSeal.objects.count() == 1
    assert all(row.finished_at and row.finished_at <= timezone.now() for row in Duty.objects.all())
