"""What every provider owes: an abstract base that answers with the facts of facts.py.

A provider translates between one kind of Git hosting software and these facts. It holds no state of its
own, never touches the database, and reaches the network only through the door it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.facts import (
    GitLogin,
    HostFacts,
    Login,
    OAuthEndpoints,
    OrganizationFact,
    OrganizationLinks,
    RepositoryFact,
    RepositoryPage,
    RepositoryPlace,
    Revocation,
    RevocationResult,
    TokenGuide,
    Verification,
)
from credentials.providers.grants import OAuthGrant, read_grant
from credentials.providers.http import Auth, Door
from credentials.providers.reading import scopes
from credentials.providers.tokens import Kind
from credentials.verdicts import Text, VerdictCode

_BODILESS = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})


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
    # Whether a refresh ends the access token that came before; where nothing is known, it is taken to.
    refresh_ends_access: ClassVar[bool] = True
    # What those scopes mean that the guide does not mention: they come by OAuth, or by a person's own choice.
    other_scopes: ClassVar[Mapping[str, Text]] = {}

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

    @abstractmethod
    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """What the one organization ``key`` answers through this token; None where there is no such
        organization (a personal account, for instance). Raises TokenRejected, ProviderRateLimited and
        AddressForbidden only: whatever else goes wrong is a fact whose state is unknown.
        """

    def organization_links(self, key: str, *, kind: Kind, client_id: str) -> OrganizationLinks:
        """The pages that mend what ``key`` answers to this kind of token; ``client_id`` is the OAuth app
        that the token belongs to, empty for none."""
        return OrganizationLinks()

    @classmethod
    @abstractmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """The repository that an address names, as people copy it from Git or from the browser.

        ``segments`` are those below the host's own base path. None where they name no repository.
        """

    @abstractmethod
    def clone_url(self, place: RepositoryPlace) -> str:
        """Where Git finds the repository at this host, without a redirect and without a user name."""

    @abstractmethod
    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """Ask for one repository, as anybody (``login`` None) or with a token.

        Raises as :meth:`verify` does, and ScopeMissing where the token may not ask this question at all,
        although Git itself might let it in.
        """

    @abstractmethod
    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """One page of what the token can list, narrowed by ``query``, beginning at ``cursor``.

        None where its scopes do not let anyone list. Raises as :meth:`verify` does; a cursor that this
        method did not give is read as the beginning.
        """

    @classmethod
    @abstractmethod
    def git_login(cls, login: Login) -> GitLogin:
        """The user name and password pair that Git sends for this kind of token."""

    @abstractmethod
    def guide(self) -> TokenGuide:
        """How a person makes a token here."""

    # How many tokens of a kind one call revokes; 1 where each is asked for by itself.
    revoked_at_once: ClassVar[Mapping[Kind, int]] = {}
    # Whether an access token and the refresh token that came with it are one thing to the host, so that the
    # death of the one proves the other's.
    pair_is_one: ClassVar[bool] = False

    def revokes(self, kind: Kind) -> bool:
        """Whether there is a call that kills a token of this kind; where not, a person does it."""
        return False

    def revocation_page(self, kind: Kind) -> str:
        """Where a person ends a token of this kind."""
        return self.tokens_page(kind)

    def revoke(
        self, login: Login, *, client_secret: Secret | None, refresh: Secret | None = None
    ) -> RevocationResult:
        """Ask the provider to kill this one token and the ``refresh`` token that came with it.

        ``REVOKED``: it says so. ``PENDING``: it will. ``ALREADY_INVALID``: it refused the token before.
        ``MANUAL``: there is no call for it. What it says is proved by :meth:`refuses`. Raises as
        :meth:`verify` does; a refused OAuth client is ProviderAnswerUnexpected.
        """
        return self.by_hand(login.kind)

    def revoke_many(self, tokens: Sequence[Secret]) -> RevocationResult:
        """As :meth:`revoke`, for tokens of the kinds in ``revoked_at_once``."""
        raise NotImplementedError

    def by_hand(self, kind: Kind) -> RevocationResult:
        """The answer where only a person can do it."""
        return RevocationResult(outcome=Revocation.MANUAL, manual_url=self.revocation_page(kind))

    def refuses(self, login: Login) -> bool:
        """Whether the host refuses this token now. Raises what leaves the question open."""
        try:
            self.verify(login)
        except TokenRejected:
            return True
        except (ScopeMissing, AccessRefused):
            return False
        return False

    def oauth(self) -> OAuthEndpoints:
        """The OAuth endpoints; only called where ``oauth_available``."""
        raise NotImplementedError

    def read_grant(self, answer: object) -> OAuthGrant:
        """Translate a token endpoint's JSON; errors as in :func:`credentials.providers.grants.read_grant`."""
        return read_grant(answer)

    def tokens_page(self, kind: Kind) -> str:
        """Where a person finds the tokens of this kind that they have made."""
        return self.guide().manage_url

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
        if isinstance(problem, ProviderUnreachable):
            self.door.breaker.failed(problem)
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
        granted=scopes(answer.headers.get("X-OAuth-Scopes")),
    )


def unexplained(answer: Answer) -> ProviderAnswerUnexpected:
    """An answer that fits no rule."""
    return ProviderAnswerUnexpected("the answer fits no rule", status=answer.status, evidence=answer.evidence)


def client_refused(answer: Answer) -> ProviderAnswerUnexpected:
    """The host refuses our OAuth client: the operator's to mend, and no word about the token."""
    return ProviderAnswerUnexpected(
        "the host refuses the OAuth client",
        status=answer.status,
        evidence=f"{answer.evidence}: OAuth client refused",
    )
