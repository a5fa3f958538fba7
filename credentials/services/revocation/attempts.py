"""Asks hosts to kill the tokens that wait for it, until each is proved dead or left to a person.

A row is claimed before its secrets are opened, so that two processes never ask at once; the claim of one
that was killed ends by itself. What an attempt brought is kept only if nobody claimed the row since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials.models import Revocation, RevocationState
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.revocation import asking, batches
from credentials.services.revocation.asking import Outcome
from credentials.services.revocation.requests import SETTLED, subject_of

FIRST = timedelta(minutes=1)
LONGEST = timedelta(hours=6)
# After so long a person does it: what a host has not done within a week it will hardly do.
GIVES_UP = timedelta(days=7)
# Longer than the slowest attempt: of an hour's worth of answers each may take its whole deadline.
CLAIM = timedelta(minutes=10)
# More at once would hold up the other duties of the round.
MOST_A_ROUND = 10_000


def attempt(
    revocation: Revocation, *, actor: Actor, now: Callable[[], datetime] = timezone.now
) -> Revocation:
    """Ask the host once, at once; the row as it is afterwards.

    Nothing happens where it is final already, or another process is asking. Raises AuditUnavailable.
    """
    mine = _claim(revocation.pk, now=now())
    if mine is None:
        return _row(revocation.pk)
    return _settle(mine, asking.ask(mine, actor=actor, now=now), actor=actor, now=now())


def attempt_due(*, actor: Actor, now: Callable[[], datetime] = timezone.now) -> int:
    """Ask about all whose time has come, many in one call where the host offers that; how many were asked.

    Raises AuditUnavailable.
    """
    done = 0
    for together in batches.due(_due(now=now())[:MOST_A_ROUND]):
        with transaction.atomic():
            mine = [row for pk in together if (row := _claim(pk, now=now())) is not None]
        if len(mine) == 1:
            outcomes = iter([(mine[0], asking.ask(mine[0], actor=actor, now=now))])
        else:
            outcomes = batches.ask(mine, actor=actor, now=now)
        for row, outcome in outcomes:
            _settle(row, outcome, actor=actor, now=now())
        done += len(mine)
    return done


def _due(*, now: datetime) -> list[Revocation]:
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    waiting = Revocation.objects.filter(free, state=RevocationState.PENDING, next_attempt_at__lte=now)
    return list(
        waiting.select_related("host")
        .defer("access_envelope", "refresh_envelope")
        .order_by("next_attempt_at", "pk")
    )


def _claim(pk: UUID, *, now: datetime) -> Revocation | None:
    """Take the row for this process; None where it is final, gone, or another's."""
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    rows = Revocation.objects.filter(free, pk=pk, state=RevocationState.PENDING)
    if not rows.update(claimed_until=now + CLAIM, attempts=F("attempts") + 1):
        return None
    return _row(pk)


def _row(pk: UUID) -> Revocation:
    return Revocation.objects.select_related("host", "credential").get(pk=pk)


@transaction.atomic
def _settle(mine: Revocation, outcome: Outcome, *, actor: Actor, now: datetime) -> Revocation:
    """Keep what an attempt brought, unless another process has claimed the row since."""
    rows = Revocation.objects.select_for_update(of=("self",)).select_related("host")
    current = rows.get(pk=mine.pk)
    if current.state != RevocationState.PENDING or current.attempts != mine.attempts:
        return current
    state, current.evidence = outcome.state, outcome.evidence[:300]
    if outcome.doubt and not current.in_doubt:  # the pair that nobody knew came meanwhile
        state, current.evidence = RevocationState.ALREADY_INVALID, SETTLED
    if state == RevocationState.PENDING and now - current.requested_at >= GIVES_UP:
        state = RevocationState.MANUAL
    if outcome.accepted and current.accepted_at is None:
        current.accepted_at = now
    current.state, current.claimed_until = state, None
    if state == RevocationState.PENDING:
        current.next_attempt_at = _next(current, outcome, now=now)
    else:
        _finish(current, outcome, now=now)
    current.save()
    audit.record(
        "credential.revocation",
        actor=actor,
        subject=subject_of(current),
        data={"revocation": current.state, "attempts": current.attempts, "reason": current.reason},
    )
    return current


def _next(current: Revocation, outcome: Outcome, *, now: datetime) -> datetime:
    """One minute, doubling, at most six hours; later where the host asks for it, but not past the end."""
    pause = min(FIRST * (1 << min(current.attempts - 1, 10)), LONGEST)
    then = now + max(pause, outcome.retry_after or pause)
    return min(then, max(current.requested_at + GIVES_UP, now + FIRST))


def _finish(current: Revocation, outcome: Outcome, *, now: datetime) -> None:
    current.finished_at, current.next_attempt_at = now, None
    current.access_envelope = current.refresh_envelope = None
    current.key_id = ""
    # Only this doubt can still be settled, by a late answer.
    current.in_doubt = outcome.doubt and current.state == RevocationState.MANUAL
    if current.state in {RevocationState.REVOKED, RevocationState.ALREADY_INVALID}:
        current.verified_at = now
    if outcome.in_use:
        current.manual_url = ""
