"""Picks the credential for one repository, and says why each candidate was kept or passed over.

Pure: it looks at facts and asks nobody. Matching is by host and by whole path segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from credentials.models import Status
from credentials.models.credential import LENDABLE, ended
from credentials.services.refresh import schedule
from credentials.verdicts import VerdictCode


class Reason(StrEnum):
    """Why a candidate was kept, chosen or passed over."""

    ONLY_ONE = "only_one"
    ASKED_FOR = "asked_for"
    ORGANIZATION_MATCHES = "organization_matches"
    ACCOUNT_MATCHES = "account_matches"
    MOST_RECENTLY_VERIFIED = "most_recently_verified"
    NOT_CHOSEN = "not_chosen"
    NOT_USABLE = "not_usable"
    EXPIRES_TOO_SOON = "expires_too_soon"
    READ_IT_BEFORE = "read_it_before"
    CANNOT_READ_IT = "cannot_read_it"
    RESTS = "rests"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One credential as the lend path reads it. ``organization`` is the longest accessible organization
    whose segments begin the repository's path, empty if none; ``verdict`` and ``verdict_at`` what is
    remembered of this very repository; until ``hold_until`` the credential is left alone. The token of one
    that ``is_renewable`` can be renewed before it is lent."""

    id: UUID
    owner_id: object
    host_slug: str
    host_name: str
    host_binding: str
    provider: str
    web_url: str
    api_url: str
    kind: str
    label: str
    status: str
    account_id: str
    account_name: str
    email: str
    username: str
    expires_at: datetime | None
    last_verified_at: datetime | None
    created_at: datetime
    generation: int
    access_envelope: bytes | None
    organization: str
    verdict: str = ""
    verdict_at: datetime | None = None
    hold_until: datetime | None = None
    is_renewable: bool = False
    is_refreshing: bool = False
    sealed_at: datetime | None = None

    def lives(self, *, need: timedelta, now: datetime) -> bool:
        """Whether its present token can be lent for ``need``: one that is being renewed may end at once."""
        if self.is_refreshing:
            return False
        if not self.is_renewable:
            return self.expires_at is None or self.expires_at >= now + need
        return schedule.lives(expires_at=self.expires_at, sealed_at=self.sealed_at, need=need, now=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A candidate with what the choice said of it."""

    candidate: Candidate
    kept: bool
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The chosen candidate, if any, and all that were considered, the chosen one first."""

    chosen: Candidate | None
    because: Reason | None
    judged: tuple[Judged, ...]


# For so long a refusal is believed without asking again.
REFUSAL_KEPT = timedelta(minutes=10)


def choose(
    candidates: Sequence[Candidate],
    *,
    segments: Sequence[str],
    asked_for: bool,
    min_valid: timedelta,
    now: datetime,
) -> Choice:
    """Choose among ``candidates`` for the repository whose path has these ``segments`` (lower case).

    Order: one that read this repository before; an accessible organization that begins the path, the
    longest first; an account that owns the path; the most recently verified. ``asked_for`` says that the
    caller named the credential itself.
    """
    dropped = [(item, _unusable(item, min_valid=min_valid, now=now)) for item in candidates]
    usable = [item for item, reason in dropped if reason is None]
    refused = [
        Judged(candidate=item, kept=False, reason=reason) for item, reason in dropped if reason is not None
    ]
    if not usable:
        return Choice(chosen=None, because=None, judged=tuple(refused))
    ranked = sorted(usable, key=lambda item: _rank(item, segments), reverse=True)
    because = _because(ranked, segments, asked_for=asked_for)
    judged = [
        Judged(candidate=item, kept=True, reason=because if position == 0 else Reason.NOT_CHOSEN)
        for position, item in enumerate(ranked)
    ]
    return Choice(chosen=ranked[0], because=because, judged=(*judged, *refused))


def is_supported(choice: Choice, segments: Sequence[str]) -> bool:
    """Whether something that is known speaks for the chosen one; otherwise its host is asked first."""
    best = choice.chosen
    return best is not None and (
        best.verdict == VerdictCode.OK
        or (not best.verdict and bool(best.organization or _owns(best, segments)))
    )


def _unusable(item: Candidate, *, min_valid: timedelta, now: datetime) -> Reason | None:
    if item.status not in LENDABLE or item.access_envelope is None:
        return Reason.NOT_USABLE
    if not item.is_renewable and not item.lives(need=min_valid, now=now):
        return Reason.EXPIRES_TOO_SOON
    if item.hold_until is not None and item.hold_until > now:
        return Reason.RESTS
    is_fresh = item.verdict_at is not None and now - item.verdict_at < REFUSAL_KEPT
    if item.verdict and item.verdict != VerdictCode.OK and is_fresh:
        return Reason.CANNOT_READ_IT
    return None


def rank(
    *,
    verdict: str,
    organization_depth: int,
    owns: bool,
    status: str,
    last_verified_at: datetime | None,
    created_at: datetime,
    tie: str,
) -> tuple[object, ...]:
    """How well a credential suits a repository, for sorting; the greater the better.

    ``verdict`` is what is remembered of it (empty for nothing), ``organization_depth`` how many segments
    of its path an organization that lets the credential in covers, ``owns`` whether its account owns it;
    ``tie`` makes the order definite.
    """
    return (
        1 if not verdict else 2 if verdict == VerdictCode.OK else 0,
        organization_depth,
        owns,
        status == Status.VALID,
        last_verified_at.timestamp() if last_verified_at else 0.0,
        created_at.timestamp(),
        tie,
    )


def _rank(item: Candidate, segments: Sequence[str]) -> tuple[object, ...]:
    return rank(
        verdict=item.verdict,
        organization_depth=len(item.organization.split("/")) if item.organization else 0,
        owns=_owns(item, segments),
        status=item.status,
        last_verified_at=item.last_verified_at,
        created_at=item.created_at,
        tie=str(item.id),
    )


def _owns(item: Candidate, segments: Sequence[str]) -> bool:
    return bool(segments) and item.account_name.lower() == segments[0]


def _because(ranked: Sequence[Candidate], segments: Sequence[str], *, asked_for: bool) -> Reason:
    best = ranked[0]
    if asked_for:
        return Reason.ASKED_FOR
    if best.verdict == VerdictCode.OK and len(ranked) > 1:
        return Reason.READ_IT_BEFORE
    if len(ranked) == 1:
        return Reason.ONLY_ONE
    if best.organization:
        return Reason.ORGANIZATION_MATCHES
    if _owns(best, segments):
        return Reason.ACCOUNT_MATCHES
    return Reason.MOST_RECENTLY_VERIFIED


STATUS_VERDICTS = {
    Status.EXPIRED: VerdictCode.TOKEN_EXPIRED,
    Status.REJECTED: VerdictCode.TOKEN_REJECTED,
    Status.RECONNECT_REQUIRED: VerdictCode.RECONNECT_REQUIRED,
}


def explain_refusal(choice: Choice) -> tuple[VerdictCode, Candidate | None]:
    """The verdict where nothing was chosen, and the candidate whose mending would help most."""
    for judged in choice.judged:
        if judged.reason is Reason.EXPIRES_TOO_SOON:
            return ended(judged.candidate.kind)[1], judged.candidate
    for judged in choice.judged:
        if judged.reason is Reason.CANNOT_READ_IT:
            return VerdictCode(judged.candidate.verdict), judged.candidate
    for judged in choice.judged:
        if judged.reason is Reason.RESTS:
            return VerdictCode.UNKNOWN, judged.candidate
    for judged in choice.judged:
        found = STATUS_VERDICTS.get(Status(judged.candidate.status))
        if found is not None:
            return found, judged.candidate
    for judged in choice.judged:
        if judged.candidate.status == Status.QUARANTINED:
            return VerdictCode.NO_CREDENTIAL, judged.candidate
    return VerdictCode.NO_CREDENTIAL, None
