"""Leaves a credential alone after its host refused it, or said that its quota is spent.

A refused token asked for again and again gets its account, and every other user behind the same network
address, shut out: GitLab bans an address after 30 refused Git sign-ins within three minutes.
https://docs.gitlab.com/security/rate_limits/#failed-authentication-ban-for-git-and-container-registry
"""

from __future__ import annotations

from datetime import datetime, timedelta

from credentials.models import Credential, Hold

FIRST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
# Between two tries that a person asks for by a button: at first, and at most.
BY_HAND = timedelta(seconds=10)
LONGEST_BY_HAND = timedelta(minutes=1)


def length(refusals: int) -> timedelta:
    """How long a credential rests after so many refusals in a row."""
    return _doubled(FIRST, refusals, LONGEST)


def _doubled(first: timedelta, refusals: int, longest: timedelta) -> timedelta:
    return min(first * (1 << min(max(refusals - 1, 0), 10)), longest)


def is_held(credential: Credential, *, now: datetime, by_hand: bool = False) -> bool:
    """Whether to leave it alone. A person's own button (``by_hand``) waits only seconds after a refusal, more
    after each, because scripts press it too; a spent quota holds for everybody."""
    until = credential.hold_until
    if until is None or until <= now:
        return False
    if by_hand and credential.hold_reason == Hold.REFUSED:
        pause = _doubled(BY_HAND, credential.refusals, LONGEST_BY_HAND)
        return now < until - length(credential.refusals) + pause
    return True


def note_refusal(credential: Credential, *, now: datetime) -> None:
    """The host, or somebody's Git, was refused with it. A spent quota that lasts longer goes on."""
    refusals = min(credential.refusals + 1, 30_000)
    until, reason = now + length(refusals), Hold.REFUSED
    quota_until = credential.hold_until if credential.hold_reason == Hold.QUOTA else None
    if quota_until is not None and quota_until > until:
        until, reason = quota_until, Hold.QUOTA
    _keep(credential, refusals=refusals, until=until, reason=reason)


def note_quota(credential: Credential, *, wait: timedelta | None, now: datetime) -> None:
    """The host asks to wait; where it does not say how long, a minute."""
    _keep(
        credential, refusals=credential.refusals, until=now + min(wait or FIRST, LONGEST), reason=Hold.QUOTA
    )


def clear(credential: Credential) -> None:
    """The host accepted it."""
    if credential.refusals or credential.hold_until is not None:
        _keep(credential, refusals=0, until=None, reason=None)


def _keep(credential: Credential, *, refusals: int, until: datetime | None, reason: Hold | None) -> None:
    values = {"refusals": refusals, "hold_until": until, "hold_reason": reason.value if reason else ""}
    Credential.objects.filter(pk=credential.pk).update(**values)
    for name, value in values.items():
        setattr(credential, name, value)
