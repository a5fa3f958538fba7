"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone


class Clock:
    """Call it for the time; ``step`` moves it on."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or timezone.now().replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.at

    def step(self, **by: float) -> datetime:
        """Move on by so many ``seconds=``, ``minutes=``, ``hours=``; the new time."""
        self.at += timedelta(**by)
        return self.at
