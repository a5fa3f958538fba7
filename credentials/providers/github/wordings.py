"""How GitHub words its refusals, and how its headers are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from credentials.errors import (
    AccessRefused,
    ProviderError,
    ProviderRateLimited,
    RepositoryMoved,
    ScopeMissing,
)
from credentials.providers.answers import Answer, retry_after
from credentials.providers.base import unexplained
from credentials.providers.reading import member, scopes
from credentials.verdicts import VerdictCode

APP_RESTRICTED = "has enabled oauth app access restrictions"
CLASSIC_FORBIDDEN = "forbids access via a personal access token (classic)"
LIFETIME_FORBIDDEN = "personal access tokens if the token's lifetime"
FINE_GRAINED_FORBIDDEN = "forbids access via a fine-grained personal access token"
SIGN_ON_WANTED = "resource protected by organization saml enforcement"

# Refusals in lower case. Two pairs begin alike, so each is known by its own tail, the longer one first.
# https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
_WORDINGS: tuple[tuple[str, VerdictCode], ...] = (
    (APP_RESTRICTED, VerdictCode.ORGANIZATION_NOT_APPROVED),
    ("ip allow list enabled", VerdictCode.IP_BLOCKED),
    (CLASSIC_FORBIDDEN, VerdictCode.ORGANIZATION_POLICY),
    (LIFETIME_FORBIDDEN, VerdictCode.ORGANIZATION_POLICY),
    (FINE_GRAINED_FORBIDDEN, VerdictCode.ORGANIZATION_POLICY),
    (SIGN_ON_WANTED, VerdictCode.SSO_REQUIRED),
)
_RIGHT_MISSING = (
    "resource not accessible by personal access token",
    "resource not accessible by integration",
    "must authenticate with an access token authorized to a github app",
)
_SCOPE_WANTED = re.compile(r"you need at least (?P<scope>[a-z:_]{1,40}) scope", re.IGNORECASE)
_ORGANIZATION = re.compile(r"[`'](?P<name>[A-Za-z0-9_.-]{1,100})[`'] (?:organization )?(?:has|forbids) ")
_TOKEN_PAGE = re.compile(
    r"https?://[^\s`'\"<>]{1,200}/settings/personal-access-tokens/[0-9]{1,20}(?![^\s.,)])"
)
_MOVED = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """What a sentence of GitHub's says: the cause, which of our wordings it is, and whom and what it names.

    ``organization`` and ``token_page`` are text of the provider's, well formed but not checked further.
    """

    code: VerdictCode
    wording: str
    organization: str = ""
    token_page: str = ""


def read_refusal(message: object) -> Refusal | None:
    """The refusal that a sentence is, or None. The sentence itself is never stored or shown."""
    if not isinstance(message, str):
        return None
    said = message[:2000]
    for wording, code in _WORDINGS:
        if wording in said.lower():
            named, page = _ORGANIZATION.search(said), _TOKEN_PAGE.search(said)
            return Refusal(
                code=code,
                wording=wording,
                organization=named["name"] if named else "",
                token_page=page[0] if page else "",
            )
    return None


def _message(answer: Answer) -> str:
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


def withheld(answer: Answer) -> frozenset[str]:
    """The ids in ``X-GitHub-SSO: partial-results; organizations=1,2``: left out of a list for want of
    single sign-on.

    https://docs.github.com/rest/authentication/authenticating-to-the-rest-api
    """
    match = re.match(
        r"partial-results;\s*organizations=([0-9]{1,19}(?:\s*,\s*[0-9]{1,19}){0,999})",
        answer.headers.get("X-GitHub-SSO", ""),
        re.IGNORECASE,
    )
    return frozenset(re.findall(r"[0-9]+", match[1])) if match else frozenset()


def moved(answer: Answer, api_url: str) -> RepositoryMoved | None:
    """A redirect to ``/repositories/ID`` of this very API; every other redirect is none of ours.

    https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
    """
    location = answer.headers.get("Location", "")
    beginning = f"{api_url}/repositories/"
    if answer.status not in _MOVED or not location.startswith(beginning):
        return None
    number = location.removeprefix(beginning)
    if not re.fullmatch(r"[1-9][0-9]{0,18}", number, re.ASCII):
        return None
    return RepositoryMoved(status=answer.status, evidence=f"{answer.evidence}: moved", number=number)


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


def refusal(answer: Answer, mending_page: Callable[[Refusal], str]) -> ProviderError:
    """What a 403 means that is neither about quota nor about single sign-on.

    ``mending_page`` gives the host's page that mends a refusal, or an empty text.
    """
    if found := read_refusal(member(answer.json, "message")):
        return AccessRefused(
            "an organization refuses",
            status=answer.status,
            evidence=f"{answer.evidence}: {found.wording}",
            verdict_code=found.code,
            url=mending_page(found),
        )
    message = _message(answer)
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
            end = (read.replace(tzinfo=zone) if zone else read).astimezone(UTC)
        except (ValueError, OverflowError):  # no such form, no such day, or a year that UTC does not have
            continue
        return end if end > now + timedelta(minutes=1) else None
    return None
