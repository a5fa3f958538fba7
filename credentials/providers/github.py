"""GitHub: github.com, GHE.com (data residency) and GitHub Enterprise Server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from django.utils.translation import gettext_lazy as _

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.authorization import Auth, Basic, Bearer
from credentials.providers.base import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    OrganizationFact,
    OrganizationState,
    Provider,
    Revocation,
    RevocationResult,
    ScopeNeed,
    TokenGuide,
    Verification,
    by_status,
    common_problem,
    unexplained,
)
from credentials.providers.http import Answer, path_segment, retry_after
from credentials.providers.probing import probe_each
from credentials.providers.reading import identifier, member, objects, scopes, text
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
_READS_CODE = frozenset({"repo"})

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


def _sso_url(answer: Answer) -> str | None:
    """The address in ``X-GitHub-SSO: required; url=…`` of a refusal; None where it asks for nothing."""
    if answer.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return None
    header = answer.headers.get("X-GitHub-SSO", "")
    if not header.lower().startswith("required"):
        return None
    match = re.search(r"\burl=([^;\s]+)", header)
    return match[1] if match else ""


def _quota_spent(answer: Answer) -> bool:
    return (
        answer.headers.get("X-RateLimit-Remaining", "").strip() == "0"
        or "Retry-After" in answer.headers
        or "secondary rate limit" in _message(answer)
    )


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
        if answer.status == HTTPStatus.FORBIDDEN and _quota_spent(answer):
            return ProviderRateLimited(
                "the quota is spent",
                status=403,
                evidence=answer.evidence,
                retry_after=retry_after(answer.headers, self.now()) or timedelta(minutes=1),
            )
        if (
            answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
            and (url := _sso_url(answer)) is not None
        ):
            return AccessRefused(
                "the organization asks for single sign-on",
                status=answer.status,
                evidence=f"{answer.evidence}: X-GitHub-SSO",
                verdict_code=VerdictCode.SSO_REQUIRED,
                url=self.own_url(url),
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return self._refusal(answer)
        return by_status(answer)

    def _refusal(self, answer: Answer) -> ProviderError:
        message = _message(answer)
        for wording, code in _WORDINGS:
            if wording in message:
                return AccessRefused(
                    "an organization refuses",
                    status=403,
                    evidence=f"{answer.evidence}: {wording}",
                    verdict_code=code,
                    url=self._mending_url(code),
                )
        if any(wording in message for wording in _RIGHT_MISSING):
            return ScopeMissing("the token lacks a permission", status=403, evidence=answer.evidence)
        if match := _SCOPE_WANTED.search(message):
            return ScopeMissing(
                "the token lacks a scope",
                status=403,
                evidence=answer.evidence,
                required=(match["scope"],),
                granted=scopes(answer.headers.get("X-OAuth-Scopes")),
            )
        return unexplained(answer)

    def _mending_url(self, code: VerdictCode) -> str:
        if code is VerdictCode.ORGANIZATION_NOT_APPROVED and self.host.client_id:
            return f"{self.host.web_url}/settings/connections/applications/{self.host.client_id}"
        return ""

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
        """Every active membership, each with the answer of one probe.

        https://docs.github.com/rest/orgs/members#list-organization-memberships-for-the-authenticated-user
        accepts the scope ``repo``; ``/user/orgs`` would not, and would silently leave out organizations
        that have not approved the app. A fine-grained token sees an empty list there whatever is true.
        """
        try:
            memberships = self._memberships(login)
        except ScopeMissing:
            return None
        if not memberships and login.kind in {Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN}:
            return None
        # https://docs.github.com/rest/orgs/orgs#get-an-organization
        return probe_each(
            memberships,
            ask=lambda key: self.ask("GET", f"/orgs/{path_segment(key)}", login=login, headers=_HEADERS),
            fact=self._fact,
        )

    def _memberships(self, login: Login) -> tuple[str, ...]:
        keys: list[str] = []
        for page in range(1, _PAGES + 1):
            answer = self.ask(
                "GET",
                "/user/memberships/orgs",
                login=login,
                params={"state": "active", "per_page": _PER_PAGE, "page": page},
                headers=_HEADERS,
            )
            if not isinstance(answer.json, list):
                raise unexplained(answer)
            keys += [text(item, "organization", "login") for item in objects(answer.json)]
            if 'rel="next"' not in answer.headers.get("Link", ""):
                break
        return tuple(dict.fromkeys(key for key in keys if re.fullmatch(r"[\w.-]+", key)))

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
