"""What clients shall be told: written in the transaction of the change itself, so that neither exists alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from credentials.errors import Conflict
from credentials.models import DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookMessage
from credentials.providers.free_text import has_token
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.webhooks.endpoints import subject_of

KEPT = timedelta(days=30)
# How long a delivery belongs to whoever has begun to send it: far longer than any attempt takes, so that of
# two workers one sends, and short enough that a killed one costs little.
CLAIMED = timedelta(minutes=2)

# Everything a message may hold, by name: an allow-list, so that no secret slips in. A mapping describes a
# nested object, or each object of a list.
Shape = Mapping[str, Any]
DATA_FIELDS: Shape = {
    "credential": str,
    "user": str,
    "host": str,
    "provider": str,
    "kind": str,
    "label": str,
    "account": {"id": str, "name": str},
    "status": str,
    "status_before": str,
    "status_detail": str,
    "lendable": bool,
    "missing_scopes": list,
    "expires_at": str,
    "days": int,
    "threshold": int,
    "reason": str,
    "organization": {"key": str, "name": str},
    "organizations": {"key": str, "name": str, "state": str},
    "state": str,
    "state_before": str,
    "since": str,
    "credentials": int,
    "import": str,
    "library": str,
    "snapshot": str,
}


def announce(
    event: WebhookEvent,
    *,
    host: str | None,
    data: Mapping[str, object] | Callable[[], Mapping[str, object]],
    now: datetime,
) -> WebhookMessage | None:
    """Tell every endpoint that wants this event and may see ``host``, inside the caller's transaction.

    ``host`` is a slug, empty for what concerns a person at every host: that is not for clients that are limited
    to some. None is for what concerns no host at all, and every client may know. Where nobody listens, ``data`` is
    not even made.
    Raises ValueError for data outside the allow-list.
    """
    wanting = [one for one in listening(now=now) if _wants(one, event) and _may_see(one, host)]
    if not wanting:
        return None
    found = data() if callable(data) else data
    message = WebhookMessage.objects.create(
        event=event.value, host=host or "", data=_checked(found, DATA_FIELDS), created_at=now
    )
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(endpoint=one, message=message, created_at=now, next_attempt_at=now) for one in wanting
    )
    return message


def listening(*, now: datetime) -> QuerySet[WebhookEndpoint]:
    """The endpoints to which anything is sent at this moment."""
    lasting = Q(client__expires_at=None) | Q(client__expires_at__gt=now)
    return (
        WebhookEndpoint.objects.filter(lasting, is_enabled=True, removed_at=None, client__revoked_at=None)
        .select_related("client")
        .defer("secret_envelope", "previous_secret_envelope", "client__key_hash")
        .order_by()
    )


def _wants(endpoint: WebhookEndpoint, event: WebhookEvent) -> bool:
    return not endpoint.events or event.value in endpoint.events


def _may_see(endpoint: WebhookEndpoint, host: str | None) -> bool:
    return host is None or not endpoint.client.hosts or host in endpoint.client.hosts


def _checked(data: Mapping[str, object], shape: Shape) -> dict[str, object]:
    checked: dict[str, object] = {}
    for name, value in data.items():
        if name not in shape:
            raise ValueError(f"A webhook message may not carry {name!r}.")
        checked[name] = None if value is None else _fitting(name, value, shape[name])
    return checked


def _fitting(name: str, value: object, expected: Any) -> object:
    if isinstance(expected, Mapping) and isinstance(value, Mapping):
        return _checked(value, expected)
    if isinstance(expected, Mapping) and isinstance(value, list):
        return [_checked(item, expected) for item in value]
    if isinstance(expected, Mapping) or not isinstance(value, expected):
        raise ValueError(f"A webhook message may not carry {name!r} of this type.")
    if isinstance(value, list):
        return [_fitting(name, item, str) for item in value]
    # People paste tokens into names, too.
    return "" if isinstance(value, str) and has_token(value) else value


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def body_of(message: WebhookMessage) -> bytes:
    """The bytes that are signed and sent, the same at every attempt."""
    told = {"type": message.event, "timestamp": time_text(message.created_at), "data": message.data}
    return json.dumps(told, separators=(",", ":")).encode()


@transaction.atomic
def send_again(*, actor: Actor, delivery: WebhookDelivery, now: datetime) -> bool:
    """Queue a message once more for the same endpoint, under the id it had; it is tried for a day again.

    How it went before stays in the log until there is another answer, and when it first arrived for good.
    False where it is about to be sent anyway. Raises Conflict where nothing is sent to this endpoint.
    """
    if not listening(now=now).filter(pk=delivery.endpoint_id).exists():
        raise Conflict(_("Nothing is sent to this endpoint at present. Switch it on first."))
    soon = Q(state=DeliveryState.PENDING, next_attempt_at__lte=now + 2 * CLAIMED)
    waiting = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(soon)
    if not waiting.update(
        state=DeliveryState.PENDING,
        attempts_before=F("attempts"),
        sent_again_at=now,
        next_attempt_at=now,
    ):
        return False
    audit.record(
        "webhook.replayed",
        actor=actor,
        subject=subject_of(delivery.endpoint),
        reference=str(delivery.message_id),
        data={"event": delivery.message.event},
    )
    return True


def drop_old(*, now: datetime) -> int:
    """Forget messages after 30 days with their deliveries, then endpoints that were removed before; how many rows."""
    old = now - KEPT
    recent = WebhookDelivery.objects.filter(Q(created_at__gte=old) | Q(sent_again_at__gte=old))
    messages = WebhookMessage.objects.filter(created_at__lt=old).exclude(pk__in=recent.values("message"))
    removed = WebhookEndpoint.objects.filter(removed_at__lt=old, deliveries=None)
    return messages.delete()[0] + removed.delete()[0]
