"""After a death: stores what the journal still holds, and asks once for what was interrupted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from credentials.models import Credential
from credentials.services.refresh import claim, journal
from credentials.services.refresh.claim import Claim, Outcome
from credentials.services.refresh.store import store

logger = logging.getLogger("credentials.refresh")

# A process that is alive stores its own answers; after so long anybody may.
_OWN = timedelta(minutes=2)
# An empty file of the journal is older than any call can last.
_LEFT_BEHIND = 600.0


def replay(*, now: Callable[[], datetime] = timezone.now) -> int:
    """Store the answers that lie in this machine's journal and in no row; how many there were."""
    replayed = 0
    for entry, pair in journal.entries():
        if not _is_left(pair, now=now()):
            continue
        try:
            outcome = store(pair, now=now())
        except Exception as problem:
            # One that cannot be stored must not stand before the others, nor end the refresher.
            logger.error("%s of the refresh journal waits: %s", entry.path.name, type(problem).__name__)
            continue
        entry.remove()
        replayed += 1
        logger.warning("an answer out of the refresh journal: %s", outcome.value)
    journal.drop_empty(older_than=time.time() - _LEFT_BEHIND)
    return replayed


def answered(taken: Claim, *, now: Callable[[], datetime] = timezone.now) -> Outcome | None:
    """Store the answer that an interrupted refresh left in this machine's journal; None where it left none.

    To ask again with a refresh token that is spent would end the grant at many providers, new pair and all
    (RFC 9700 section 4.14.2). Whoever wrote the answer has let go of the claim: it is ours to store.
    """
    outcome = None
    for entry, pair in journal.entries():
        if pair.credential == taken.credential.pk and pair.generation == taken.credential.generation + 1:
            outcome = store(pair, now=now())
            entry.remove()
    return outcome


def _is_left(pair: journal.Pair, *, now: datetime) -> bool:
    marked = Credential(refreshing_by=pair.by)
    return claim.is_abandoned(marked, now=now) or abs(now - pair.received_at) > _OWN


def abandoned(*, now: Callable[[], datetime] = timezone.now) -> list[UUID]:
    """The credentials whose refresh was interrupted: whoever claimed them is gone.

    What is quarantined is settled once it is released.
    """
    claimed = claim.refreshable().filter(refreshing_since__isnull=False).only("pk", "refreshing_by")
    return [row.pk for row in claimed if claim.is_abandoned(row, now=now())]
