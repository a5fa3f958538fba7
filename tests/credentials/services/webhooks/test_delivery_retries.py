"""What was not taken is tried again for a day, on the documented schedule, and may be sent again by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from credentials.models import AuditEvent, DeliveryState, WebhookDelivery
from credentials.services.webhooks import delivery, outbox
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply
from tests.credentials.services.webhooks.receiver import Receiver, deliver, endpoint, only, tell, until

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 502, 503])
def test_anything_else_is_tried_again(receiver: Receiver, clock: Clock, status: int) -> None:
    endpoint(receiver.hook)
    tell(clock)
    receiver.reply = Reply(status=status, headers={"Location": receiver.url})
    assert deliver(clock) == 0
    row = only()
    assert (row.state, row.last_status) == (DeliveryState.PENDING, status)
    assert str(status) in row.last_error
    assert row.next_attempt_at == clock() + timedelta(seconds=5)


def test_the_schedule_is_the_documented_one_for_a_day_and_then_it_is_given_up(
    receiver: Receiver, clock: Clock
) -> None:
    endpoint(receiver.hook)
    tell(clock)
    receiver.reply = Reply(status=500)

    attempts = until(clock, clock() + timedelta(days=3))

    documented = [0, 5, 65, 365, 1265, 3065, 6665]
    assert [int(one.total_seconds()) for one in attempts[:7]] == documented
    later = [second - first for first, second in pairwise(attempts[6:])]
    assert set(later[:-1]) == {timedelta(hours=2)}
    assert attempts[-1] == timedelta(days=1)
    row = only()
    assert (row.state, row.next_attempt_at) == (DeliveryState.FAILED, None)
    assert row.attempts == len(receiver.seen) == len(attempts) == 19


def test_what_failed_together_does_not_come_back_together(clock: Clock, receiver: Receiver) -> None:
    endpoint(receiver.hook)
    receiver.reply = Reply(status=500)
    for _number in range(6):
        tell(clock)
    delivery.deliver_due(now=clock)
    pauses = {row.next_attempt_at - clock() for row in WebhookDelivery.objects.all()}  # type: ignore[operator]  # all wait
    assert len(pauses) > 1
    assert all(timedelta(seconds=5) <= pause <= timedelta(seconds=6) for pause in pauses)


def test_an_outage_of_twenty_hours_loses_nothing(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    message = tell(clock)
    begun = clock()
    receiver.reply = Reply(status=503)
    until(clock, begun + timedelta(hours=20))
    assert only().state == DeliveryState.PENDING
    receiver.reply = Reply(status=204)

    until(clock, begun + timedelta(hours=23))

    assert only().state == DeliveryState.DELIVERED
    assert receiver.ids()[-1] == str(message.pk)


def test_after_an_outage_everything_that_waited_for_an_answer_comes_at_once(clock: Clock) -> None:
    with Receiver() as gone:
        listening, _secret = endpoint(gone.hook)
    for _number in range(5):
        tell(clock)
    for _round in range(40):  # one attempt a round while nobody answers
        deliver(clock)
        clock.step(minutes=5)
    listening.refresh_from_db()
    assert listening.failing_since is not None
    assert WebhookDelivery.objects.filter(attempts__gt=0).count() == 5
    with Receiver(port=gone.port) as back:
        tell(clock)
        assert deliver(clock) == len(back.seen) == 6
    listening.refresh_from_db()
    assert listening.failing_since is None


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("600", timedelta(minutes=10)),
        ("1", timedelta(seconds=5)),
        ("86400", timedelta(hours=4)),
        ("soon", timedelta(seconds=5)),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it_within_bounds(
    receiver: Receiver, clock: Clock, asked: str, waits: timedelta, status: int
) -> None:
    endpoint(receiver.hook)
    tell(clock)
    receiver.reply = Reply(status=status, headers={"Retry-After": asked})
    deliver(clock)
    assert only().next_attempt_at == clock() + waits


def test_an_overloaded_receiver_is_asked_once_a_round(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    for _number in range(10):
        tell(clock)
    receiver.reply = Reply(status=503)
    deliver(clock)
    assert len(receiver.seen) == 1
    receiver.reply = Reply(status=400)
    deliver(clock)
    assert len(receiver.seen) == 10, "one that refuses a message may take the next"


def test_410_switches_the_endpoint_off_and_gives_up_what_waits(receiver: Receiver, clock: Clock) -> None:
    listening, _secret = endpoint(receiver.hook)
    for _number in range(3):
        tell(clock)
    receiver.reply = Reply(status=410)

    deliver(clock)

    listening.refresh_from_db()
    assert not listening.is_enabled
    assert "410" in listening.disabled_reason
    assert len(receiver.seen) == 1
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {DeliveryState.FAILED}
    event = AuditEvent.objects.get(action="webhook.changed")
    assert (event.actor_name, event.data["changed"]) == ("webhooks", ["enabled"])
    clock.step(hours=1)
    deliver(clock)
    assert len(receiver.seen) == 1


def test_a_message_is_sent_again_under_its_id_and_for_another_day(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    message = tell(clock)
    receiver.reply = Reply(status=500)
    until(clock, clock() + timedelta(days=2))
    assert only().state == DeliveryState.FAILED
    clock.step(hours=200)

    assert outbox.send_again(actor=builders.SYSTEM, delivery=only(), now=clock())
    deliver(clock)
    assert only().state == DeliveryState.PENDING, "tried for a day again"
    receiver.reply = Reply(status=204)
    clock.step(seconds=5)
    deliver(clock)

    assert only().state == DeliveryState.DELIVERED
    assert receiver.ids() == [str(message.pk)] * len(receiver.seen)
    told = receiver.told
    assert all(one == told[0] for one in told), "and tells what was told before, its time included"
