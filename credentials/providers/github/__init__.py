"""GitHub: github.com, GHE.com (data residency) and GitHub Enterprise Server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from credentials.crypto.secret import Secret
from credentials.errors import (
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import client_refused, unexplained
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    OrganizationFact,
    OrganizationLinks,
    RepositoryFact,
    RepositoryPage,
    RepositoryPlace,
    Revocation,
    RevocationResult,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.github import installations, organizations, repositories
from credentials.providers.github.api import HEADERS, GitHubApi
from credentials.providers.github.links import LOGIN
from credentials.providers.github.memberships import refused_fact
from credentials.providers.github.wordings import read_expiry
from credentials.providers.http import Basic, path_segment
from credentials.providers.reading import identifier, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import Text

_NOT_OFFERED = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.GONE,
        HTTPStatus.UNAUTHORIZED,  # Enterprise Servers that want a signed-in reporter
    }
)
_READS_CODE = frozenset({"repo"})


class GitHub(GitHubApi):
    """Classic, fine-grained, OAuth app and GitHub App user tokens."""

    name: ClassVar[str] = "github"
    title: ClassVar[str] = "GitHub"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {Kind.OAUTH, Kind.PERSONAL_TOKEN, Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN}
    )
    other_scopes: ClassVar[Mapping[str, Text]] = {
        "public_repo": _("Changes public repositories; private ones stay closed."),
        "user": _("Changes the profile. An import does not need it."),
        "read:user": _("Reads the profile."),
        "user:email": _("Reads e-mail addresses."),
        "workflow": _("Changes workflows. An import does not need it."),
        "admin:org": _("Administers organizations. An import does not need it."),
    }

    @classmethod
    def public_host(cls) -> Mapping[str, str]:
        return {"web_url": "https://github.com", "api_url": "https://api.github.com"}

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        """github.com and GHE.com have a host of their own for the API, Enterprise Server a path.

        https://docs.github.com/enterprise-server@3.19/rest/enterprise-admin
        """
        parts = urlsplit(web_url)
        hostname = parts.hostname or ""
        if hostname == "github.com" or hostname.endswith(".ghe.com"):
            return f"{parts.scheme}://api.{parts.netloc}"
        return f"{web_url.rstrip('/')}/api/v3"

    def organizations_url(self) -> str:
        return self.links.request(self.host.client_id)

    def verify(self, login: Login) -> Verification:
        """One call that every valid token may make.

        https://docs.github.com/rest/users/users#get-the-authenticated-user
        """
        try:
            answer = self.ask("GET", "/user", login=login, headers=HEADERS)
        except ScopeMissing as problem:
            return Verification(kind=login.kind, identity=None, scopes=None, evidence=(problem.evidence,))
        account = identifier(answer.json, "id")
        if not account:
            raise ProviderAnswerUnexpected(
                "the account has no id", status=answer.status, evidence=f"{answer.evidence}: no id"
            )
        granted = self._scopes(login.kind, answer)
        return Verification(
            kind=login.kind,
            identity=Identity(account_id=account, account_name=text(answer.json, "login")),
            scopes=granted,
            missing_scopes=("repo",) if granted is not None and not _READS_CODE & set(granted) else (),
            expires_at=read_expiry(
                answer.headers.get("github-authentication-token-expiration", ""), self.now()
            ),
            oauth_client_id=identifier(answer.headers.get("X-OAuth-Client-Id")),
            evidence=(answer.evidence,),
        )

    @staticmethod
    def _scopes(kind: Kind, answer: Answer) -> tuple[str, ...] | None:
        """Only classic and OAuth app tokens have scopes; for the others the header is absent or empty."""
        if kind not in {Kind.PERSONAL_TOKEN, Kind.OAUTH}:
            return None
        return scopes(answer.headers.get("X-OAuth-Scopes"))

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        if login.kind is Kind.APP_TOKEN:
            return installations.board(self, login)
        return organizations.board(self, login)

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        if not LOGIN.fullmatch(key):
            return None
        ask = installations.single if login.kind is Kind.APP_TOKEN else organizations.single
        try:
            return ask(self, login, key)
        except (TokenRejected, ProviderRateLimited):
            raise
        except ProviderError as problem:
            return refused_fact(key, problem)

    def organization_links(self, key: str, *, kind: Kind, client_id: str) -> OrganizationLinks:
        return self.links.of_organization(key, kind=kind, client_id=client_id)

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        return repositories.place(segments)

    def clone_url(self, place: RepositoryPlace) -> str:
        return repositories.clone_url(self, place)

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        return repositories.single(self, place, login=login)

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        return repositories.page(self, login, query=query, cursor=cursor)

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """Any user name that is not empty.

        https://docs.github.com/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens
        """
        return GitLogin(username="x-access-token", password=login.token)

    def guide(self) -> TokenGuide:
        return TokenGuide(
            create_url=self.links.new_classic_token(),
            manage_url=f"{self.host.web_url}/settings/tokens",
            kind_title=_("personal access token (classic)"),
            steps=(
                _("Open “New personal access token (classic)”; note and scopes are filled in already."),
                _("Choose an expiration."),
                _("Keep the scopes “repo” and “read:org” selected, and no others."),
                _("Choose “Generate token” and copy the token; GitHub shows it only once."),
                _("If an organization uses single sign-on, choose “Configure SSO” and authorize it there."),
            ),
            scopes=(
                ScopeNeed(
                    scope="repo",
                    reason=_(
                        "Reads private repositories. GitHub has no narrower scope for this: it would also "
                        "allow writing, which never happens here."
                    ),
                    required=True,
                ),
                ScopeNeed(
                    scope="read:org",
                    reason=_("Shows which of your organizations let this token in."),
                    required=False,
                ),
            ),
            checked_on="2026-11-23",
        )

    def tokens_page(self, kind: Kind) -> str:
        """Each kind has a page of its own; those of apps are listed with the apps."""
        pages = {Kind.FINE_GRAINED_TOKEN: "personal-access-tokens", Kind.PERSONAL_TOKEN: "tokens"}
        return f"{self.host.web_url}/settings/{pages.get(kind, 'applications')}"

    def oauth(self) -> OAuthEndpoints:
        """https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps"""
        return OAuthEndpoints(
            authorize_url=f"{self.host.web_url}/login/oauth/authorize",
            token_url=f"{self.host.web_url}/login/oauth/access_token",
            scopes=("repo", "read:org"),
        )

    # https://docs.github.com/rest/credentials/revoke
    revoked_at_once: ClassVar[Mapping[Kind, int]] = {
        Kind.PERSONAL_TOKEN: 1000,
        Kind.FINE_GRAINED_TOKEN: 1000,
    }

    def revokes(self, kind: Kind) -> bool:
        return True

    def revoke(
        self, login: Login, *, client_secret: Secret | None, refresh: Secret | None = None
    ) -> RevocationResult:
        """Kill this one token: as the app it belongs to, or as a leaked one without any authorization.

        Never by grant: that would end every token this person ever gave the app.
        """
        if login.kind in self.revoked_at_once:
            was_refused = self.refuses(login)
            result = self.revoke_many([login.token])
            if was_refused:
                return RevocationResult(outcome=Revocation.ALREADY_INVALID)
            return result if result.outcome is Revocation.PENDING else self.by_hand(login.kind)
        if client_secret is None or not self.host.client_id:
            return self.by_hand(login.kind)
        if refresh is None:
            return self._revoke_as_app(login, client_secret)
        was_refused = self.refuses(login)
        later = self._refresh_reported(refresh)
        result = self._revoke_as_app(login, client_secret)
        # The report of the one may have ended the other.
        if result.outcome is Revocation.ALREADY_INVALID and not was_refused:
            result = RevocationResult(outcome=Revocation.REVOKED)
        if later and result.outcome is Revocation.REVOKED:
            return RevocationResult(outcome=Revocation.PENDING)
        return result

    def _revoke_as_app(self, login: Login, client_secret: Secret) -> RevocationResult:
        """https://docs.github.com/rest/apps/oauth-applications#delete-an-app-token: one token, not the grant"""
        answer = self.door.request(
            "DELETE",
            f"{self.host.api_url}/applications/{path_segment(self.host.client_id)}/token",
            auth=Basic(username=self.host.client_id, password=client_secret),
            json={"access_token": login.token},
            headers=HEADERS,
        )
        if answer.status == HTTPStatus.NO_CONTENT:
            return RevocationResult(outcome=Revocation.REVOKED)
        # 404 stands for a token that is not valid any more, or that another app issued.
        if answer.status == HTTPStatus.NOT_FOUND and answer.json is not None:
            if self.refuses(login):
                return RevocationResult(outcome=Revocation.ALREADY_INVALID)
            return self.by_hand(login.kind)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise client_refused(answer)
        raise self.translate(answer) or unexplained(answer)

    def _refresh_reported(self, refresh: Secret) -> bool:
        """Refresh tokens can be reported at github.com only; elsewhere they end with their access token."""
        try:
            return self.revoke_many([refresh]).outcome is Revocation.PENDING
        except ProviderAnswerUnexpected:
            return False

    def revoke_many(self, tokens: Sequence[Secret]) -> RevocationResult:
        """https://docs.github.com/rest/credentials/revoke: anonymous, accepted first and done later.

        At most 60 calls an hour from one address. An authorization header makes it fail; older Enterprise
        Servers do not have the call. 422 says that one of the tokens is none, or that there were too many
        calls.
        """
        answer = self.door.request(
            "POST",
            f"{self.host.api_url}/credentials/revoke",
            json={"credentials": list(tokens)},
            headers=HEADERS,
        )
        if answer.status in _NOT_OFFERED:
            return RevocationResult(outcome=Revocation.MANUAL)
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise unexplained(answer)
        if not answer.ok:
            raise self.translate(answer) or unexplained(answer)
        return RevocationResult(outcome=Revocation.PENDING)
