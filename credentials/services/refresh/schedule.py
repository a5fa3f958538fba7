"""When an access token is renewed: ahead of its end, and again after a failure."""

from __future__ import annotations

from datetime import datetime, timedelta

# Ahead of the end: a quarter of the token's life, half an hour at most.
LONGEST_AHEAD = timedelta(minutes=30)
# What a reader of the row allows for between its look and the token's use.
MARGIN = timedelta(seconds=30)
# A row sealed further ahead than this was written by a clock that has since been set back.
SKEW = timedelta(minutes=1)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)


def due_at(*, received_at: datetime, expires_at: datetime | None) -> datetime | None:
    """When a token received now is to be renewed ahead of time; None for one without an end."""
    if expires_at is None:
        return None
    return expires_at - min((expires_at - received_at) / 4, LONGEST_AHEAD)


def pause(failures: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    return min(FIRST_PAUSE * (1 << min(max(failures - 1, 0), 10)), LONGEST_PAUSE)


def lives(*, expires_at: datetime | None, sealed_at: datetime | None, need: timedelta, now: datetime) -> bool:
    """Whether an access token sealed at ``sealed_at`` lives for ``need`` yet, as far as is known.

    No token can be asked for more than half of the life that its host gives it: a newer one would not do
    either. The end is counted from when the token came; where our clock was ahead then, and has been set back
    since, it is too late by as much: nothing is known, and a new token says more.
    """
    if expires_at is None:
        return True
    if sealed_at is None:
        return expires_at - now >= need
    if sealed_at > now + SKEW:
        return False
    return expires_at - now >= min(need, (expires_at - sealed_at) / 2)
