"""The circuit breaker of each host, in the database, so that all processes share it.

Closed while a host answers. After ``FAILURES`` failures in a row nobody asks it any more, but for one
question a minute, which one process claims; its success opens the way for all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from credentials.errors import ProviderError, ProviderUnreachable
from credentials.models import Host, HostHealth

FAILURES = 5
PAUSE = timedelta(minutes=1)
# With this begins the evidence of a question that was kept in.
NOT_ASKED = "not asked"


class CircuitBreaker:
    """One operation's way to a host: asked before each request, told after each.

    What it knows at the first request holds for the whole operation, which asks a handful of questions.
    """

    def __init__(self, host: Host, *, now: Callable[[], datetime]) -> None:
        self._host = host
        self._now = now
        self._known: HostHealth | None = None
        self._entered = False

    def enter(self) -> None:
        """Raises ProviderUnreachable, without asking the host, while its breaker is open."""
        if self._entered:
            return
        self._known = HostHealth.objects.filter(pk=self._host.pk).first()
        if self._known is not None and self._known.failures >= FAILURES and not self._claim(self._known):
            raise ProviderUnreachable(
                "the host has not been answering; it is asked again soon",
                evidence=f"{NOT_ASKED}: {self._known.last_failure}"[:300],
            )
        self._entered = True

    def _claim(self, known: HostHealth) -> bool:
        """Take the one question a minute; of several processes one gets it."""
        moment = self._now()
        if known.retry_at is not None and known.retry_at > moment:
            return False
        mine = HostHealth.objects.filter(pk=known.pk, retry_at=known.retry_at)
        return bool(mine.update(retry_at=moment + PAUSE))

    def succeeded(self) -> None:
        """The host answered as itself."""
        if self._known is not None and self._known.failures:
            HostHealth.objects.filter(pk=self._host.pk).update(
                failures=0, failing_since=None, retry_at=None, last_failure=""
            )
            self._known = None

    def failed(self, problem: ProviderError) -> None:
        """The host did not answer, or not as itself."""
        moment = self._now()
        self._known, _created = HostHealth.objects.get_or_create(
            host=self._host, defaults={"failing_since": moment}
        )
        health = HostHealth.objects.filter(pk=self._host.pk)
        health.filter(failures=0).update(failing_since=moment)
        health.update(
            failures=F("failures") + 1, last_failure=problem.evidence[:300], retry_at=moment + PAUSE
        )
        self._known.failures += 1
        self._entered = False


def blocked_at(now: datetime) -> QuerySet[HostHealth]:
    """The hosts that nobody may ask at this moment."""
    return HostHealth.objects.filter(failures__gte=FAILURES, retry_at__gt=now)


def is_blocked(host: Host, *, now: datetime) -> bool:
    """Whether the breaker keeps everybody from asking at this moment."""
    return blocked_at(now).filter(pk=host.pk).exists()
