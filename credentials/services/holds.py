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
# Between two tries that a person asks for by a button.
BY_HAND = timedelta(seconds=10)


def length(refusals: int) -> timedelta:
    """How long a credential rests after so many refusals in a row."""
    doublings = min(max(refusals - 1, 0), 10)
    return min(FIRST * (1 << doublings), LONGEST)


def is_held(credential: Credential, *, now: datetime, by_hand: bool = False) -> bool:
    """Whether to leave it alone. A person's own button (``by_hand``) waits only a few seconds after a refusal;
    a spent quota holds for everybody."""
    until = credential.hold_until
    if until is None or until <= now:
        return False
    if by_hand and credential.hold_reason == Hold.REFUSED:
        return now < until - length(credential.refusals) + BY_HAND
    return True


def note_refusal(credential: Credential, *, now: datetime) -> None:
    """The host, or somebody's Git, was refused with it."""
    refusals = min(credential.refusals + 1, 30_000)
    _keep(credential, refusals=refusals, until=now + length(refusals), reason=Hold.REFUSED)


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
