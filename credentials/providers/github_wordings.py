"""How GitHub words its refusals, and how its headers are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from credentials.errors import AccessRefused, ProviderError, ProviderRateLimited, ScopeMissing
from credentials.providers.answers import Answer, retry_after
from credentials.providers.base import unexplained
from credentials.providers.reading import member, scopes
from credentials.verdicts import VerdictCode

# The wordings of refusals. Two of them begin with the same sentence, so each is known by its own tail.
# https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
_WORDINGS: tuple[tuple[str, VerdictCode], ...] = (
    ("has enabled oauth app access restrictions", VerdictCode.ORGANIZATION_NOT_APPROVED),
    ("ip allow list enabled", VerdictCode.IP_BLOCKED),
    ("forbids access via a personal access token (classic)", VerdictCode.ORGANIZATION_POLICY),
    ("forbids access via a fine-grained personal access token", VerdictCode.ORGANIZATION_POLICY),
    ("resource protected by organization saml enforcement", VerdictCode.SSO_REQUIRED),
)
_RIGHT_MISSING = (
    "resource not accessible by personal access token",
    "resource not accessible by integration",
)
_SCOPE_WANTED = re.compile(r"you need at least (?P<scope>[a-z:_]{1,40}) scope", re.IGNORECASE)


def _message(answer: Answer) -> str:
    """The wording in lower case, for matching only; it is never stored or shown."""
    found = member(answer.json, "message")
    return found[:2000].lower() if isinstance(found, str) else ""


def sso_url(answer: Answer) -> str | None:
    """The address in ``X-GitHub-SSO: required; url=…`` of a refusal; None where it asks for nothing."""
    if answer.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return None
    header = answer.headers.get("X-GitHub-SSO", "")
    if not header.lower().startswith("required"):
        return None
    match = re.search(r"\burl=([^;\s]+)", header)
    return match[1] if match else ""


def quota_problem(answer: Answer, now: datetime) -> ProviderRateLimited | None:
    """A spent primary or secondary quota, which GitHub also reports as 403; waits a minute at least.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    spent = (
        answer.headers.get("X-RateLimit-Remaining", "").strip() == "0"
        or "Retry-After" in answer.headers
        or "secondary rate limit" in _message(answer)
    )
    if answer.status != HTTPStatus.FORBIDDEN or not spent:
        return None
    return ProviderRateLimited(
        "the quota is spent",
        status=answer.status,
        evidence=answer.evidence,
        retry_after=retry_after(answer.headers, now) or timedelta(minutes=1),
    )


def refusal(answer: Answer, request_url: str) -> ProviderError:
    """What a 403 means that is neither about quota nor about single sign-on.

    ``request_url`` is where a member asks an organization to approve the app.
    """
    message = _message(answer)
    for wording, code in _WORDINGS:
        if wording in message:
            return AccessRefused(
                "an organization refuses",
                status=answer.status,
                evidence=f"{answer.evidence}: {wording}",
                verdict_code=code,
                url=request_url if code is VerdictCode.ORGANIZATION_NOT_APPROVED else "",
            )
    if any(wording in message for wording in _RIGHT_MISSING):
        return ScopeMissing("the token lacks a permission", status=answer.status, evidence=answer.evidence)
    if match := _SCOPE_WANTED.search(message):
        return ScopeMissing(
            "the token lacks a scope",
            status=answer.status,
            evidence=answer.evidence,
            required=(match["scope"],),
            granted=scopes(answer.headers.get("X-OAuth-Scopes")),
        )
    return unexplained(answer)


def read_expiry(header: str, now: datetime) -> datetime | None:
    """The end of a token out of ``github-authentication-token-expiration``; None where it is not told.

    Two forms are sent: ``2023-09-23 22:46:17 UTC`` and ``2025-09-05 17:55:53 +0500``. For fine-grained
    tokens the header has been seen to hold the present moment; as the token has just worked, an end that
    is not ahead of ``now`` is no fact.
    """
    value = header.strip()
    for form, zone in (("%Y-%m-%d %H:%M:%S %z", None), ("%Y-%m-%d %H:%M:%S UTC", UTC)):
        try:
            read = datetime.strptime(value, form)
        except ValueError:
            continue
        end = (read.replace(tzinfo=zone) if zone else read).astimezone(UTC)
        return end if end > now + timedelta(minutes=1) else None
    return None
