"""What a change of a credential means to others: its owner is told, and clients that listen.

Every function writes inside the caller's transaction, so that the news exists exactly when the change does.
"""

from __future__ import annotations

from datetime import datetime

from credentials.models import Credential, OrganizationAccess, RevocationReason


def connected(credential: Credential, *, now: datetime) -> None:
    """An account was connected, or connected again, or its token was replaced."""


def status_changed(credential: Credential, *, before: str, now: datetime) -> None:
    """The status of ``credential`` is another than ``before``; nothing happens where it is the same."""


def ends_soon(credential: Credential, *, days: int, at: datetime | None, now: datetime) -> None:
    """A credential ends within so many days; 0 and None where it may end on any day.

    Called once per end and threshold by services/calendar. The status ``expiring`` that comes along is not
    announced apart.
    """


def disconnected(credential: Credential, *, reason: RevocationReason, now: datetime) -> None:
    """An account was disconnected, whatever the reason."""


def access_changed(access: OrganizationAccess, *, before: str, now: datetime) -> None:
    """An organization answers another state than ``before``."""


def user_offboarded(*, user_id: str, username: str, credentials: int, now: datetime) -> None:
    """A person was offboarded, with so many credentials."""
