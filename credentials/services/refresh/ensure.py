"""Sees to it that a credential's token lives: the refresher is asked, or this process does it itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import Error
from django.utils import timezone

from credentials.conf import conf
from credentials.errors import AuditUnavailable, ConfigurationError, CryptoError, RefreshUnavailable
from credentials.models import Credential
from credentials.models.credential import LENDABLE
from credentials.services import database, processes
from credentials.services.processes import Kind
from credentials.services.refresh import claim, perform, schedule
from credentials.services.refresh.claim import Outcome

# What a question to the host needs of its token.
FOR_A_QUESTION = timedelta(minutes=1)
_FIRST_POLL, _LONGEST_POLL = 0.02, 0.2
# Beside the provider's own time: to hear of it, to claim and to store.
_GRACE = timedelta(seconds=3)


def fresh(
    credential: Credential,
    *,
    min_valid: timedelta = FOR_A_QUESTION,
    distrusted: bool = False,
    now: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> Credential:
    """The credential, brought up to date in place, with a token that lives for ``min_valid``.

    One that is not renewable is returned as it is, as is one whose owner has to connect again: their states
    say so. ``distrusted`` says that the host has refused the present token. Raises RefreshUnavailable where a
    new token is needed and cannot be had at this moment; nothing is lost then.
    """
    distrust = credential.generation if distrusted else None
    if not _needs_refresh(credential, min_valid, distrust=distrust, now=now()):
        return credential
    until = _through_refresher(credential, min_valid, distrust, now=now, sleep=sleep)
    credential.refresh_from_db()
    if credential.status not in LENDABLE or not credential.is_renewable:
        return credential
    if not _needs_refresh(credential, min_valid, distrust=distrust, now=now()):
        return credential
    wait = (until or credential.refresh_due_at or now()) - now()
    raise RefreshUnavailable(
        "The host could not renew the token just now. Nothing is lost; try again a little later.",
        evidence="refresh: not now",
        retry_after=min(max(wait, timedelta(seconds=1)), schedule.LONGEST_PAUSE),
    )


def settled(
    credential: Credential,
    *,
    now: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the refresh that is under way is through; one that was abandoned is taken up again.

    Raises RefreshUnavailable where it takes longer than a call may.
    """
    if processes.alive(Kind.REFRESHER, database.now()):
        _wait_until(lambda row: row.refreshing_since is None, credential, sleep=sleep)
    else:
        _here(credential, timedelta(0), None, now=now, sleep=sleep)
    credential.refresh_from_db()
    if credential.refreshing_since is not None:
        raise RefreshUnavailable(
            "The token is being renewed at this moment. Try again a little later.",
            evidence="refresh: under way",
        )


def _needs_refresh(
    credential: Credential, min_valid: timedelta, *, distrust: int | None, now: datetime
) -> bool:
    if not claim.is_possible(credential):
        return False
    return credential.generation == distrust or not schedule.lives(
        expires_at=credential.expires_at,
        sealed_at=credential.sealed_at,
        need=max(min_valid, schedule.MARGIN),
        now=now,
    )


def _through_refresher(
    credential: Credential,
    min_valid: timedelta,
    distrust: int | None,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> datetime | None:
    """Have it done; when to ask again, where that is known."""
    need = max(min_valid, schedule.MARGIN)
    if not processes.alive(Kind.REFRESHER, database.now()):
        return _here(credential, need, distrust, now=now, sleep=sleep)
    known = claim.refusal(_as_it_is(credential), need=need, distrust=distrust, now=now())
    rows = Credential.objects.filter(pk=credential.pk, generation=credential.generation)
    # What the host has refused is at its end, whatever it said before; no job has any use for it.
    rows.update(refresh_wanted_at=now(), **({"expires_at": now()} if distrust is not None else {}))
    if known is not None and known.until is not None:
        # A job still uses the token, or the host has just failed: that is told at once.
        return known.until
    _wait_until(lambda row: row.refresh_wanted_at is None, credential, sleep=sleep)
    return None


def _as_it_is(credential: Credential) -> Credential:
    return Credential.objects.select_related("host", "owner").get(pk=credential.pk)


def _wait_until(
    is_over: Callable[[Credential], bool], credential: Credential, *, sleep: Callable[[float], None]
) -> None:
    """Until the row has another generation or ``is_over``, or for as long as a call may take."""
    deadline = time.monotonic() + _patience()
    poll = _FIRST_POLL
    rows = Credential.objects.filter(pk=credential.pk)
    while time.monotonic() < deadline:
        sleep(poll)
        poll = min(poll * 1.5, _LONGEST_POLL)
        row = rows.only("generation", "refresh_wanted_at", "refreshing_since").first()
        if row is None or row.generation != credential.generation or is_over(row):
            return


def _patience() -> float:
    return (conf.connect_timeout + conf.read_timeout + _GRACE).total_seconds()


def _here(
    credential: Credential,
    need: timedelta,
    distrust: int | None,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> datetime | None:
    """No refresher runs: do it in this process, or wait for the one that is at it."""
    deadline = time.monotonic() + _patience()
    while True:
        try:
            result = perform.refresh(credential.pk, need=need, distrust=distrust, now=now, sleep=sleep)
        except (CryptoError, ConfigurationError, OSError, Error, AuditUnavailable) as problem:
            raise RefreshUnavailable(
                "A new token could not be stored now, so none was asked for. Nothing is lost.",
                evidence=f"refresh: {type(problem).__name__}",
            ) from problem
        if result.outcome is not Outcome.BUSY or time.monotonic() > deadline:
            return result.until
        _wait_until(lambda row: row.refreshing_since is None, credential, sleep=sleep)
