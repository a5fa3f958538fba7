"""Takes a credential for one refresh: committed before the provider is called, so that no death is silent."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credentials.models import Credential
from credentials.models.credential import LENDABLE
from credentials.providers import registry
from credentials.services import audit, processes, vault
from credentials.services.audit import Actor
from credentials.services.logins import subject_of
from credentials.services.refresh import schedule

# Envelopes that one refresh may seal: the pair, and the canary that is tried first.
_WRAPS = 3
ACTOR = Actor.system("refresher")


class Outcome(StrEnum):
    """How a refresh went, or why there was none."""

    REFRESHED = "refreshed"
    NOT_NEEDED = "not_needed"
    NOT_POSSIBLE = "not_possible"  # no refresh token, disconnected, quarantined, inactive owner, closed host
    BUSY = "busy"  # another one is at it
    RESERVED = "reserved"  # a job still uses the token that a refresh would end
    WAITING = "waiting"  # it failed lately, and is tried again later
    FAILED = "failed"  # it could not be done just now; nothing is lost
    REFUSED = "refused"  # the provider says that the grant has ended
    LATE = "late"  # the account was disconnected or connected anew meanwhile; the new pair is revoked


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome; ``until`` is when to ask again, where that is known."""

    outcome: Outcome
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A row taken for one refresh: as it was read, and the mark that says by whom.

    ``interrupted``: somebody else took it before and died, so the refresh token may be spent already.
    """

    credential: Credential
    by: str
    interrupted: bool


_in_flight: set[str] = set()
_lock = threading.Lock()


@contextmanager
def in_flight(by: str) -> Iterator[None]:
    """While a refresh of this process is under way, its claim is nobody else's."""
    with _lock:
        _in_flight.add(by)
    try:
        yield
    finally:
        with _lock:
            _in_flight.discard(by)


def new_mark() -> str:
    """Which process, and which of its refreshes: at most 100 characters."""
    return f"{processes.identity()[:80]}#{secrets.token_hex(8)}"


def is_abandoned(credential: Credential, *, now: datetime) -> bool:
    """Whether whoever claimed the row is gone, or has let go of it without saying so."""
    identity, _hash, _mark = credential.refreshing_by.rpartition("#")
    if identity == processes.identity()[:80]:
        with _lock:
            return credential.refreshing_by not in _in_flight
    return processes.is_gone(identity, now=now)


def take(
    credential_id: UUID, *, by: str, need: timedelta | None, distrust: int | None, now: Callable[[], datetime]
) -> Claim | Result:
    """Claim the row where its token lives for less than ``need``, and commit that.

    Without ``need`` the row itself says whether somebody waits for it, or it is due. ``distrust`` is the
    generation whose access token the host has refused: its end does not count. The event that opens the
    refresh token and the host's client secret is in the same transaction.
    """
    with transaction.atomic(durable=True):
        rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
        row = rows.filter(pk=credential_id).first()
        if row is None:
            return Result(outcome=Outcome.NOT_POSSIBLE)
        refused = refusal(row, need=need, distrust=distrust, now=now())
        if refused is not None:
            if refused.outcome in {Outcome.NOT_NEEDED, Outcome.NOT_POSSIBLE}:
                # Nobody need wait for it any more.
                Credential.objects.filter(pk=row.pk).exclude(refresh_wanted_at=None).update(
                    refresh_wanted_at=None
                )
            return refused
        interrupted = row.refreshing_since is not None
        row.refreshing_since, row.refreshing_by = now(), by
        row.save(update_fields=["refreshing_since", "refreshing_by"])
        vault.book_wraps(_WRAPS)
        audit.record(
            "credential.refresh_interrupted" if interrupted else "credential.refreshing",
            actor=ACTOR,
            subject=subject_of(row),
            purpose="refresh",
            data={"generation": row.generation},
        )
    return Claim(credential=row, by=by, interrupted=interrupted)


def refusal(row: Credential, *, need: timedelta | None, distrust: int | None, now: datetime) -> Result | None:
    """Why this row is not to be refreshed at this moment, and until when; None where it is to be."""
    if not is_possible(row):
        return Result(outcome=Outcome.NOT_POSSIBLE)
    if row.refreshing_since is not None:
        # Whether the interrupted one got through is settled by asking once, whatever the row says.
        return None if is_abandoned(row, now=now) else Result(outcome=Outcome.BUSY)
    if row.generation != distrust and not _is_needed(row, need, now=now):
        return Result(outcome=Outcome.NOT_NEEDED)
    again = row.refresh_due_at if row.refresh_failures else None
    # One that was set before our clock went back would wait for a day.
    if again is not None and now < again <= now + schedule.LONGEST_PAUSE:
        return Result(outcome=Outcome.WAITING, until=again)
    until = reserved_until(row, now=now)
    if until is not None and row.generation != distrust:
        return Result(outcome=Outcome.RESERVED, until=until)
    return None


def _is_needed(row: Credential, need: timedelta | None, *, now: datetime) -> bool:
    if need is not None:
        return not schedule.lives(expires_at=row.expires_at, sealed_at=row.sealed_at, need=need, now=now)
    is_due = row.refresh_due_at is not None and row.refresh_due_at <= now
    return row.refresh_wanted_at is not None or is_due


def refreshable() -> QuerySet[Credential]:
    """The credentials that are refreshed at all, as :func:`is_possible` judges one of them."""
    return Credential.objects.filter(
        refresh_envelope__isnull=False,
        status__in=LENDABLE,
        owner__is_active=True,
        host__is_enabled=True,
        host__client_secret_envelope__isnull=False,
    ).exclude(host__client_id="")


def is_possible(row: Credential) -> bool:
    """Whether the row is one that is refreshed at all."""
    return bool(
        row.refresh_envelope is not None
        and row.status in LENDABLE
        and row.owner.is_active
        and row.host.is_enabled
        and row.host.offers_oauth
    )


def reserved_until(row: Credential, *, now: datetime) -> datetime | None:
    """Until when a job was promised the present token, where a refresh would end it; None where it is free.

    No promise outlasts the token itself. One made by a clock that has been set back since does not count: nobody
    knows when it ends, and it would bar the token for as long as the clock was ahead.
    """
    if not registry.get(row.host.provider).refresh_ends_access:
        return None
    if row.expires_at is None or row.expires_at <= now:
        return None
    # What a clock has promised that was set back since would hold the token for as long as it was ahead.
    soon = now + schedule.SKEW
    if row.sealed_at is not None and row.sealed_at > soon:
        return None
    held = row.leases.filter(ended_at=None, reserved_until__gt=now, created_at__lte=soon)
    held = held.order_by("-reserved_until")
    until = held.values_list("reserved_until", flat=True).first()
    return min(until, row.expires_at) if until is not None else None


def give_back(claim: Claim, *, failures: int, due_at: datetime | None) -> None:
    """Let go of the row after a failure that changed nothing; it is due again at ``due_at``."""
    mine = Credential.objects.filter(
        pk=claim.credential.pk, generation=claim.credential.generation, refreshing_by=claim.by
    )
    mine.update(
        refreshing_since=None,
        refreshing_by="",
        refresh_wanted_at=None,
        refresh_failures=min(failures, 30_000),
        refresh_due_at=due_at,
    )
