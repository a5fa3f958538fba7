"""The outbox: told to whom it concerns, with what the list allows, exactly when the change happened."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from credentials.errors import Conflict
from credentials.models import DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookMessage
from credentials.services import clients
from credentials.services.webhooks import delivery, endpoints, outbox
from tests import builders
from tests.clock import Clock
from tests.credentials.services.webhooks.receiver import Receiver, deliver, endpoint, only, tell

pytestmark = pytest.mark.django_db

HOOK = "https://receiver.example.org/hooks"


def announce(clock: Clock, *, host: str = "github", **data: Any) -> WebhookMessage | None:
    return outbox.announce(WebhookEvent.CREDENTIAL_LIMITED, host=host, data=data, now=clock())


def test_where_nobody_listens_it_costs_one_query_and_leaves_no_row(
    clock: Clock, django_assert_num_queries: Any
) -> None:
    def expensive() -> dict[str, object]:
        raise AssertionError("nobody asked")

    with django_assert_num_queries(1):
        assert outbox.announce(WebhookEvent.USER_OFFBOARDED, host="", data=expensive, now=clock()) is None
    assert not WebhookMessage.objects.exists()


def test_one_message_goes_to_each_endpoint_that_wants_the_event(clock: Clock) -> None:
    every, _ = endpoint(f"{HOOK}/every")
    this, _ = endpoint(f"{HOOK}/this", events=["credential.limited", "user.offboarded"])
    endpoint(f"{HOOK}/other", events=["user.offboarded"])
    off, _ = endpoint(f"{HOOK}/off")
    endpoints.change(actor=builders.SYSTEM, endpoint=off, events=(), enabled=False)
    removed, _ = endpoint(f"{HOOK}/removed")
    endpoints.remove(actor=builders.SYSTEM, endpoint=removed, now=clock())

    message = announce(clock, user="alice")

    assert message is not None
    assert set(message.deliveries.values_list("endpoint", flat=True)) == {every.pk, this.pk}


def test_a_client_limited_to_hosts_hears_of_nothing_else(clock: Clock) -> None:
    builders.host()
    limited, _key = builders.client("limited", hosts=["github"])
    endpoint(HOOK, client=limited)
    assert announce(clock, host="github") is not None
    assert announce(clock, host="gitlab") is None
    assert announce(clock, host="") is None, "of a person, at every host"


def test_a_client_that_is_not_active_hears_nothing(clock: Clock) -> None:
    revoked, _key = builders.client("revoked")
    endpoint(HOOK, client=revoked)
    clients.revoke(actor=builders.SYSTEM, client=revoked, now=clock())
    expired, _key = builders.client("expired", expires_at=clock() + timedelta(days=1))
    endpoint(HOOK, client=expired)
    assert announce(clock) is not None
    clock.step(hours=24)
    assert announce(clock) is None


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_told_to_nobody(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)

    class PowerCut(Exception):
        pass

    def cut() -> None:
        with transaction.atomic():
            tell(clock)
            raise PowerCut

    with pytest.raises(PowerCut):
        cut()
    assert deliver(clock) == 0
    assert receiver.connections == 0
    with transaction.atomic():
        tell(clock)
        assert receiver.connections == 0
    assert deliver(clock) == 1


@pytest.mark.parametrize(
    "data",
    [
        {"token": "x"},
        {"access_envelope": b"x"},
        {"user": b"alice"},
        {"user": ["alice"]},
        {"account": {"id": "1", "token": "x"}},
        {"account": "octo"},
        {"organizations": [{"key": "acme", "secret": "x"}]},
        {"missing_scopes": [{"a": "b"}]},
        {"days": "3"},
    ],
)
def test_what_is_not_on_the_list_is_not_told(clock: Clock, data: dict[str, Any]) -> None:
    endpoint(HOOK)
    with pytest.raises(ValueError, match="may not carry"):
        announce(clock, **data)


def test_a_token_that_somebody_took_for_a_name_is_left_out(clock: Clock) -> None:
    endpoint(HOOK)
    message = announce(
        clock, label="my token ghp_" + "a" * 36, user="alice", account={"id": "1", "name": "b"}
    )
    assert message is not None
    assert message.data == {"label": "", "user": "alice", "account": {"id": "1", "name": "b"}}


def test_the_bytes_are_the_same_whenever_they_are_made(clock: Clock) -> None:
    endpoint(HOOK)
    message = announce(clock, user="älice", label="b", host="github", account=None, missing_scopes=["z", "a"])
    assert message is not None
    bodies = {outbox.body_of(WebhookMessage.objects.get()) for _again in range(3)}
    assert len(bodies) == 1
    told = json.loads(bodies.pop())
    assert list(told) == ["type", "timestamp", "data"]
    assert told["data"]["user"] == "älice"


def test_one_that_is_about_to_be_sent_is_not_queued_a_second_time(clock: Clock) -> None:
    endpoint(HOOK)
    tell(clock)
    running = delivery._Round(now=clock, spread=lambda: 0.0)
    found = running._next()
    assert found is not None
    assert running._prepared(found) is not None
    assert not outbox.send_again(actor=builders.SYSTEM, delivery=only(), now=clock())
    assert only().attempts == 1


def test_nothing_is_sent_again_where_nothing_is_sent(clock: Clock) -> None:
    made, _secret = endpoint(HOOK)
    tell(clock)
    endpoints.remove(actor=builders.SYSTEM, endpoint=made, now=clock())
    with pytest.raises(Conflict):
        outbox.send_again(actor=builders.SYSTEM, delivery=only(), now=clock())


def test_after_thirty_days_a_message_is_forgotten_unless_it_was_sent_again(clock: Clock) -> None:
    endpoint(HOOK)
    tell(clock)
    again = WebhookDelivery.objects.get()
    tell(clock, user="bob")
    WebhookDelivery.objects.update(state=DeliveryState.FAILED, next_attempt_at=None)
    clock.step(hours=30 * 24 - 1)
    assert outbox.drop_old(now=clock()) == 0
    assert outbox.send_again(actor=builders.SYSTEM, delivery=again, now=clock())
    clock.step(hours=2)
    assert outbox.drop_old(now=clock()) == 2, "a message and its delivery"
    assert only() == again
    assert outbox.drop_old(now=clock()) == 0


def test_a_removed_endpoint_is_forgotten_when_its_log_is(clock: Clock) -> None:
    made, _secret = endpoint(HOOK)
    kept, _secret = endpoint(f"{HOOK}/kept")
    tell(clock)
    clock.step(hours=24)
    endpoints.remove(actor=builders.SYSTEM, endpoint=made, now=clock())
    clock.step(hours=30 * 24 - 1)
    outbox.drop_old(now=clock())
    assert WebhookEndpoint.objects.filter(pk=made.pk).exists(), "its own days are not over"
    clock.step(hours=2)
    outbox.drop_old(now=clock())
    assert WebhookEndpoint.objects.get() == kept
