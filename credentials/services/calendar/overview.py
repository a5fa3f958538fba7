"""Everybody's ends for administrators: by week for the next 90 days."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import QuerySet
from django.utils.timezone import localdate

from credentials.models import Credential
from credentials.services.calendar.ends import End, EndKind, read

REACH = timedelta(days=90)
ANY_DAY = "any-day"
_WEEK = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which ends are meant: of one kind, certain or likely ones; all of them where nothing is said."""

    kind: str = ""
    is_certain: bool | None = None

    def picks(self, end: End) -> bool:
        fits = self.is_certain is None or end.is_certain is self.is_certain
        return fits and self.kind in {"", end.kind.value}


EVERY = Wanted()


@dataclass(frozen=True, kw_only=True, slots=True)
class Week:
    """The ends of one week; ``begins`` is None for those that can come on any day."""

    begins: date | None
    ends: tuple[tuple[Credential, End], ...]

    @property
    def key(self) -> str:
        """What the week is called in an address."""
        return self.begins.isoformat() if self.begins else ANY_DAY

    @property
    def last(self) -> date | None:
        return self.begins + timedelta(days=6) if self.begins else None

    @property
    def number(self) -> int:
        return len(self.ends)

    @property
    def certain(self) -> int:
        return sum(end.is_certain for _credential, end in self.ends)

    @property
    def kinds(self) -> list[tuple[EndKind, int]]:
        """How many of each kind, the most first."""
        return Counter(end.kind for _credential, end in self.ends).most_common()


def coming(
    credentials: QuerySet[Credential], *, now: datetime, within: timedelta = REACH, wanted: Wanted = EVERY
) -> list[tuple[Credential, End]]:
    """The first wanted end of each credential that has one in reach, in order."""
    found = read(credentials, now=now, within=within)
    firsts = ((row, next((end for end in ends if wanted.picks(end)), None)) for row, ends in found)
    return sorted(
        ((row, end) for row, end in firsts if end is not None),
        key=lambda one: (one[1].moment, str(one[0].pk)),
    )


def weeks(credentials: QuerySet[Credential], *, now: datetime, wanted: Wanted = EVERY) -> tuple[Week, ...]:
    """The weeks from this one on, empty ones too; before them what can come on any day, or is over by now."""
    by_week: dict[date | None, list[tuple[Credential, End]]] = {None: []}
    begins = _monday(localdate(now))
    while begins <= localdate(now + REACH):
        by_week[begins] = []
        begins += _WEEK
    for row, end in coming(credentials, now=now, wanted=wanted):
        by_week[_week_of(end, now)].append((row, end))
    return tuple(Week(begins=begins, ends=tuple(ends)) for begins, ends in by_week.items())


def of_week(
    credentials: QuerySet[Credential], key: str, *, now: datetime, wanted: Wanted = EVERY
) -> list[Credential]:
    """The credentials of the week that :attr:`Week.key` names; none for a name of no week."""
    return [
        row
        for row, end in coming(credentials, now=now, wanted=wanted)
        if Week(begins=_week_of(end, now), ends=()).key == key
    ]


def _week_of(end: End, now: datetime) -> date | None:
    return _monday(localdate(end.at)) if end.at is not None and end.at > now else None


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
