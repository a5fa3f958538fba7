"""The delivery log: what was told is readable, what failed is found, and it is sent again under its id."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, DeliveryState, WebhookDelivery, WebhookEndpoint
from credentials.services.webhooks import endpoints
from tests import builders
from tests.clock import Clock
from tests.credentials.admin.desk import act, browser, page, read, staff
from tests.credentials.services.webhooks.receiver import endpoint, only, tell

pytestmark = pytest.mark.django_db

HOOK = "https://receiver.example.org/hooks"


@pytest.fixture
def failed(db: None) -> WebhookDelivery:
    """A message that was given up a while ago."""
    endpoint(HOOK)
    tell(Clock(timezone.now() - timedelta(days=2)))
    WebhookDelivery.objects.update(
        state=DeliveryState.FAILED,
        attempts=19,
        next_attempt_at=None,
        last_status=500,
        last_error="POST /hooks 500",
    )
    return only()


def test_its_page_shows_the_message_as_it_was_sent_and_how_that_went(
    desk: Client, failed: WebhookDelivery
) -> None:
    text = read(desk.get(page(WebhookDelivery, "change", failed.pk)))
    for word in ('"type": "user.offboarded"', '"user": "alice"', str(failed.message_id), "POST /hooks 500"):
        assert word in text
    assert "given up" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state__exact": "failed"}, 1),
        ({"state__exact": "delivered"}, 0),
        ({"event": "user.offboarded"}, 1),
        ({"event": "import.finished"}, 0),
        ({"q": "00000000-0000-4000-8000-000000000000"}, 0),
        ({"q": "no id at all"}, 0),
    ],
)
def test_deliveries_are_filtered_by_state_and_event(
    desk: Client, failed: WebhookDelivery, query: dict[str, str], found: int
) -> None:
    assert desk.get(page(WebhookDelivery, "changelist"), query).context["cl"].result_count == found


def test_deliveries_are_found_by_endpoint_and_id(desk: Client, failed: WebhookDelivery) -> None:
    other, _secret = endpoint(f"{HOOK}/other")
    for query, found in (
        ({"endpoint": str(failed.endpoint_id)}, 1),
        ({"endpoint": str(other.pk)}, 0),
        ({"q": str(failed.message_id)}, 1),
    ):
        assert desk.get(page(WebhookDelivery, "changelist"), query).context["cl"].result_count == found


def test_no_filter_reaches_a_secret(desk: Client, failed: WebhookDelivery) -> None:
    for path in ("endpoint__secret_envelope__gt", "endpoint__client__key_hash__gt"):
        answer = desk.get(page(WebhookDelivery, "changelist"), {path: "0"})
        assert answer.status_code in {302, 400}


def test_send_again_queues_it_and_says_who_did(desk: Client, failed: WebhookDelivery) -> None:
    answer = act(desk, WebhookDelivery, "send_again", failed, from_page="yes")
    assert "1 message is sent again." in read(answer)
    row = only()
    assert (row.state, row.attempts, row.message_id) == (DeliveryState.PENDING, 19, failed.message_id)
    event = AuditEvent.objects.get(action="webhook.replayed")
    assert (event.actor_name, event.reference) == ("admin", str(failed.message_id))
    again = act(desk, WebhookDelivery, "send_again", failed)
    assert "is sent again." not in read(again)
    assert AuditEvent.objects.filter(action="webhook.replayed").count() == 1, "it is about to be sent anyway"


def test_sending_again_leaves_what_is_known_of_the_first_delivery(
    desk: Client, failed: WebhookDelivery
) -> None:
    first = failed.created_at + timedelta(minutes=5)
    WebhookDelivery.objects.update(
        state=DeliveryState.DELIVERED, attempts=2, delivered_at=first, last_status=204, last_error=""
    )
    assert "Sent again: -" in read(desk.get(page(WebhookDelivery, "change", failed.pk)))

    text = read(act(desk, WebhookDelivery, "send_again", failed, from_page="yes"))

    row = only()
    assert row.sent_again_at is not None
    assert (row.created_at, row.delivered_at) == (failed.created_at, first)
    for word in ("being sent again", "Last answer: 204", "Attempts: 2"):
        assert word in text
    for moment in (row.created_at, first, row.sent_again_at):
        assert timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") in text


def test_to_an_endpoint_that_is_switched_off_nothing_is_sent_again(
    desk: Client, failed: WebhookDelivery
) -> None:
    endpoints.change(actor=builders.SYSTEM, endpoint=failed.endpoint, events=(), enabled=False)
    answer = act(desk, WebhookDelivery, "send_again", failed)
    assert "Switch it on first." in read(answer)
    assert only().state == DeliveryState.FAILED


def test_it_takes_the_right_to_change_endpoints(admin: User, failed: WebhookDelivery) -> None:
    dora = browser(staff("dora", "view_webhookdelivery"))
    bert = browser(staff("bert", "view_webhookdelivery", "change_webhookendpoint"))
    act(dora, WebhookDelivery, "send_again", failed)
    assert only().state == DeliveryState.FAILED
    act(bert, WebhookDelivery, "send_again", failed)
    assert only().state == DeliveryState.PENDING


def test_nobody_adds_changes_or_deletes_one(desk: Client, failed: WebhookDelivery) -> None:
    for address in (
        page(WebhookDelivery, "add"),
        page(WebhookDelivery, "change", failed.pk),
        page(WebhookDelivery, "delete", failed.pk),
    ):
        assert desk.post(address, {"post": "yes", "state": "delivered"}).status_code == 403
    assert WebhookEndpoint.objects.count() == WebhookDelivery.objects.count() == 1
