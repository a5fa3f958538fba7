"""What git says when it fails, and what the hosts say through it, as the errors of the providers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.verdicts import VerdictCode

_WORDS_LIMIT = 3000


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A run of git that failed.

    ``call`` names it for the evidence. ``text`` is its standard error, bounded, cleaned and without the
    secret. ``origin`` is where git went, ``provider`` what runs there (empty: unknown). ``reports`` is what
    the credential helper told, out of ``answered``, ``refused``, ``accepted`` and ``rejected``.
    """

    call: str
    text: str
    origin: str
    provider: str = ""
    reports: tuple[str, ...] = ()
    is_anonymous: bool = False


Meaning = Callable[[Failure, int | None, str], ProviderError]
"""Makes an error of a failure, its HTTP status and its evidence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wording:
    """Words of a host in lower case, and what they mean; ``at`` limits plain words to one provider, whose
    whole answer they then are."""

    words: str
    meaning: Meaning
    at: str = ""

    def fits(self, failure: Failure, said: str) -> bool:
        return said == self.words and failure.provider == self.at if self.at else self.words in said


def _refused(code: VerdictCode) -> Meaning:
    def meaning(failure: Failure, status: int | None, evidence: str) -> ProviderError:
        return AccessRefused(
            "Git is refused here", status=status, evidence=evidence, verdict_code=code, url=_own_url(failure)
        )

    return meaning


def _scope_missing(failure: Failure, status: int | None, evidence: str) -> ProviderError:
    return ScopeMissing("the token may not read code by Git", status=status, evidence=evidence)


def _quota_spent(failure: Failure, status: int | None, evidence: str) -> ProviderError:
    return ProviderRateLimited("the quota of the host is spent", status=status, evidence=evidence)


def _banned(failure: Failure, status: int | None, evidence: str) -> ProviderError:
    return ProviderRateLimited(
        "the host refuses this address for a while, after failed sign-ins",
        status=status,
        evidence=evidence,
        retry_after=timedelta(hours=1),
    )


_WORDINGS: tuple[_Wording, ...] = (
    # GitHub. https://docs.github.com/authentication/authenticating-with-saml-single-sign-on
    # and https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
    _Wording(
        words="has enabled or enforced saml sso",
        meaning=_refused(VerdictCode.SSO_REQUIRED),
    ),
    _Wording(
        words="has enabled oauth app access restrictions",
        meaning=_refused(VerdictCode.ORGANIZATION_NOT_APPROVED),
    ),
    _Wording(words="ip allow list enabled", meaning=_refused(VerdictCode.IP_BLOCKED)),
    _Wording(
        words="forbids access via a personal access token (classic)",
        meaning=_refused(VerdictCode.ORGANIZATION_POLICY),
    ),
    _Wording(
        words="forbids access via a fine-grained personal access token",
        meaning=_refused(VerdictCode.ORGANIZATION_POLICY),
    ),
    # Said to a fine-grained token without Contents even where it only wants to read.
    _Wording(words="write access to repository not granted", meaning=_scope_missing),
    _Wording(words="secondary rate limit", meaning=_quota_spent),
    # GitLab. https://docs.gitlab.com/user/group/saml_sso/#sso-enforcement
    _Wording(words="cannot find valid sso session", meaning=_refused(VerdictCode.SSO_REQUIRED)),
    _Wording(
        words="you are not allowed to download code from this project",
        meaning=_refused(VerdictCode.NOT_FOUND_OR_NO_ACCESS),
    ),
    # https://docs.gitlab.com/security/rate_limits/#failed-authentication-ban-for-git-and-container-registry
    _Wording(words="forbidden", meaning=_banned, at="gitlab"),
    # Bitbucket. https://support.atlassian.com/bitbucket-cloud/docs/api-token-permissions/
    _Wording(words="your credentials lack one or more required privilege scopes", meaning=_scope_missing),
    # Gitea answers a missing right with 404; only the check of the token's scopes says this about reading.
    _Wording(words="forbidden", meaning=_scope_missing, at="gitea"),
)

# Why a host may not accept a token, where it says so; GitLab means a missing scope as well.
_REJECTIONS = (
    "incorrect, expired, or improperly scoped",
    "your account has 2fa enabled",
    "you may not have access to this repository or it no longer exists",
    "invalid username or token",
)

# Git passes on what its HTTP library says about a connection. (part of it, a word for the evidence)
_CONNECTION = (
    (("ssl", "tls", "certificate"), "no trusted TLS connection"),
    (("timed out", "timeout", "too slow"), "no answer in time"),
    (("resolve host",), "name lookup failed"),
    (("connect",), "connection failed"),
)
_NOT_GIT = (
    "is this a git repository",
    "invalid server response",
    "protocol error",
    "bad line length",
    "expected flush",
    "invalid ls-refs response",
    "unknown object format",
    "hung up unexpectedly",
    "unexpected disconnect",
    "early eof",
    "rpc failed",
    "dumb http transport",
    "unable to access",
)
_STATUS = re.compile(r"The requested URL returned error: ([1-5][0-9]{2})\b")
_MISSING = re.compile(r"fatal: repository '[^']*' not found")


def translate(failure: Failure) -> ProviderError:
    """The error that a failed run of git means; outage and quota before any refusal.

    Evidence never holds what a host said, only which of the known wordings it used.
    """
    own, said = voices(failure.text)
    status = _status(failure, own)
    call = f"{failure.call} {status}" if status else failure.call
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnreachable("the host is out of order", status=status, evidence=call)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _quota_spent(failure, status, call)
    for wording in _WORDINGS:
        if wording.fits(failure, said):
            return wording.meaning(failure, status, f"{call}: {wording.words}")
    if status is None:
        return _without_status(own, call)
    return _by_status(failure, status, call, said)


def _by_status(failure: Failure, status: int, call: str, said: str) -> ProviderError:
    if status == HTTPStatus.UNAUTHORIZED and not failure.is_anonymous:
        return _rejected(call, said)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}:
        return AccessRefused(
            "not found, or no access",
            status=status,
            evidence=call,
            verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS,
        )
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    why = "the host redirects elsewhere" if is_redirect else "the answer fits no rule"
    return ProviderAnswerUnexpected(why, status=status, evidence=call)


def voices(text: str) -> tuple[str, str]:
    """What git says itself, and in lower case what the host says through it.

    Git marks the host's words: each line with ``remote:``, or all that follows ``fatal: remote error:``.
    """
    text, _mark, error = text.partition("fatal: remote error: ")
    lines = text.split("\n")
    own = [line for line in lines if not line.startswith("remote:")]
    said = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    words = " ".join([*said, *error.split("\n")]).strip()
    return "\n".join(own), words[:_WORDS_LIMIT].lower()


def _status(failure: Failure, own: str) -> int | None:
    """The HTTP status; for 401 the helper's reports say more surely than words what had been sent."""
    if "rejected" in failure.reports or "fatal: Authentication failed for" in own:
        return HTTPStatus.UNAUTHORIZED
    if failure.is_anonymous and "refused" in failure.reports:
        return HTTPStatus.UNAUTHORIZED
    if match := _STATUS.search(own):
        return int(match[1])
    return HTTPStatus.NOT_FOUND if _MISSING.search(own) else None


def _rejected(call: str, said: str) -> TokenRejected:
    reason = next((words for words in _REJECTIONS if words in said), "")
    return TokenRejected(
        "the token is not accepted for Git, or lacks the scope for it",
        status=HTTPStatus.UNAUTHORIZED,
        evidence=f"{call}: {reason}" if reason else call,
    )


def _without_status(own: str, call: str) -> ProviderError:
    words = own.lower()
    if "unable to access" in words:
        why = next((why for parts, why in _CONNECTION if any(part in words for part in parts)), "")
        why = why or "answer cut off or malformed"
        return ProviderUnreachable("the host cannot be reached", evidence=f"{call}: {why}")
    if any(part in words for part in _NOT_GIT):
        return ProviderUnreachable("the host did not answer as a Git host", evidence=f"{call}: no Git answer")
    return ProviderAnswerUnexpected("the answer fits no rule", evidence=call)


def _own_url(failure: Failure) -> str:
    """The first address in the host's words, if it leads to the host's own pages: people are sent there."""
    match = re.search(r"https?://[^\s\"'<>`\\]{1,1000}", "\n".join(_said_lines(failure.text)))
    url = match[0] if match else ""
    return url if url.startswith(f"{failure.origin}/") and url.isascii() else ""


def _said_lines(text: str) -> list[str]:
    return [line.removeprefix("remote:") for line in text.split("\n") if line.startswith("remote:")]
