"""A receiver on loopback, its endpoint, and a check of signatures that shares no line with the product."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from credentials.models import ServiceClient, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookMessage
from credentials.services.webhooks import delivery, endpoints, outbox
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Seen, Server


class Receiver(Server):
    """Answers 204, or what ``reply`` says at the moment."""

    def __init__(self, *, port: int = 0) -> None:
        self.reply: Callable[[Seen], Reply] | Reply = Reply(status=204)
        super().__init__(
            lambda seen: self.reply if isinstance(self.reply, Reply) else self.reply(seen), port=port
        )

    @property
    def hook(self) -> str:
        return f"{self.url}/hooks/forgekey?tenant=1"

    @property
    def told(self) -> list[dict[str, Any]]:
        """The messages as they arrived."""
        return [json.loads(seen.body) for seen in self.seen]

    def ids(self) -> list[str]:
        return [header(seen, "webhook-id") for seen in self.seen]


def header(seen: Seen, name: str) -> str:
    return {key.lower(): value for key, value in seen.headers.items()}[name]


def is_signed(seen: Seen, secret: str, *, body: bytes | None = None) -> bool:
    """Whether one of the signatures is this secret's, over what arrived or over another ``body``."""
    text = f"{header(seen, 'webhook-id')}.{header(seen, 'webhook-timestamp')}."
    signed = text.encode() + (seen.body if body is None else body)
    key = base64.b64decode(secret.split("_", 1)[1])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in header(seen, "webhook-signature").split(" ")


def endpoint(
    url: str, *, client: ServiceClient | None = None, events: Sequence[str] = (), private: bool = True
) -> tuple[WebhookEndpoint, str]:
    """An endpoint of a client, and its signing secret as its receiver keeps it."""
    owner = client or ServiceClient.objects.first() or builders.client()[0]
    made, secret = endpoints.add(
        actor=builders.SYSTEM, client=owner, url=url, events=events, allow_private_network=private
    )
    return made, secret.reveal()


def tell(clock: Clock, *, user: str = "alice", host: str = "") -> WebhookMessage:
    """Announce something."""
    message = outbox.announce(
        WebhookEvent.USER_OFFBOARDED, host=host, data={"user": user, "credentials": 2}, now=clock()
    )
    assert message is not None
    return message


def only() -> WebhookDelivery:
    """The one delivery there is, as it is now."""
    return WebhookDelivery.objects.get()


def deliver(clock: Clock, *, spread: float = 0.0) -> int:
    return delivery.deliver_due(now=clock, spread=lambda: spread)


def until(clock: Clock, end: datetime) -> list[timedelta]:
    """Let every attempt happen at its time, up to ``end``; how long after the first moment each was."""
    begun, attempts = clock(), []
    while (due := only().next_attempt_at) is not None and due <= end:
        clock.at = max(due, clock())
        deliver(clock)
        attempts.append(clock() - begun)
    return attempts
