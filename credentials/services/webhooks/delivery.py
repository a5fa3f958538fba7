"""Sends what waits in the outbox: signed, guarded, retried for a day.

The database is spoken to by the calling thread only; the threads of a round do nothing but send, each to
another endpoint, so that one that does not answer holds up no other. In which order an endpoint gets its
messages is not promised: one that failed comes later than those behind it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.crypto.webhook_signature import sign
from credentials.errors import AddressError, CryptoError, ProviderError
from credentials.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from credentials.providers.http import Door
from credentials.services.audit import Actor
from credentials.services.webhooks import endpoints
from credentials.services.webhooks.outbox import CLAIMED, body_of

# After so many failures the next attempt waits so long; the last pause repeats. Ours, in the spirit of the
# schedule that the Standard Webhooks specification recommends (section "Retry schedule"): quick at first, for
# a restart, then patient, for an outage.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 900, 1800, 3600, 7200))
TRIED_FOR = timedelta(days=1)
# Each pause grows by up to so much at random, lest everything that failed together come back together.
_SPREAD = 0.2
_RANDOM = secrets.SystemRandom()
# More of a ``Retry-After`` is not believed.
LONGEST_WAIT = timedelta(hours=4)
# Endpoints that are sent to at the same time.
PARALLEL = 8
# No attempt is begun later in a round, so that it ends while its caller's own claim to the duty lasts.
ROUND = timedelta(seconds=45)
# A whole exchange takes no longer, in seconds. Receivers should answer first and work afterwards.
DEADLINE = 15.0

# These say that the endpoint as a whole cannot take more now.
_OVERLOADED = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_ACTOR = Actor.system("webhooks")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Route:
    """The way to one endpoint, for one round."""

    door: Door
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """One delivery that is ours until ``claim``, and exactly what is sent."""

    delivery: WebhookDelivery
    claim: datetime
    door: Door
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What came of it: ``status`` is None where nobody answered."""

    status: int | None
    problem: str = ""
    retry_after: timedelta | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def deliver_due(
    *,
    now: Callable[[], datetime] = timezone.now,
    spread: Callable[[], float] = _RANDOM.random,
) -> int:
    """Send everything that is due; how many messages were delivered.

    Safe to run by several workers at once: of one delivery, one of them sends. It ends after ``ROUND`` at
    the latest, and one exchange; what is left is due the next time. ``spread`` gives numbers from 0 to 1.
    """
    return _Round(now=now, spread=spread).run()


class _Round:
    """One run: what is being sent, and which endpoints are left alone until the next one."""

    def __init__(self, *, now: Callable[[], datetime], spread: Callable[[], float]) -> None:
        self._now, self._spread = now, spread
        self._until = now() + ROUND
        self._routes: dict[UUID, _Route] = {}
        self._resting: set[UUID] = set()
        self._busy: dict[Future[_Outcome], _Attempt] = {}

    def run(self) -> int:
        delivered = 0
        with ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="webhook") as pool:
            while True:
                self._begin(pool)
                if not self._busy:
                    return delivered
                # A second at most: meanwhile there may be something for the endpoints that are free.
                finished, _running = wait(self._busy, timeout=1, return_when=FIRST_COMPLETED)
                for future in finished:
                    attempt, outcome = self._busy.pop(future), future.result()
                    self._settle(attempt, outcome)
                    delivered += outcome.delivered

    def _begin(self, pool: Executor) -> None:
        while len(self._busy) < PARALLEL and self._now() < self._until:
            delivery = self._next()
            if delivery is None:
                return
            attempt = self._prepared(delivery)
            if attempt is not None:
                self._busy[pool.submit(_send, attempt)] = attempt

    def _next(self) -> WebhookDelivery | None:
        """What is due first, of an endpoint that is neither being sent to nor left alone."""
        taken = self._resting | {attempt.delivery.endpoint_id for attempt in self._busy.values()}
        return (
            WebhookDelivery.objects.filter(state=DeliveryState.PENDING, next_attempt_at__lte=self._now())
            .exclude(endpoint__in=taken)
            .select_related("endpoint__client", "message")
            .defer("endpoint__client__key_hash")
            .order_by("next_attempt_at")
            .first()
        )

    def _prepared(self, delivery: WebhookDelivery) -> _Attempt | None:
        endpoint, moment = delivery.endpoint, self._now()
        if not endpoint.is_open or not endpoint.client.is_active(moment):
            endpoints.give_up(endpoint, reason="nothing is sent to this endpoint any more")
            return None
        try:
            route = self._route_to(endpoint)
        except CryptoError as error:
            self._unopened(delivery, error, at=moment)
            return None
        claim = moment + CLAIMED
        # By the row's own columns only: of two workers, who had to wait for the other's update finds nothing
        # due any more. What a subquery has found, PostgreSQL does not look at again.
        mine = WebhookDelivery.objects.filter(
            pk=delivery.pk, state=DeliveryState.PENDING, next_attempt_at__lte=moment
        )
        if not mine.update(next_attempt_at=claim, attempts=F("attempts") + 1):
            return None
        delivery.attempts += 1
        body = body_of(delivery.message)
        headers = _headers(str(delivery.message_id), body, route.secrets, at=moment)
        return _Attempt(delivery=delivery, claim=claim, door=route.door, headers=headers, body=body)

    def _unopened(self, delivery: WebhookDelivery, error: CryptoError, *, at: datetime) -> None:
        """The operator's to mend: no attempt is counted, so that what waits is sent as soon as that is done."""
        kind = type(error).__name__
        problem = f"the signing secret does not open: {kind}"
        self._resting.add(delivery.endpoint_id)
        row = WebhookDelivery.objects.filter(
            pk=delivery.pk, state=DeliveryState.PENDING, next_attempt_at=delivery.next_attempt_at
        )
        if row.exclude(last_error=problem).update(last_error=problem):  # said once, not every round
            logger.error(
                "webhook endpoint %s: the signing secret does not open: %s", delivery.endpoint_id, kind
            )
        if at >= delivery.created_at + TRIED_FOR:
            row.update(state=DeliveryState.FAILED, next_attempt_at=None)
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id, failing_since=None).update(failing_since=at)

    def _route_to(self, endpoint: WebhookEndpoint) -> _Route:
        """Made once a round, so that a thousand messages open the secret once."""
        if endpoint.pk not in self._routes:
            opened = endpoints.open_secrets(endpoint, actor=_ACTOR, purpose="delivery", now=self._now())
            self._routes[endpoint.pk] = _Route(door=_door_to(endpoint, now=self._now), secrets=opened)
        return self._routes[endpoint.pk]

    def _settle(self, attempt: _Attempt, outcome: _Outcome) -> None:
        if outcome.delivered:
            self._delivered(attempt, outcome)
            return
        endpoint = attempt.delivery.endpoint
        self._failed(attempt, outcome)
        WebhookEndpoint.objects.filter(pk=endpoint.pk, failing_since=None).update(failing_since=self._now())
        if outcome.status is None or outcome.status in _OVERLOADED:
            self._resting.add(endpoint.pk)
        if outcome.status == HTTPStatus.GONE:
            endpoints.switch_off(actor=_ACTOR, endpoint=endpoint, reason="the endpoint answered 410 Gone")

    def _delivered(self, attempt: _Attempt, outcome: _Outcome) -> None:
        moment, endpoint = self._now(), attempt.delivery.endpoint
        row = WebhookDelivery.objects.filter(pk=attempt.delivery.pk).exclude(state=DeliveryState.DELIVERED)
        row.update(
            state=DeliveryState.DELIVERED,
            delivered_at=Coalesce("delivered_at", Value(moment)),
            next_attempt_at=None,
            last_status=outcome.status,
            last_error="",
        )
        if endpoint.failing_since is None:
            return
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=None)
        # It answers again: what only waits because nobody answered need not wait any longer. What somebody
        # may be sending at this moment has a claim that ends sooner, and is left alone.
        WebhookDelivery.objects.filter(
            endpoint=endpoint,
            state=DeliveryState.PENDING,
            attempts__gt=0,
            last_status=None,
            next_attempt_at__gt=moment + 2 * CLAIMED,
        ).update(next_attempt_at=moment)

    def _failed(self, attempt: _Attempt, outcome: _Outcome) -> None:
        delivery, moment = attempt.delivery, self._now()
        ends = delivery.round_began_at + TRIED_FOR
        over = moment >= ends
        # Only while the claim is ours: whoever took it over since knows better.
        row = WebhookDelivery.objects.filter(
            pk=delivery.pk, state=DeliveryState.PENDING, next_attempt_at=attempt.claim
        )
        row.update(
            state=DeliveryState.FAILED if over else DeliveryState.PENDING,
            next_attempt_at=None if over else min(moment + self._pause(delivery, outcome), ends),
            last_status=outcome.status,
            last_error=outcome.problem[:200],
        )

    def _pause(self, delivery: WebhookDelivery, outcome: _Outcome) -> timedelta:
        """Until the next attempt: as the schedule has it, or longer where the receiver asks for that."""
        usual = PAUSES[min(delivery.round_attempts, len(PAUSES)) - 1] * (1 + _SPREAD * self._spread())
        return max(usual, min(outcome.retry_after or timedelta(0), LONGEST_WAIT))


def _door_to(endpoint: WebhookEndpoint, *, now: Callable[[], datetime]) -> Door:
    return Door(
        allow_private=endpoint.allow_private_network,
        timeout=(conf.connect_timeout.total_seconds(), DEADLINE),
        deadline=DEADLINE,
        user_agent=conf.product_name,
        now=now,
    )


def _headers(message_id: str, body: bytes, opened: tuple[Secret, ...], *, at: datetime) -> dict[str, str]:
    seconds = int(at.timestamp())
    signatures = (sign(secret, message_id=message_id, timestamp=seconds, body=body) for secret in opened)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def _send(attempt: _Attempt) -> _Outcome:
    """In a thread of its own: no database here."""
    url = attempt.delivery.endpoint.url
    try:
        answer = attempt.door.request("POST", url, headers=attempt.headers, body=attempt.body)
    except ProviderError as problem:
        return _Outcome(status=problem.status, problem=problem.evidence, retry_after=problem.retry_after)
    except AddressError as problem:
        return _Outcome(status=None, problem=str(problem))
    return _Outcome(status=answer.status, problem=answer.evidence)
