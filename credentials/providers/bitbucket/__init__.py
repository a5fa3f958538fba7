"""Bitbucket Cloud. There is one installation, bitbucket.org; its workspaces have modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Final

from django.utils.translation import gettext_lazy as _

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import by_status, common_problem
from credentials.providers.bitbucket.repositories import BitbucketRepositories
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.http import Auth, Basic, Bearer
from credentials.providers.reading import identifier, member, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import Text, VerdictCode

_API_TOKENS: Final = "/manage-profile/security/api-tokens"
_READS_CODE = frozenset({"read:repository:bitbucket", "repository", "repository:write", "repository:admin"})
_KINDS: Mapping[str, Kind] = {
    "api_token": Kind.API_TOKEN,
    "repo_access_token": Kind.ACCESS_TOKEN,
    "project_access_token": Kind.ACCESS_TOKEN,
    "workspace_access_token": Kind.ACCESS_TOKEN,
}


def _missing(kind: Kind, granted: tuple[str, ...] | None) -> tuple[str, ...]:
    if granted is None or _READS_CODE & set(granted):
        return ()
    return ("read:repository:bitbucket" if kind is Kind.API_TOKEN else "repository",)


class Bitbucket(BitbucketRepositories):
    """Atlassian API tokens, repository/project/workspace access tokens, and OAuth consumers."""

    name: ClassVar[str] = "bitbucket"
    title: ClassVar[str] = "Bitbucket"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.OAUTH, Kind.API_TOKEN, Kind.ACCESS_TOKEN})
    default_kind: ClassVar[Kind] = Kind.API_TOKEN
    other_scopes: ClassVar[Mapping[str, Text]] = {
        "repository": _("Reads private repositories."),
        "account": _("Shows whose account it is, and which workspaces it belongs to."),
        "repository:write": _("Changes repositories. An import does not need it."),
    }

    @classmethod
    def public_host(cls) -> Mapping[str, str]:
        return {"web_url": "https://bitbucket.org", "api_url": "https://api.bitbucket.org/2.0"}

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        return cls.public_host()["api_url"]

    def authorization(self, login: Login) -> Auth:
        """API tokens go with the account's e-mail address, all others alone.

        https://support.atlassian.com/bitbucket-cloud/docs/using-api-tokens/
        """
        if login.kind in self.bearers:
            return Bearer(token=login.token)
        return Basic(username=login.email, password=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """Missing scope, the token itself, then whatever else is refused."""
        if (
            answer.status == HTTPStatus.UNAUTHORIZED
            and "bitbucket" in answer.headers.get("WWW-Authenticate", "").lower()
        ):
            # Bitbucket's own challenge may come without a JSON body.
            return TokenRejected("token or e-mail address is wrong", status=401, evidence=answer.evidence)
        if (problem := common_problem(answer)) is not None:
            return problem
        return self._refusal(answer) if answer.status == HTTPStatus.FORBIDDEN else by_status(answer)

    @staticmethod
    def _refusal(answer: Answer) -> ProviderError:
        detail = member(answer.json, "error", "detail")
        required = scopes(member(detail, "required"))
        if required is None:
            return AccessRefused(
                "refused without a reason",
                status=403,
                evidence=answer.evidence,
                verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS,
            )
        granted = scopes(member(detail, "granted"))
        if granted is None:
            granted = scopes(answer.headers.get("X-OAuth-Scopes"))
        return ScopeMissing(
            "the token lacks a scope",
            status=403,
            evidence=f"{answer.evidence}: privilege scopes",
            required=required,
            granted=granted,
        )

    def verify(self, login: Login) -> Verification:
        """``GET /user``: 200 names the account, 403 proves the token all the same, 401 refuses it.

        Access tokens may never ask this, and are known by the headers of the refusal. A public repository
        would prove nothing: some public answers ignore wrong credentials.
        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-users/
        """
        self.require_email(login)
        answer = self.door.request("GET", f"{self.host.api_url}/user", auth=self.authorization(login))
        problem = self.translate(answer)
        shown = scopes(answer.headers.get("X-OAuth-Scopes"))
        if isinstance(problem, ScopeMissing):
            return self._proved(login, answer, None, problem.granted if shown is None else shown)
        if self._refused_by_kind(answer):
            return self._proved(login, answer, None, shown)
        if problem is not None:
            raise problem
        account = identifier(answer.json, "account_id") or identifier(answer.json, "uuid")
        if not account:
            raise ProviderAnswerUnexpected(
                "the account has no id", status=answer.status, evidence=f"{answer.evidence}: no id"
            )
        name = (
            text(answer.json, "nickname")
            or text(answer.json, "username")
            or text(answer.json, "display_name")
        )
        return self._proved(login, answer, Identity(account_id=account, account_name=name), shown)

    @staticmethod
    def _refused_by_kind(answer: Answer) -> bool:
        """True for the refusal that access tokens get: it names no scope, but knows the credential."""
        known = "X-Credential-Type" in answer.headers or "X-OAuth-Scopes" in answer.headers
        return known and answer.status == HTTPStatus.FORBIDDEN and answer.json is not None

    @staticmethod
    def _proved(
        login: Login, answer: Answer, identity: Identity | None, granted: tuple[str, ...] | None
    ) -> Verification:
        kind = _KINDS.get(answer.headers.get("X-Credential-Type", "").strip().lower(), login.kind)
        return Verification(
            kind=kind,
            identity=identity,
            scopes=granted,
            missing_scopes=_missing(kind, granted),
            evidence=(answer.evidence,),
        )

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """The user name tells Bitbucket what kind of token follows; the e-mail address would be refused.

        https://support.atlassian.com/bitbucket-cloud/docs/using-api-tokens/ and …/using-access-tokens/
        """
        if login.kind in cls.bearers:
            return GitLogin(username="x-token-auth", password=login.token)
        return GitLogin(username="x-bitbucket-api-token-auth", password=login.token)

    @property
    def _api_tokens_url(self) -> str:
        """Atlassian accounts live on a host of their own, whichever product their tokens are for.

        A host of another name, such as a stand-in for tests, is expected to serve that page itself.
        """
        is_public = self.host.web_url == self.public_host()["web_url"]
        return ("https://id.atlassian.com" if is_public else self.host.web_url) + _API_TOKENS

    def guide(self) -> TokenGuide:
        """https://support.atlassian.com/bitbucket-cloud/docs/create-an-api-token/ (has no prefilled link)"""
        return TokenGuide(
            create_url=self._api_tokens_url,
            manage_url=self._api_tokens_url,
            kind_title=_("API token with scopes"),
            steps=(
                _("Choose “Create API token with scopes”."),
                _("Enter a name and an expiration date, and choose “Next”."),
                _("Select the app “Bitbucket” and choose “Next”."),
                _("Select the scopes listed here, choose “Next”, then “Create token”."),
                _("Copy the token; Atlassian shows it only once."),
                _("Enter the e-mail address of your Atlassian account beside it."),
            ),
            scopes=(
                ScopeNeed(
                    scope="read:repository:bitbucket",
                    reason=_("Reads private repositories."),
                    required=True,
                ),
                ScopeNeed(
                    scope="read:user:bitbucket",
                    reason=_("Shows whose account the token belongs to."),
                    required=False,
                ),
                ScopeNeed(
                    scope="read:workspace:bitbucket",
                    reason=_("Shows which of your workspaces let this token in."),
                    required=False,
                ),
            ),
            fields=("token", "email"),
            checked_on="2026-11-23",
        )

    def oauth(self) -> OAuthEndpoints:
        """https://developer.atlassian.com/cloud/bitbucket/oauth-2/"""
        return OAuthEndpoints(
            authorize_url=f"{self.host.web_url}/site/oauth2/authorize",
            token_url=f"{self.host.web_url}/site/oauth2/access_token",
            scopes=("repository", "account"),
            client_in_basic_auth=True,
        )

    def revocation_page(self, kind: Kind) -> str:
        """Bitbucket has no call for this; the person ends the token on one of its pages."""
        if kind is Kind.OAUTH:
            return f"{self.host.web_url}/account/settings/app-authorizations/"
        if kind is Kind.ACCESS_TOKEN:
            return "https://support.atlassian.com/bitbucket-cloud/docs/using-access-tokens/"
        return self._api_tokens_url
