"""What every provider owes: an abstract base, and the frozen facts it answers with.

A provider translates between one kind of Git hosting software and these facts. It holds no state of its
own, never touches the database, and reaches the network only through the door it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.grants import OAuthGrant, read_grant
from credentials.providers.http import Auth, Door
from credentials.providers.tokens import Kind
from credentials.verdicts import Text, VerdictCode

_BODILESS = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """The part of a Host row that providers read. URLs carry no trailing slash."""

    slug: str
    name: str
    web_url: str
    api_url: str
    client_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What a person gave to prove an account: the token, and what some providers want beside it."""

    token: Secret
    kind: Kind
    email: str = ""
    username: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who the provider says a token belongs to: the immutable id, and the name as of now.

    ``account_name`` is empty where the token's scopes show the id only (GitLab's ``read_repository``).
    """

    account_id: str
    account_name: str = ""

    @property
    def label(self) -> str:
        """The name, or the id where there is none."""
        return self.account_name or f"#{self.account_id}"


class OrganizationState(StrEnum):
    """What one organization answers through one credential (contract, section 4)."""

    ACCESSIBLE = "accessible"
    NOT_APPROVED = "not_approved"
    REQUESTED = "requested"
    DENIED = "denied"
    SSO_REQUIRED = "sso_required"
    POLICY_BLOCKED = "policy_blocked"
    TOKEN_PENDING = "token_pending"  # noqa: S105  # a state, not a password
    IP_BLOCKED = "ip_blocked"
    NO_MEMBERSHIP = "no_membership"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrganizationFact:
    """One organization's answer: ``key`` as in repository addresses, ``evidence`` which call said so."""

    key: str
    name: str
    state: OrganizationState
    evidence: str
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What one look at the provider proved about a token.

    The token is authentic. ``identity`` is None where its scopes do not let anyone ask; ``scopes`` is
    None where the provider does not tell; ``missing_scopes`` names what reading a repository would need
    and the token is known to lack. ``evidence`` lists the calls and their statuses.
    """

    kind: Kind
    identity: Identity | None
    scopes: tuple[str, ...] | None
    missing_scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    oauth_client_id: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GitLogin:
    """User name and password for Git over HTTPS (Basic authentication)."""

    username: str
    password: Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthEndpoints:
    """Where and how the authorization code flow runs (RFC 6749 section 4.1, RFC 7636)."""

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    scope_delimiter: str = " "
    client_in_basic_auth: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeNeed:
    """One scope a person is asked for, and why. ``required`` is False where it only adds comfort."""

    scope: str
    reason: Text
    required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenGuide:
    """How to make a token by hand at this host, in the wording of the provider's present screens.

    ``fields`` are the form's fields in order, out of ``token``, ``email``, ``username``.
    """

    create_url: str
    manage_url: str
    kind_title: Text
    steps: tuple[Text, ...]
    scopes: tuple[ScopeNeed, ...]
    fields: tuple[str, ...] = ("token",)
    checked_on: str = "2026-11-23"


class Revocation(StrEnum):
    """What became of a token that the provider was asked to kill (contract, section 3)."""

    REVOKED = "revoked"
    ALREADY_INVALID = "already_invalid"
    MANUAL = "manual"
    PENDING = "pending"


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationResult:
    """The outcome, and the page where a person finishes it when it is ``MANUAL``."""

    outcome: Revocation
    manual_url: str = ""


class Provider(ABC):
    """One kind of Git hosting software, at one host.

    Every method that asks the network raises only :class:`credentials.errors.ProviderError` subclasses
    (and AddressForbidden, where the host's name leads into a forbidden network), mapped in the order of
    the providers' fact sheet: outage and quota before refusal, so that what is not known never turns
    into a no.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    oauth_available: ClassVar[bool] = True
    kinds: ClassVar[frozenset[Kind]]
    default_kind: ClassVar[Kind] = Kind.PERSONAL_TOKEN

    def __init__(self, *, host: HostFacts, door: Door, now: Callable[[], datetime]) -> None:
        self.host = host
        self.door = door
        self.now = now

    @classmethod
    def public_host(cls) -> Mapping[str, str]:
        """``web_url`` and ``api_url`` of the public installation, empty where there is none."""
        return {}

    @classmethod
    @abstractmethod
    def default_api_url(cls, web_url: str) -> str:
        """Where the API of an installation with this web address usually lives. No trailing slash."""

    @abstractmethod
    def authorization(self, login: Login) -> Auth | None:
        """How this kind of token is sent to the API; None where it is sent nowhere at all."""

    @abstractmethod
    def translate(self, answer: Answer) -> ProviderError | None:
        """The error that an answer means, or None where it is a success. Asks nothing and stores nothing."""

    @abstractmethod
    def verify(self, login: Login) -> Verification:
        """Prove the token with the one call that works with the least scopes.

        Raises TokenRejected, AccessRefused, ProviderUnreachable, ProviderRateLimited,
        ProviderAnswerUnexpected. ScopeMissing is not raised: a token whose scopes hide its identity is
        authentic, and the answer says what it lacks.
        """

    @abstractmethod
    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """The organizations this token can see, or None where its scopes do not let anyone ask."""

    @classmethod
    @abstractmethod
    def git_login(cls, login: Login) -> GitLogin:
        """The user name and password pair that Git sends for this kind of token."""

    @abstractmethod
    def guide(self) -> TokenGuide:
        """How a person makes a token here."""

    @abstractmethod
    def revoke(self, login: Login, *, client_secret: Secret | None) -> RevocationResult:
        """Ask the provider to kill this one token, where there is a call for it; else ``MANUAL``."""

    def oauth(self) -> OAuthEndpoints:
        """The OAuth endpoints; only called where ``oauth_available``."""
        raise NotImplementedError

    def read_grant(self, answer: object) -> OAuthGrant:
        """Translate a token endpoint's JSON; errors as in :func:`credentials.providers.grants.read_grant`."""
        return read_grant(answer)

    def login_title(self, kind: Kind) -> Text:
        """What people call this kind of token here."""
        return kind.title

    def organizations_url(self) -> str:
        """Where a person reviews which organizations let this product's OAuth app in; empty where nowhere."""
        return ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        login: Login | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call the API and raise what the answer means. ``path`` begins with a slash."""
        answer = self.door.request(
            method,
            f"{self.host.api_url}{path}",
            auth=self.authorization(login) if login else None,
            params=params,
            headers=headers,
        )
        problem = self.translate(answer)
        if problem is not None:
            raise problem
        return answer

    def own_url(self, url: str) -> str:
        """The same URL if it leads to this host's web pages, else empty: people will be sent there."""
        try:
            given, own = urlsplit(url), urlsplit(self.host.web_url)
        except ValueError:
            return ""
        same = (given.scheme, given.netloc) == (own.scheme, own.netloc)
        return url if same and url.isascii() and url.isprintable() and " " not in url else ""


def common_problem(answer: Answer) -> ProviderError | None:
    """What means the same at every provider: outage first, then an answer that is none of the API's.

    The door has already raised for 5xx and 429. A redirect is never followed with credentials; a page
    where JSON was due comes from a proxy, a sign-in wall or an error handler and says nothing about the
    token, whatever its status is.
    """
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return ProviderAnswerUnexpected(
            "the host redirects elsewhere", status=answer.status, evidence=answer.evidence
        )
    if answer.json is None and answer.status not in _BODILESS:
        return ProviderUnreachable(
            "the host did not answer with JSON", status=answer.status, evidence=f"{answer.evidence}: no JSON"
        )
    return None


def by_status(answer: Answer) -> ProviderError | None:
    """The last word, once no wording or header has explained the answer."""
    if answer.ok:
        return None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return TokenRejected("the token is not accepted", status=answer.status, evidence=answer.evidence)
    if answer.status == HTTPStatus.NOT_FOUND:
        return not_found(answer)
    return unexplained(answer)


def not_found(answer: Answer) -> AccessRefused:
    """A 404: missing, private, or hidden by a restriction. Never a word about the token."""
    return AccessRefused(
        "not found, or no access",
        status=answer.status,
        evidence=answer.evidence,
        verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS,
    )


def unexplained(answer: Answer) -> ProviderAnswerUnexpected:
    """An answer that fits no rule."""
    return ProviderAnswerUnexpected("the answer fits no rule", status=answer.status, evidence=answer.evidence)
