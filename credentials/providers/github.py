"""GitHub: github.com, GHE.com (data residency) and GitHub Enterprise Server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from django.utils.translation import gettext_lazy as _

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, by_status, common_problem, unexplained
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    OrganizationFact,
    OrganizationState,
    Revocation,
    RevocationResult,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.github_wordings import quota_problem, read_expiry, refusal, sso_url
from credentials.providers.http import Auth, Basic, Bearer, path_segment
from credentials.providers.probing import probe_each
from credentials.providers.reading import identifier, objects, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NOT_OFFERED = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
_PER_PAGE = 100
_PAGES = 10
_LIMITED = frozenset({Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN})
_LOGIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_READS_CODE = frozenset({"repo"})


class GitHub(Provider):
    """Classic, fine-grained, OAuth app and GitHub App user tokens."""

    name: ClassVar[str] = "github"
    title: ClassVar[str] = "GitHub"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {Kind.OAUTH, Kind.PERSONAL_TOKEN, Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN}
    )

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

    def authorization(self, login: Login) -> Auth:
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """Quota, single sign-on, organization restrictions, missing rights, the token itself, 404."""
        if (problem := common_problem(answer)) is not None:
            return problem
        if (problem := quota_problem(answer, self.now())) is not None:
            return problem
        if (url := sso_url(answer)) is not None:
            return AccessRefused(
                "the organization asks for single sign-on",
                status=answer.status,
                evidence=f"{answer.evidence}: X-GitHub-SSO",
                verdict_code=VerdictCode.SSO_REQUIRED,
                url=self.own_url(url),
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return refusal(answer, self._request_url)
        return by_status(answer)

    @property
    def _request_url(self) -> str:
        """Where a member asks an organization to approve the app.

        https://docs.github.com/account-and-profile/how-tos/organization-membership/requesting-organization-approval-for-oauth-apps
        """
        if not self.host.client_id:
            return ""
        return f"{self.host.web_url}/settings/connections/applications/{self.host.client_id}"

    def organizations_url(self) -> str:
        return self._request_url

    def verify(self, login: Login) -> Verification:
        """One call that every valid token may make.

        https://docs.github.com/rest/users/users#get-the-authenticated-user
        """
        try:
            answer = self.ask("GET", "/user", login=login, headers=_HEADERS)
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
        """Every organization the account is known to belong to, each with the answer of one probe.

        Two lists, because each hides something. The own memberships (which ``repo`` may list, unlike
        ``/user/orgs``) leave out organizations that refuse this very token; the public ones leave out
        private memberships. A fine-grained token sees no own memberships, whatever is true.
        https://docs.github.com/rest/orgs/members#list-organization-memberships-for-the-authenticated-user
        https://docs.github.com/rest/orgs/orgs#list-organizations-for-a-user
        """
        try:
            account = self.ask("GET", "/user", login=login, headers=_HEADERS)
            own = self._listed(login, "/user/memberships/orgs", {"state": "active"})
        except ScopeMissing:
            return None
        keys = [text(item, "organization", "login") for item in own]
        name = text(account.json, "login")
        if _LOGIN.fullmatch(name):
            public = self._listed(login, f"/users/{path_segment(name)}/orgs", {})
            keys += [text(item, "login") for item in public]
        keys = list(dict.fromkeys(key for key in keys if _LOGIN.fullmatch(key)))
        if not keys and login.kind in _LIMITED:
            return None
        return probe_each(keys, ask=lambda key: self._probe(login, key), fact=self._fact)

    def _listed(self, login: Login, path: str, query: Mapping[str, str | int]) -> list[Mapping[str, object]]:
        """All pages of a list; fails as a whole, because half a list is not a list."""
        found: list[Mapping[str, object]] = []
        for page in range(1, _PAGES + 1):
            params = {**query, "per_page": _PER_PAGE, "page": page}
            answer = self.ask("GET", path, login=login, params=params, headers=_HEADERS)
            if not isinstance(answer.json, list):
                raise unexplained(answer)
            found += objects(answer.json)
            if 'rel="next"' not in answer.headers.get("Link", ""):
                break
        return found

    def _probe(self, login: Login, key: str) -> Answer:
        """The own membership is refused where the organization refuses; its profile would be public.

        Tokens limited to chosen owners see memberships everywhere, so for them only a private repository
        proves anything.
        https://docs.github.com/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user
        https://docs.github.com/rest/repos/repos#list-organization-repositories
        """
        path = f"/user/memberships/orgs/{path_segment(key)}"
        if login.kind not in _LIMITED:
            return self.ask("GET", path, login=login, headers=_HEADERS)
        with suppress(ScopeMissing):
            self.ask("GET", path, login=login, headers=_HEADERS)
        answer = self.ask(
            "GET",
            f"/orgs/{path_segment(key)}/repos",
            login=login,
            params={"type": "private", "per_page": _PER_PAGE},
            headers=_HEADERS,
        )
        if not any(item.get("private") is True for item in objects(answer.json)):
            raise ProviderAnswerUnexpected(
                "nothing private is shown", status=answer.status, evidence=f"{answer.evidence}: none private"
            )
        return answer

    @staticmethod
    def _fact(key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
        return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=url)

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """Any user name that is not empty.

        https://docs.github.com/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens
        """
        return GitLogin(username="x-access-token", password=login.token)

    def guide(self) -> TokenGuide:
        query = urlencode({"scopes": "repo,read:org", "description": "Forgekey"})
        return TokenGuide(
            create_url=f"{self.host.web_url}/settings/tokens/new?{query}",
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
                    reason=_("Reads private repositories. GitHub has no narrower scope for this."),
                    required=True,
                ),
                ScopeNeed(
                    scope="read:org",
                    reason=_("Shows which of your organizations let this token in."),
                    required=False,
                ),
            ),
        )

    def oauth(self) -> OAuthEndpoints:
        """https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps"""
        return OAuthEndpoints(
            authorize_url=f"{self.host.web_url}/login/oauth/authorize",
            token_url=f"{self.host.web_url}/login/oauth/access_token",
            scopes=("repo", "read:org"),
        )

    def revoke(self, login: Login, *, client_secret: Secret | None) -> RevocationResult:
        """Kill this one token: as the app it belongs to, or as a leaked one without any authorization."""
        if login.kind in {Kind.OAUTH, Kind.APP_TOKEN}:
            if client_secret is None or not self.host.client_id:
                return self._by_hand("/settings/applications")
            return self._revoke_as_app(login.token, client_secret)
        page = "/settings/tokens"
        if login.kind is Kind.FINE_GRAINED_TOKEN:
            page = "/settings/personal-access-tokens"
        return self._revoke_as_leaked(login, page)

    def _by_hand(self, page: str) -> RevocationResult:
        return RevocationResult(outcome=Revocation.MANUAL, manual_url=f"{self.host.web_url}{page}")

    def _revoke_as_app(self, token: Secret, client_secret: Secret) -> RevocationResult:
        """https://docs.github.com/rest/apps/oauth-applications#delete-an-app-token"""
        answer = self.door.request(
            "DELETE",
            f"{self.host.api_url}/applications/{path_segment(self.host.client_id)}/token",
            auth=Basic(username=self.host.client_id, password=client_secret),
            json={"access_token": token},
            headers=_HEADERS,
        )
        if answer.status == HTTPStatus.NO_CONTENT:
            return RevocationResult(outcome=Revocation.REVOKED)
        # 404 stands for a token that is not valid any more, or that another app issued.
        if answer.status == HTTPStatus.NOT_FOUND and answer.json is not None:
            return self._ended_or_by_hand(token)
        if answer.status == HTTPStatus.UNAUTHORIZED:  # our client registration, not the token
            raise unexplained(answer)
        raise self.translate(answer) or unexplained(answer)

    def _ended_or_by_hand(self, token: Secret) -> RevocationResult:
        if self._refused(Login(token=token, kind=Kind.OAUTH)):
            return RevocationResult(outcome=Revocation.ALREADY_INVALID)
        return self._by_hand("/settings/applications")

    def _revoke_as_leaked(self, login: Login, page: str) -> RevocationResult:
        """https://docs.github.com/rest/credentials/revoke: anonymous, accepted first and done later.

        Older Enterprise Servers do not have the call. An authorization header makes it fail.
        """
        if self._refused(login):
            return RevocationResult(outcome=Revocation.ALREADY_INVALID)
        answer = self.door.request(
            "POST",
            f"{self.host.api_url}/credentials/revoke",
            json={"credentials": [login.token]},
            headers=_HEADERS,
        )
        if answer.status in _NOT_OFFERED:
            return self._by_hand(page)
        if not answer.ok:
            raise self.translate(answer) or unexplained(answer)
        done = self._refused(login)
        return RevocationResult(outcome=Revocation.REVOKED if done else Revocation.PENDING)

    def _refused(self, login: Login) -> bool:
        try:
            self.ask("GET", "/user", login=login, headers=_HEADERS)
        except TokenRejected:
            return True
        except (ScopeMissing, AccessRefused):
            return False
        return False
