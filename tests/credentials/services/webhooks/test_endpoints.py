"""Endpoints: an address that is safe at first sight, a secret that is given once, and a record of each change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from credentials.errors import Conflict, InputInvalid
from credentials.models import AuditEvent, DeliveryState, ServiceClient, WebhookDelivery, WebhookEndpoint
from credentials.services import audit_proof, clients, rotate, sealed_rows
from credentials.services.webhooks import endpoints
from tests import builders
from tests.clock import Clock
from tests.credentials.services.webhooks.receiver import endpoint, tell

pytestmark = pytest.mark.django_db

HOOK = "https://receiver.example.org/hooks?tenant=1"


@pytest.fixture
def backend(db: None) -> ServiceClient:
    return builders.client()[0]


def add(owner: ServiceClient, url: str = HOOK, **how: bool) -> WebhookEndpoint:
    return endpoints.add(actor=builders.SYSTEM, client=owner, url=url, **how)[0]  # type: ignore[arg-type]  # one flag


def opened(row: WebhookEndpoint, clock: Clock) -> list[str]:
    row.refresh_from_db()
    found = endpoints.open_secrets(row, actor=builders.SYSTEM, purpose="test", now=clock())
    return [secret.reveal() for secret in found]


def test_a_secret_is_given_once_and_lies_sealed(backend: ServiceClient, clock: Clock) -> None:
    made, secret = endpoints.add(actor=builders.SYSTEM, client=backend, url=HOOK)
    row = WebhookEndpoint.objects.get()
    assert secret.reveal().encode() not in bytes(row.secret_envelope or b"")
    assert opened(made, clock) == [secret.reveal()]
    event = AuditEvent.objects.get(action="webhook.added")
    assert event.subject_name == "backend: https://receiver.example.org/hooks", "a query may hold anything"


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example.org/",
        "https://user@receiver.example.org/",
        "https://user:password@receiver.example.org/",
        "https://receiver.example.org/#part",
        "https://receiver.example.org:0/",
        "https://receiver.example.org:99999/",
        "https://receiver.example.org\\@evil.example.org/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "ftp://receiver.example.org/",
        "file:///etc/passwd",
        "https://receiver.example.org/" + "a" * 500,
        "receiver.example.org",
        "",
    ],
)
def test_an_address_that_cannot_be_right_is_refused_at_once(backend: ServiceClient, url: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        add(backend, url)
    assert refused.value.field == "url"
    assert not WebhookEndpoint.objects.exists()


def test_on_a_private_network_plain_http_will_do_but_never_the_metadata_service(
    backend: ServiceClient,
) -> None:
    add(backend, "http://receiver:8000/hook", allow_private_network=True)
    add(backend, "http://127.0.0.1:8000/hook", allow_private_network=True)
    for url in ("http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://user@receiver/"):
        with pytest.raises(InputInvalid):
            add(backend, url, allow_private_network=True)


def test_an_unknown_event_a_second_time_and_a_revoked_client_are_refused(
    backend: ServiceClient, clock: Clock
) -> None:
    add(backend)
    with pytest.raises(InputInvalid, match="already"):
        add(backend)
    with pytest.raises(InputInvalid, match="Choose events from"):
        endpoints.add(actor=builders.SYSTEM, client=backend, url=f"{HOOK}2", events=["everything"])
    clients.revoke(actor=builders.SYSTEM, client=backend, now=clock())
    with pytest.raises(InputInvalid, match="revoked"):
        add(backend, f"{HOOK}2")


def test_a_client_has_only_so_many(backend: ServiceClient) -> None:
    for number in range(endpoints.MOST):
        add(backend, f"{HOOK}{number}")
    with pytest.raises(InputInvalid, match="at most 20"):
        add(backend)


def test_a_change_is_recorded_and_none_is_not(backend: ServiceClient) -> None:
    made = add(backend)
    for _again in range(2):
        endpoints.change(actor=builders.SYSTEM, endpoint=made, events=["user.offboarded"], enabled=True)
    event = AuditEvent.objects.get(action="webhook.changed")
    assert event.data == {"changed": ["events"]}


def test_switching_off_gives_up_what_waits_and_switching_on_forgets_why(
    backend: ServiceClient, clock: Clock
) -> None:
    made = add(backend)
    tell(clock)
    endpoints.switch_off(actor=builders.SYSTEM, endpoint=made, reason="the endpoint answered 410 Gone")
    assert WebhookDelivery.objects.get().state == DeliveryState.FAILED
    made = endpoints.change(actor=builders.SYSTEM, endpoint=made, events=(), enabled=True)
    made.refresh_from_db()
    assert (made.is_enabled, made.disabled_reason) == (True, "")
    assert WebhookDelivery.objects.get().state == DeliveryState.FAILED, "a person decides what is sent again"


def test_the_old_secret_signs_for_a_day_after_a_renewal(clock: Clock) -> None:
    made, old = endpoint(HOOK)
    new = endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=clock()).reveal()
    clock.at += endpoints.OVERLAP - timedelta(seconds=1)
    assert opened(made, clock) == [new, old]
    clock.step(seconds=1)
    assert opened(made, clock) == [new]
    assert AuditEvent.objects.get(action="webhook.changed").data == {"changed": ["secret"]}


def test_removing_destroys_the_secrets_and_keeps_the_log(clock: Clock) -> None:
    made, _old = endpoint(HOOK)
    endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=clock())
    tell(clock)
    endpoints.remove(actor=builders.SYSTEM, endpoint=made, now=clock())
    made.refresh_from_db()
    assert made.secret_envelope is None
    assert made.previous_secret_envelope is None
    assert WebhookDelivery.objects.get().state == DeliveryState.FAILED
    assert AuditEvent.objects.filter(action="webhook.removed").count() == 1
    for change in (
        lambda: endpoints.remove(actor=builders.SYSTEM, endpoint=made, now=clock()),
        lambda: endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=clock()),
        lambda: endpoints.change(actor=builders.SYSTEM, endpoint=made, events=(), enabled=True),
    ):
        with pytest.raises(Conflict):
            change()
    endpoint(HOOK)


def test_a_rotation_moves_both_secrets_and_the_old_key_can_go(own_key_file: Path, clock: Clock) -> None:
    made, old = endpoint(HOOK)
    builders.new_first_key(own_key_file)
    made.refresh_from_db()
    new = endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=clock()).reveal()
    first = builders.new_first_key(own_key_file)
    assert rotate.rotate().rewrapped["webhook"] == 1
    builders.lose_all_keys_but(own_key_file, first)
    assert sealed_rows.missing_keys() == set()
    assert opened(made, clock) == [new, old]
    assert AuditEvent.objects.filter(action="webhook.rewrapped").count() == 1
    assert audit_proof.verify().holds


def test_after_a_renewal_no_old_key_is_needed_that_a_rotation_would_miss(
    own_key_file: Path, clock: Clock
) -> None:
    made, old = endpoint(HOOK)
    first = builders.new_first_key(own_key_file)
    made.refresh_from_db()
    new = endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=clock()).reveal()
    rotate.rotate()
    builders.lose_all_keys_but(own_key_file, first)
    assert opened(made, clock) == [new, old]
