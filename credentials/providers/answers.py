"""What a provider answered: the status, the headers, and a body if and only if it is JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from credentials.errors import ProviderUnreachable

_LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back: the status, the headers, and the body if and only if it is JSON.

    ``json`` is None where the body was not JSON; such a body is never read, let alone kept, because sign-in
    pages and error pages carry other people's data. ``path`` is without query.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    json: Any = field(default=None, repr=False)
    content_type: str = ""

    @property
    def ok(self) -> bool:
        """True for a success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def evidence(self) -> str:
        """Which call, which status: for the audit trail and for verdicts."""
        return f"{self.method} {self.path} {self.status}"

    def require_json(self) -> Any:
        """The parsed body; raises ProviderUnreachable where the host answered with something else."""
        if self.json is None:
            raise ProviderUnreachable(
                "the host did not answer with JSON",
                status=self.status,
                evidence=f"{self.evidence}: no JSON",
            )
        return self.json


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long to wait, out of what providers send; None where they send nothing readable.

    ``Retry-After`` holds seconds or an HTTP date (RFC 9110 section 10.2.3); ``X-RateLimit-Reset`` (GitHub)
    and ``RateLimit-Reset`` (GitLab) hold the epoch second of the refill. At most one day is believed.
    """
    wait = _seconds_or_date(headers.get("Retry-After", "").strip(), now)
    for name in ("X-RateLimit-Reset", "RateLimit-Reset"):
        value = headers.get(name, "").strip()
        if wait is None and re.fullmatch(r"[0-9]{1,11}", value):
            wait = datetime.fromtimestamp(int(value), UTC) - now
    if wait is None:
        return None
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)


def _seconds_or_date(value: str, now: datetime) -> timedelta | None:
    if re.fullmatch(r"[0-9]{1,9}", value):
        return timedelta(seconds=int(value))
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
