"""Warns before an end: 30, 14, 7 and 1 days ahead, each once, whoever looks how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from credentials.conf import conf
from credentials.models import Credential, Notice, Status
from credentials.models.credential import is_near
from credentials.services import audit, changes, notices
from credentials.services.audit import Actor
from credentials.services.calendar.ends import (
    FIRST_WARNING,
    End,
    EndKind,
    Mend,
    crowded,
    ends_of,
    prepared,
    read,
    unsealed,
)
from credentials.services.logins import subject_of

THRESHOLDS = (FIRST_WARNING, 14, 7, 1)
_ACTOR = Actor.system("calendar")
_DAY = timedelta(days=1)
_AT_ONCE = 500


def warn_due(*, now: datetime) -> int:
    """Tell of every end that has come within its next threshold; how many warnings were given.

    Each is told in one transaction with the row's memory of it, under the row's lock: a second worker, or the
    next run of a killed one, finds it told. After a pause only the nearest threshold is told. News of an end
    that was put off counts as read.
    """
    given = sum(_warn(pk, now=now) for pk in _due(now))
    _settle(now)
    return given


def _due(now: datetime) -> list[UUID]:
    horizon = max(FIRST_WARNING * _DAY, conf.expiring_window)
    found = read(_warned(), now=now, within=horizon)
    return [row.pk for row, ends in found if _is_near(row, ends, now) or any(_to_tell(row, ends, now))]


def _warned() -> QuerySet[Credential]:
    """Whose owner can do something about it: an active person, a host that is open."""
    return Credential.objects.filter(owner__is_active=True, host__is_enabled=True)


@transaction.atomic
def _warn(pk: UUID, *, now: datetime) -> int:
    """Bring one credential's warnings up to date; what was read without its lock is read again."""
    row = unsealed(prepared(_warned().filter(pk=pk))).select_for_update(of=("self",)).first()
    if row is None:
        return 0
    ends = ends_of(row, now=now, is_crowded=pk in crowded([row]))
    due = list(_to_tell(row, ends, now))
    before, expires = row.status, _is_near(row, ends, now)
    if expires:
        row.status = Status.EXPIRING
    for end, days in due:
        row.told[end.kind.value] = [_mark(end), days]
        _tell(row, end, days, now=now, before=before if expires else "")
    if expires and not due:
        _record(row, {"status_before": before, "status": row.status})
    Credential.objects.filter(pk=pk).update(told=row.told, status=row.status)
    return len(due)


def _to_tell(row: Any, ends: tuple[End, ...], now: datetime) -> Iterator[tuple[End, int]]:
    """The ends to tell of now, each with how many days ahead; what only administrators can mend is theirs."""
    for end in ends:
        days = _threshold(end, now)
        if days is None or end.step is Mend.ADMINISTRATOR:
            continue
        told_of, told = row.told.get(end.kind.value, ("", None))
        known = told is not None and _is_same(end, told_of)
        if not known or days < told:
            yield end, days


def _threshold(end: End, now: datetime) -> int | None:
    """The nearest threshold that the end has come within; None where it is too far away, or over.

    0 where it can come any day. A likely end that passed while nobody looked is told as if it came tomorrow.
    """
    if end.at is None:
        return 0
    left = end.at - now
    if left <= timedelta(0):
        return None if end.is_certain else THRESHOLDS[-1]
    return next(
        (days for days in reversed(THRESHOLDS) if left <= days * _DAY <= end.warned_from * _DAY), None
    )


def _mark(end: End) -> str:
    return end.mark if end.at is None else end.at.isoformat()


def _is_same(end: End, told_of: str) -> bool:
    """Whether an earlier warning was about this end. One that moved by less than a day is the same."""
    if end.at is None:
        return end.mark == told_of
    try:
        return abs(end.at - datetime.fromisoformat(told_of)) < _DAY
    except (ValueError, TypeError):
        return False


def _is_near(row: Any, ends: tuple[End, ...], now: datetime) -> bool:
    """Whether a working credential counts as expiring from now on; one that is over does not any more."""
    dated = (end.at for end in ends if end.kind is EndKind.EXPIRY and end.at is not None and end.at > now)
    return row.status == Status.VALID and any(is_near(row.kind, at, now=now) for at in dated)


def _tell(row: Credential, end: End, days: int, *, now: datetime, before: str) -> None:
    notices.about_end(row, kind=end.kind.value, at=end.at, is_certain=end.is_certain, now=now)
    changes.ends_soon(row, threshold=days, at=end.at, now=now)
    data: dict[str, object] = {"days": days, "reason": end.kind.value}
    if end.at is not None:
        data["expires_at"] = end.at.isoformat()
    if before:
        data |= {"status_before": before, "status": row.status}
    _record(row, data)


def _record(row: Credential, data: dict[str, object]) -> None:
    audit.record("credential.expiring", actor=_ACTOR, subject=subject_of(row), data=data)


def _settle(now: datetime) -> None:
    """News of ends that do not stand any more counts as read: the token was used, renewed or replaced."""
    unread = Notice.objects.filter(credential=OuterRef("pk"), code__in=notices.OF_ENDS, read_at=None)
    told = Credential.objects.filter(Q(Exists(unread)))
    standing = {row.pk: ends for row, ends in read(told, now=now)}
    done = []
    for notice in Notice.objects.filter(code__in=notices.OF_ENDS, read_at=None).only("credential", "values"):
        ends = standing.get(notice.credential_id, ()) if notice.credential_id else ()
        kind, at = notice.values["kind"], notice.values["at"]
        if not any(end.kind == kind and (end.at is None or _is_same(end, at)) for end in ends):
            done.append(notice.pk)
    for first in range(0, len(done), _AT_ONCE):
        Notice.objects.filter(pk__in=done[first : first + _AT_ONCE], read_at=None).update(read_at=now)
