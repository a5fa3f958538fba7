"""Webhook endpoints in the admin: the secret is shown exactly once, and who may do what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, ServiceClient, WebhookEndpoint
from credentials.services import demo_people
from credentials.services.webhooks import endpoints
from tests import builders
from tests.clock import Clock
from tests.credentials.admin.desk import act, addresses, browser, page, read, staff
from tests.credentials.services.webhooks.receiver import endpoint, tell

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
HOOK = "https://receiver.example.org/hooks"


@pytest.fixture
def backend(db: None) -> ServiceClient:
    return builders.client()[0]


def add(browsing: Client, owner: ServiceClient, **changes: Any) -> Any:
    values = {"client": str(owner.pk), "url": HOOK, "events": ["credential.connected", "user.offboarded"]}
    return browsing.post(page(WebhookEndpoint, "add"), {**values, **changes})


def secret_on(answer: Any) -> str:
    (secret,) = set(SECRET.findall(answer.content.decode().replace("&#x2B;", "+")))
    return str(secret)


def opened(row: WebhookEndpoint) -> list[str]:
    row.refresh_from_db()
    found = endpoints.open_secrets(row, actor=builders.SYSTEM, purpose="test", now=timezone.now())
    return [secret.reveal() for secret in found]


def test_a_new_endpoint_is_as_it_was_filled_in_and_its_secret_is_the_one_that_signs(
    desk: Client, backend: ServiceClient
) -> None:
    answer = add(desk, backend)

    made = WebhookEndpoint.objects.get()
    assert (made.client, made.url) == (backend, HOOK)
    assert made.events == ["credential.connected", "user.offboarded"]
    assert (made.is_enabled, made.allow_private_network) == (True, False)
    assert opened(made) == [secret_on(answer)]
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.get(action="webhook.added")
    assert (event.actor_name, event.subject_name) == ("admin", f"backend: {HOOK}")


def test_the_secret_is_on_no_other_page_in_no_session_message_or_log(
    desk: Client, backend: ServiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        answer = add(desk, backend)
    secret = secret_on(answer).removeprefix("whsec_").rstrip("=")
    tell(Clock())

    for address in addresses():
        assert secret not in desk.get(address, follow=True).content.decode(), address
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert all(secret not in str(entry.__dict__) for entry in LogEntry.objects.all())
    assert all(secret not in str(event.__dict__) for event in AuditEvent.objects.all())
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://receiver.example.org/"}, "url"),
        ({"url": "https://user:password@receiver.example.org/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": ""}, "url"),
        ({"events": ["everything"]}, "events"),
        ({"client": "b7f0c8f0-0000-4000-8000-000000000000"}, "client"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    desk: Client, backend: ServiceClient, changes: dict[str, Any], field: str
) -> None:
    answer = add(desk, backend, **changes)
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not WebhookEndpoint.objects.exists()


def test_sending_the_form_again_adds_no_second_endpoint(desk: Client, backend: ServiceClient) -> None:
    add(desk, backend)
    again = add(desk, backend)
    assert SECRET.findall(again.content.decode()) == []
    assert WebhookEndpoint.objects.count() == 1


def test_one_on_a_private_network_needs_its_tick(desk: Client, backend: ServiceClient) -> None:
    add(desk, backend, url="http://receiver:8000/hook", allow_private_network="on")
    assert WebhookEndpoint.objects.get().allow_private_network


def test_what_it_hears_and_whether_is_changed_and_nothing_else_is(
    desk: Client, backend: ServiceClient
) -> None:
    made, _secret = endpoint(HOOK, client=backend)
    desk.post(
        page(WebhookEndpoint, "change", made.pk),
        {"events": ["import.finished"], "url": "https://evil.example.org/", "allow_private_network": "on"},
    )
    made.refresh_from_db()
    assert (made.events, made.is_enabled, made.url) == (["import.finished"], False, HOOK)
    event = AuditEvent.objects.get(action="webhook.changed")
    assert (event.actor_name, event.data["changed"]) == ("admin", ["events", "enabled"])


def test_renewing_asks_first_and_shows_the_new_secret_once(desk: Client, backend: ServiceClient) -> None:
    made, old = endpoint(HOOK, client=backend)
    assert "Renew the signing secret of" in read(act(desk, WebhookEndpoint, "renew_secret", made))
    assert opened(made) == [old]
    confirmation = {"confirmed": "yes", "generation": "1"}
    answer = act(desk, WebhookEndpoint, "renew_secret", made, **confirmation)
    assert opened(made) == [secret_on(answer), old]
    again = act(desk, WebhookEndpoint, "renew_secret", made, **confirmation)
    assert SECRET.findall(again.content.decode()) == []
    assert "was renewed already" in read(again)
    assert (
        "UTC" in read(desk.get(page(WebhookEndpoint, "change", made.pk))).split("old secret signs until")[-1]
    )


def test_removing_asks_first_and_leaves_the_log(desk: Client, backend: ServiceClient) -> None:
    made, _secret = endpoint(HOOK, client=backend)
    tell(Clock())
    assert "Remove webhook endpoints?" in read(act(desk, WebhookEndpoint, "remove", made))
    answer = act(desk, WebhookEndpoint, "remove", made, confirmed="yes", from_page="yes")
    assert "1 endpoint is removed." in read(answer)
    assert "removed" in read(desk.get(page(WebhookEndpoint, "changelist")))
    assert desk.post(page(WebhookEndpoint, "change", made.pk), {"is_enabled": "on"}).status_code == 403
    assert answer.context["page_actions"] == []
    assert made.deliveries.count() == 1


def test_a_failing_endpoint_is_seen_at_a_glance(desk: Client, backend: ServiceClient) -> None:
    made, _secret = endpoint(HOOK, client=backend)
    assert "works" in read(desk.get(page(WebhookEndpoint, "changelist")))
    for _number in range(3):
        tell(Clock())
    WebhookEndpoint.objects.filter(pk=made.pk).update(failing_since=timezone.now())
    text = read(desk.get(page(WebhookEndpoint, "changelist")))
    assert "failing since" in text
    row = desk.get(page(WebhookEndpoint, "changelist")).context["cl"].result_list[0]
    assert row.waiting_count == 3
    endpoints.switch_off(actor=builders.SYSTEM, endpoint=made, reason="the endpoint answered 410 Gone")
    assert "switched off" in read(desk.get(page(WebhookEndpoint, "changelist")))
    assert "410 Gone" in read(desk.get(page(WebhookEndpoint, "change", made.pk)))


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        (("view_webhookendpoint",), set()),
        (("view_webhookendpoint", "add_webhookendpoint"), {"added"}),
        (("view_webhookendpoint", "change_webhookendpoint"), {"changed"}),
        (("view_webhookendpoint", "delete_webhookendpoint"), {"removed"}),
    ],
)
def test_each_verb_needs_its_permission(
    admin: User, backend: ServiceClient, permissions: tuple[str, ...], may: set[str]
) -> None:
    made, _secret = endpoint(f"{HOOK}/other", client=backend)
    dora = browser(staff("dora", *permissions))

    add(dora, backend)
    dora.post(page(WebhookEndpoint, "change", made.pk), {"events": ["import.finished"], "is_enabled": "on"})
    act(dora, WebhookEndpoint, "renew_secret", made, confirmed="yes", generation="1")
    act(dora, WebhookEndpoint, "remove", made, confirmed="yes")

    events = AuditEvent.objects.filter(actor_name="dora").values_list("action", flat=True)
    assert set(events) == {f"webhook.{verb}" for verb in may}
    assert dora.get(page(WebhookEndpoint, "change", made.pk)).status_code == 200


def test_the_demos_operator_may_and_its_auditor_only_sees(backend: ServiceClient) -> None:
    demo_people.create()
    olivia = browser(User.objects.get(username="olivia"))
    audrey = browser(User.objects.get(username="audrey"))
    assert add(audrey, backend).status_code == 403
    assert add(olivia, backend).status_code == 200
    assert WebhookEndpoint.objects.count() == 1
    assert HOOK in read(audrey.get(page(WebhookEndpoint, "changelist")))
