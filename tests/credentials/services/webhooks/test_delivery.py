"""Deliveries: signed, retried for a day, never twice at once, and never where they may not go."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from credentials.errors import AuditUnavailable
from credentials.models import AuditEvent, DeliveryState, ServiceClient, WebhookEndpoint
from credentials.services import clients, rotate, sealed_rows, vault
from credentials.services.webhooks import delivery, endpoints, outbox
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Seen, Server, html_reply, json_reply
from tests.credentials.services.webhooks.receiver import (
    Receiver,
    deliver,
    endpoint,
    header,
    is_signed,
    only,
    tell,
)

pytestmark = pytest.mark.django_db


# --- What arrives ---------------------------------------------------------------------------------------


def test_a_message_arrives_once_and_its_signature_holds_for_exactly_its_bytes(
    receiver: Receiver, clock: Clock
) -> None:
    _endpoint, secret = endpoint(receiver.hook)
    message = tell(clock)

    clock.step(seconds=30)
    assert deliver(clock) == 1
    assert deliver(clock) == 0

    [seen] = receiver.seen
    assert (seen.method, seen.path) == ("POST", "/hooks/forgekey?tenant=1")
    assert header(seen, "content-type") == "application/json"
    assert header(seen, "webhook-id") == str(message.pk)
    assert header(seen, "webhook-timestamp") == str(int(clock().timestamp()))
    assert is_signed(seen, secret)
    assert not is_signed(seen, secret, body=seen.body.replace(b"alice", b"bob"))
    assert receiver.told == [
        {
            "type": "user.offboarded",
            "timestamp": (clock() - timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "data": {"user": "alice", "credentials": 2},
        }
    ]
    row = only()
    assert (row.state, row.attempts, row.last_status) == (DeliveryState.DELIVERED, 1, 204)
    assert (row.delivered_at, row.next_attempt_at) == (clock(), None)


def test_every_attempt_carries_the_same_id_and_bytes_and_a_time_of_its_own(
    receiver: Receiver, clock: Clock
) -> None:
    _endpoint, secret = endpoint(receiver.hook)
    tell(clock)
    receiver.reply = Reply(status=500)
    deliver(clock)
    receiver.reply = Reply(status=200)
    clock.step(seconds=5)

    assert deliver(clock) == 1

    first, second = receiver.seen
    assert first.body == second.body
    assert len(set(receiver.ids())) == 1
    assert int(header(second, "webhook-timestamp")) - int(header(first, "webhook-timestamp")) == 5
    assert is_signed(second, secret)


def test_one_that_is_sent_again_is_tried_for_a_day_from_then_and_keeps_when_it_first_arrived(
    receiver: Receiver, clock: Clock
) -> None:
    endpoint(receiver.hook)
    tell(clock)
    assert deliver(clock) == 1
    first = only().delivered_at
    clock.step(hours=48)
    assert outbox.send_again(actor=builders.SYSTEM, delivery=only(), now=clock())
    receiver.reply = Reply(status=500)
    deliver(clock)
    failed = only()
    assert (failed.state, failed.attempts, failed.delivered_at) == (DeliveryState.PENDING, 2, first)
    assert failed.next_attempt_at == clock() + delivery.PAUSES[0], "the pauses begin anew"
    receiver.reply = Reply(status=204)
    clock.step(seconds=6)
    assert deliver(clock) == 1
    assert (only().state, only().attempts, only().delivered_at) == (DeliveryState.DELIVERED, 3, first)
    assert len(set(receiver.ids())) == 1


def test_after_a_renewal_both_secrets_sign_for_a_day(receiver: Receiver, clock: Clock) -> None:
    listening, old = endpoint(receiver.hook)
    new = endpoints.renew_secret(actor=builders.SYSTEM, endpoint=listening, now=clock()).reveal()
    for _day in range(2):
        tell(clock)
        deliver(clock)
        clock.step(hours=24)

    during, after = receiver.seen
    assert (is_signed(during, old), is_signed(during, new)) == (True, True)
    assert (is_signed(after, old), is_signed(after, new)) == (False, True)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(receiver: Receiver, clock: Clock, status: int) -> None:
    endpoint(receiver.hook)
    tell(clock)
    receiver.reply = Reply(status=status)
    assert deliver(clock) == 1
    assert only().state == DeliveryState.DELIVERED


def test_what_a_success_says_does_not_matter(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    for reply in (html_reply(), json_reply({"text": "x" * 2_000_000})):
        tell(clock)
        receiver.reply = reply
        assert deliver(clock) == 1


# --- Where it may not go --------------------------------------------------------------------------------


def test_a_private_address_is_not_even_connected_to(receiver: Receiver, clock: Clock) -> None:
    made, _secret = endpoint(receiver.hook)
    WebhookEndpoint.objects.filter(pk=made.pk).update(allow_private_network=False)
    tell(clock)
    assert deliver(clock) == 0
    assert receiver.connections == 0
    row = only()
    assert (row.state, row.last_status) == (DeliveryState.PENDING, None)
    assert "may not go to" in row.last_error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, clock: Clock, status: int) -> None:
    with Receiver() as elsewhere:
        endpoint(receiver.hook)
        tell(clock)
        receiver.reply = Reply(status=status, headers={"Location": elsewhere.url})
        assert deliver(clock) == 0
        assert elsewhere.connections == 0
    assert len(receiver.seen) == 1


def test_a_client_that_was_revoked_or_expired_is_told_nothing_more(receiver: Receiver, clock: Clock) -> None:
    owner, _key = builders.client("gone")
    endpoint(receiver.hook, client=owner)
    tell(clock)
    clients.revoke(actor=builders.SYSTEM, client=owner, now=clock())
    assert deliver(clock) == 0
    assert receiver.connections == 0
    assert only().state == DeliveryState.FAILED


def test_one_that_does_not_answer_holds_up_no_other(receiver: Receiver, clock: Clock) -> None:
    stuck = threading.Event()

    def silent(seen: Seen) -> Reply:
        stuck.wait(8)
        return Reply(status=204)

    arrived: list[float] = []

    def prompt(seen: Seen) -> Reply:
        arrived.append(time.monotonic())
        return Reply(status=204)

    receiver.reply = prompt
    with Server(silent) as dead:
        for number in range(7):
            endpoint(f"{dead.url}/{number}")
        endpoint(receiver.hook)
        for _number in range(20):
            tell(clock)
        begun = time.monotonic()
        threading.Timer(2.0, stuck.set).start()
        deliver(clock)
    assert len(arrived) == 20
    assert arrived[-1] - begun < 1.9


# --- The secret -----------------------------------------------------------------------------------------


def test_the_secret_is_opened_after_an_event_and_once_a_round(receiver: Receiver, clock: Clock) -> None:
    listening, _secret = endpoint(receiver.hook)
    for _number in range(20):
        tell(clock)
    assert deliver(clock) == 20
    event = AuditEvent.objects.get(action="webhook.secret_opened")
    assert (event.subject_id, event.purpose, event.actor_name) == (
        str(listening.pk), "delivery", "webhooks",
    )  # fmt: skip
    deliver(clock)
    assert AuditEvent.objects.filter(action="webhook.secret_opened").count() == 1, "nothing was due"


@pytest.mark.django_db(transaction=True)
def test_without_the_event_nothing_is_opened_or_sent(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    tell(clock)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_auditevent RENAME TO set_aside")
    try:
        with pytest.raises(AuditUnavailable):
            deliver(clock)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_auditevent")
    assert receiver.connections == 0
    assert deliver(clock) == 1


def test_while_the_key_is_missing_messages_wait_and_no_attempt_is_counted(
    receiver: Receiver, clock: Clock, own_key_file: Path
) -> None:
    endpoint(receiver.hook)
    tell(clock)
    vault.purpose_key(vault.AUDIT)
    first = builders.new_first_key(own_key_file)
    rotate._pass(sealed_rows.STORES[0], rotate.Rotation(), batch=10, progress=lambda: None)
    both = own_key_file.read_text("ascii")
    builders.lose_all_keys_but(own_key_file, first)
    assert deliver(clock) == 0
    assert (only().attempts, only().next_attempt_at) == (0, clock())
    own_key_file.write_text(both, encoding="ascii")
    vault.forget()
    assert deliver(clock) == 1


def test_a_secret_that_does_not_open_is_said_and_what_waits_is_given_up_after_a_day(
    receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    listening, _secret = endpoint(receiver.hook)
    WebhookEndpoint.objects.filter(pk=listening.pk).update(secret_envelope=b"damaged" * 20)
    tell(clock)
    begun = clock()
    for _round in range(3):
        deliver(clock)
        clock.step(seconds=5)
    row = only()
    assert (row.state, row.attempts, row.next_attempt_at) == (DeliveryState.PENDING, 0, begun)
    assert row.last_error == "the signing secret does not open: EnvelopeInvalid"
    [said] = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert said == f"webhook endpoint {listening.pk}: the signing secret does not open: EnvelopeInvalid"
    assert WebhookEndpoint.objects.get().failing_since == begun

    clock.step(hours=24)
    assert deliver(clock) == 0
    row = only()
    assert (row.state, row.next_attempt_at) == (DeliveryState.FAILED, None)
    assert receiver.connections == 0


# --- Never twice, never lost ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_run_at_once_one_sends(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    for _number in range(30):
        tell(clock)
    failures: list[BaseException] = []
    sent: list[int] = []

    def work() -> None:
        try:
            sent.append(deliver(clock))
        except BaseException as problem:
            failures.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(sent) == len(receiver.seen) == len(set(receiver.ids())) == 30


def test_a_worker_that_was_killed_after_its_claim_loses_nothing(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    tell(clock)
    killed = delivery._Round(now=clock, spread=lambda: 0.0)
    found = killed._next()
    assert found is not None
    assert killed._prepared(found) is not None, "claimed, and then no more is heard of it"

    assert deliver(clock) == 0, "the claim holds"
    clock.at += outbox.CLAIMED
    assert deliver(clock) == 1
    assert only().attempts == 2


def test_a_worker_that_slept_past_its_claim_spoils_nothing(receiver: Receiver, clock: Clock) -> None:
    endpoint(receiver.hook)
    tell(clock)
    slow = delivery._Round(now=clock, spread=lambda: 0.0)
    found = slow._next()
    assert found is not None
    attempt = slow._prepared(found)
    assert attempt is not None
    clock.at += outbox.CLAIMED
    deliver(clock)

    slow._settle(attempt, delivery._Outcome(status=500, problem="late"))

    assert only().state == DeliveryState.DELIVERED


def test_where_nothing_waits_nothing_happens(clock: Clock, django_assert_num_queries: Any) -> None:
    assert ServiceClient.objects.count() == 0
    with django_assert_num_queries(1):
        assert deliver(clock) == 0
