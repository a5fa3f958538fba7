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
from credentials.models.credential import LENDABLE
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
    HOST_NOT_ALLOWED = "host_not_allowed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One credential as the lend path reads it. ``organization`` is the longest accessible organization
    whose segments begin the repository's path, empty if none."""

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


def choose(
    candidates: Sequence[Candidate],
    *,
    segments: Sequence[str],
    asked_for: bool,
    min_valid: timedelta,
    now: datetime,
) -> Choice:
    """Choose among ``candidates`` for the repository whose path has these ``segments`` (lower case).

    Order: an accessible organization that begins the path, the longest first; an account that owns the
    path; the most recently verified. ``asked_for`` says that the caller named the credential itself.
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


def _unusable(item: Candidate, *, min_valid: timedelta, now: datetime) -> Reason | None:
    if item.status not in LENDABLE or item.access_envelope is None:
        return Reason.NOT_USABLE
    if item.expires_at is not None and item.expires_at < now + min_valid:
        return Reason.EXPIRES_TOO_SOON
    return None


def _rank(item: Candidate, segments: Sequence[str]) -> tuple[object, ...]:
    return (
        len(item.organization.split("/")) if item.organization else 0,
        _owns(item, segments),
        item.status == Status.VALID,
        item.last_verified_at.timestamp() if item.last_verified_at else 0.0,
        item.created_at.timestamp(),
        str(item.id),
    )


def _owns(item: Candidate, segments: Sequence[str]) -> bool:
    return bool(segments) and item.account_name.lower() == segments[0]


def _because(ranked: Sequence[Candidate], segments: Sequence[str], *, asked_for: bool) -> Reason:
    best = ranked[0]
    if asked_for:
        return Reason.ASKED_FOR
    if len(ranked) == 1:
        return Reason.ONLY_ONE
    if best.organization:
        return Reason.ORGANIZATION_MATCHES
    if _owns(best, segments):
        return Reason.ACCOUNT_MATCHES
    return Reason.MOST_RECENTLY_VERIFIED


_STATUS_VERDICTS = {
    Status.EXPIRED: VerdictCode.TOKEN_EXPIRED,
    Status.REJECTED: VerdictCode.TOKEN_REJECTED,
    Status.RECONNECT_REQUIRED: VerdictCode.RECONNECT_REQUIRED,
}


def explain_refusal(choice: Choice) -> tuple[VerdictCode, Candidate | None]:
    """The verdict where nothing was chosen, and the candidate whose mending would help most."""
    for judged in choice.judged:
        if judged.reason is Reason.EXPIRES_TOO_SOON:
            oauth = judged.candidate.kind == "oauth"
            code = VerdictCode.RECONNECT_REQUIRED if oauth else VerdictCode.TOKEN_EXPIRED
            return code, judged.candidate
    for judged in choice.judged:
        found = _STATUS_VERDICTS.get(Status(judged.candidate.status))
        if found is not None:
            return found, judged.candidate
    return VerdictCode.NO_CREDENTIAL, None
