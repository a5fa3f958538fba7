"""The refresher: renews ahead of time, at once for whoever waits, and heals what a death left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from uuid import UUID

from django.db import Error, close_old_connections, connection
from django.utils import timezone

from credentials.errors import ForgekeyError
from credentials.models import Credential
from credentials.services import database, processes
from credentials.services.processes import Kind
from credentials.services.refresh import claim, heal, perform
from credentials.services.refresh.claim import Outcome, Result

logger = logging.getLogger("credentials.refresh")

# Refreshes at the same time: in all, and at one host, so that a host that hangs leaves room for the others.
AT_ONCE = 16
AT_ONE_HOST = 6
_POLL = 0.05
_HEAL_EVERY = 5.0
# Before a row is looked at again that is reserved for a job, or that another process has.
_PAUSE = 0.5
_ASK_AGAIN = {Outcome.RESERVED, Outcome.BUSY, Outcome.WAITING}


def run(stop: threading.Event, *, now: Callable[[], datetime] = timezone.now) -> None:
    """Work until ``stop`` is set; refreshes that are under way then are finished first."""
    Refresher(now=now).run(stop)


def once(*, now: Callable[[], datetime] = timezone.now) -> int:
    """Everything that is due at this moment, where no refresher runs; how many tokens were renewed."""
    if processes.alive(Kind.REFRESHER, database.now()):
        return 0
    refresher = Refresher(now=now)
    refresher.heal()
    while refresher.look():
        refresher.wait_for_one()
    return refresher.finish()


class Refresher:
    """One refresher: what it has under way, and what it leaves alone for a moment."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="refresh")
        self._under_way: dict[UUID, tuple[UUID, Future[Result | None]]] = {}
        self._not_before: dict[UUID, float] = {}
        self._healed_at = float("-inf")
        self._refreshed = 0
        self._has_begun = False

    def run(self, stop: threading.Event) -> None:
        """Look, and look again, until told to stop; an outage of the database ends nothing."""
        while not stop.wait(_POLL):
            try:
                if time.monotonic() - self._healed_at >= _HEAL_EVERY:
                    self.heal()
                self.look()
            except (Error, ForgekeyError, OSError) as problem:
                logger.error("the refresher waits: %s", type(problem).__name__)
                connection.close()
                stop.wait(1.0)
        self.finish()

    def finish(self) -> int:
        """Wait for what is under way; how many tokens were renewed in all."""
        wait([future for _host, future in self._under_way.values()])
        self._collect()
        if self._has_begun:
            self._disconnect()
        self._pool.shutdown()
        return self._refreshed

    def _disconnect(self) -> None:
        """Each thread of the pool closes its connection: none takes two, because all wait for the last."""
        barrier = threading.Barrier(AT_ONCE)

        def leave() -> None:
            barrier.wait()
            connection.close()

        wait([self._pool.submit(leave) for _thread in range(AT_ONCE)])

    def heal(self) -> None:
        """Store what the journal holds, and ask once for what was interrupted."""
        heal.replay(now=self._now)
        for pk in heal.abandoned(now=self._now):
            host = Credential.objects.filter(pk=pk).values_list("host_id", flat=True).first()
            if host is not None:
                self._begin(pk, host)
        self._healed_at = time.monotonic()

    def look(self) -> int:
        """Begin what somebody waits for, then what is due; how many are under way then.

        What is left alone for a moment, and hosts that have enough to do, do not stand before the others.
        """
        self._collect()
        for rows in (
            claim.refreshable().filter(refresh_wanted_at__isnull=False).order_by("refresh_wanted_at"),
            claim.refreshable().filter(refresh_due_at__lte=self._now()).order_by("refresh_due_at"),
        ):
            free = rows.exclude(pk__in=self._left_alone()).exclude(host__in=self._busy_hosts())
            for pk, host in free.values_list("pk", "host_id")[: AT_ONCE * 4]:
                self._begin(pk, host)
        return len(self._under_way)

    def wait_for_one(self) -> None:
        """Until something that is under way is through."""
        wait([future for _host, future in self._under_way.values()], return_when=FIRST_COMPLETED)

    def _left_alone(self) -> set[UUID]:
        moment = time.monotonic()
        self._not_before = {pk: until for pk, until in self._not_before.items() if until > moment}
        return {*self._under_way, *self._not_before}

    def _busy_hosts(self) -> list[UUID]:
        busy = Counter(host for host, _future in self._under_way.values())
        return [host for host, count in busy.items() if count >= AT_ONE_HOST]

    def _begin(self, pk: UUID, host: UUID) -> None:
        if len(self._under_way) >= AT_ONCE or host in self._busy_hosts() or pk in self._left_alone():
            return
        self._has_begun = True
        self._under_way[pk] = (host, self._pool.submit(self._refresh, pk))

    def _refresh(self, pk: UUID) -> Result | None:
        try:
            return perform.refresh(pk, need=None, now=self._now)
        except Exception as problem:
            # One row must not end the refresher; what was claimed is found again by heal.
            logger.error("a refresh ended early: %s", type(problem).__name__)
            return None
        finally:
            close_old_connections()

    def _collect(self) -> None:
        for pk, (_host, future) in list(self._under_way.items()):
            if not future.done():
                continue
            del self._under_way[pk]
            result = future.result()
            if result is not None and result.outcome is Outcome.REFRESHED:
                self._refreshed += 1
                self._not_before.pop(pk, None)
            elif result is None or result.outcome in _ASK_AGAIN:
                self._not_before[pk] = time.monotonic() + _PAUSE
            elif result.outcome is Outcome.NOT_POSSIBLE:
                self._not_before[pk] = time.monotonic() + _HEAL_EVERY
