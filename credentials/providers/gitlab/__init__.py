"""GitLab: gitlab.com and self-managed. Its groups and projects have modules of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

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
from credentials.providers.base import by_status, client_refused, common_problem, not_found, unexplained
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    Revocation,
    RevocationResult,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.gitlab.organizations import GitLabOrganizations
from credentials.providers.gitlab.repositories import GitLabRepositories
from credentials.providers.http import Auth, Bearer
from credentials.providers.reading import identifier, lifetime, member, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import Text, VerdictCode

# Any one of these lets Git download code (GitLab's own table of abilities by scope).
_READS_CODE = frozenset({"read_repository", "write_repository", "read_api", "api"})
_READS_USER = frozenset({"read_user", "read_api", "api"})
# The users behind project and group access tokens carry such names.
# https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
_BOT = re.compile(r"(?:project|group)_[0-9]+_bot(?:_[0-9a-z]+)?")


def _wording(answer: Answer) -> str:
    """All the places where GitLab puts its wording, in lower case, for matching only."""
    found = (member(answer.json, name) for name in ("message", "error", "error_description"))
    return " ".join(part[:2000] for part in found if isinstance(part, str)).lower()


def _sso_address(answer: Answer) -> str:
    for name in ("message", "error", "error_description"):
        found = member(answer.json, name)
        match = re.search(r"https?://[^\s\"'<>]{1,1000}", found[:4000]) if isinstance(found, str) else None
        if match:
            return match[0]
    return ""


def _rejection(answer: Answer) -> ProviderError:
    """https://docs.gitlab.com/api/rest/troubleshooting/: revoked and expired are told apart by wording."""
    if member(answer.json, "error") == "dpop_error":
        return unexplained(answer)  # the token is fine, but its owner demands signed requests
    wording = _wording(answer)
    reason = "invalid"
    if "revoked" in wording:
        reason = "revoked"
    elif "expired" in wording:
        reason = "expired"
    return TokenRejected(
        "the token is not accepted", status=401, evidence=f"{answer.evidence}: {reason}", reason=reason
    )


def _missing(granted: tuple[str, ...] | None) -> tuple[str, ...]:
    """Fine-grained tokens list no scopes of these names; what they may do is not known from here."""
    if not granted or "granular" in granted or _READS_CODE & set(granted):
        return ()
    return ("read_repository",)


class GitLab(GitLabOrganizations, GitLabRepositories):
    """Personal, project and group access tokens (which share one shape), and OAuth."""

    name: ClassVar[str] = "gitlab"
    title: ClassVar[str] = "GitLab"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.OAUTH, Kind.PERSONAL_TOKEN, Kind.ACCESS_TOKEN})
    other_scopes: ClassVar[Mapping[str, Text]] = {
        "api": _("Changes everything you may change. An import does not need it."),
        "read_api": _("Reads everything you may read."),
        "write_repository": _("Changes repositories. An import does not need it."),
    }

    @classmethod
    def public_host(cls) -> Mapping[str, str]:
        return {"web_url": "https://gitlab.com", "api_url": "https://gitlab.com/api/v4"}

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        return f"{web_url.rstrip('/')}/api/v4"

    def authorization(self, login: Login) -> Auth:
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """Group single sign-on, missing scope, the token itself, then what a role does not allow."""
        if answer.ok or common_problem(answer) is not None:
            return common_problem(answer)
        if "cannot find valid sso session" in _wording(answer):
            return AccessRefused(
                "the group asks for single sign-on",
                status=answer.status,
                evidence=f"{answer.evidence}: no SSO session",
                verdict_code=VerdictCode.SSO_REQUIRED,
                url=self.own_url(_sso_address(answer)),
            )
        if answer.status == HTTPStatus.FORBIDDEN and member(answer.json, "error") == "insufficient_scope":
            return ScopeMissing(
                "the token lacks a scope",
                status=403,
                evidence=f"{answer.evidence}: insufficient_scope",
                required=scopes(member(answer.json, "scope")) or (),
            )
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return _rejection(answer)
        return not_found(answer) if answer.status == HTTPStatus.FORBIDDEN else by_status(answer)

    def verify(self, login: Login) -> Verification:
        """Ask the token about itself, which every scope allows; then its owner's name, if a scope does."""
        seen = self._oauth_token(login) if login.kind is Kind.OAUTH else self._own_token(login)
        if not _READS_USER & set(seen.scopes or ()):
            return seen
        try:
            answer = self.ask("GET", "/user", login=login)
        except (ScopeMissing, AccessRefused, ProviderAnswerUnexpected, ProviderUnreachable) as problem:
            return _with(seen, evidence=(*seen.evidence, problem.evidence))
        account = identifier(answer.json, "id")
        name = text(answer.json, "username")
        if not account or (seen.identity and seen.identity.account_id != account):
            return _with(seen, evidence=(*seen.evidence, answer.evidence))
        kind = Kind.ACCESS_TOKEN if _BOT.fullmatch(name) else seen.kind
        return _with(
            seen,
            kind=kind,
            identity=Identity(account_id=account, account_name=name),
            evidence=(*seen.evidence, answer.evidence),
        )

    def _own_token(self, login: Login) -> Verification:
        """https://docs.gitlab.com/api/personal_access_tokens/#self-inform: any scope, since 15.5."""
        answer = self.ask("GET", "/personal_access_tokens/self", login=login)
        granted = scopes(member(answer.json, "scopes"))
        if granted is None:
            raise ProviderAnswerUnexpected(
                "the token is not described", status=answer.status, evidence=f"{answer.evidence}: no scopes"
            )
        if member(answer.json, "revoked") is True or member(answer.json, "active") is False:
            reason = "revoked" if member(answer.json, "revoked") is True else "expired"
            raise TokenRejected(
                "the token has ended",
                status=answer.status,
                evidence=f"{answer.evidence}: {reason}",
                reason=reason,
            )
        owner = identifier(answer.json, "user_id")
        return Verification(
            kind=login.kind,
            identity=Identity(account_id=owner) if owner else None,
            scopes=granted,
            missing_scopes=_missing(granted),
            expires_at=self._midnight(text(answer.json, "expires_at")),
            evidence=(answer.evidence,),
        )

    @staticmethod
    def _midnight(date: str) -> datetime | None:
        """A token ends at 00:00 UTC of its date."""
        try:
            return datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return None

    def _oauth_token(self, login: Login) -> Verification:
        """https://docs.gitlab.com/api/oauth2/#retrieve-the-token-information, outside of the REST root."""
        answer = self.door.request(
            "GET", f"{self.host.web_url}/oauth/token/info", auth=self.authorization(login)
        )
        problem = self.translate(answer)
        if problem is not None:
            raise problem
        granted = scopes(member(answer.json, "scope"))
        owner = identifier(answer.json, "resource_owner_id")
        if granted is None or not owner:
            raise ProviderAnswerUnexpected(
                "the token is not described", status=answer.status, evidence=f"{answer.evidence}: no scope"
            )
        seconds = lifetime(member(answer.json, "expires_in"))
        return Verification(
            kind=login.kind,
            identity=Identity(account_id=owner),
            scopes=granted,
            missing_scopes=_missing(granted),
            expires_at=self.now() + timedelta(seconds=seconds) if seconds else None,
            oauth_client_id=identifier(answer.json, "application", "uid"),
            evidence=(answer.evidence,),
        )

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """``oauth2`` suits OAuth on every version; for the other tokens any name does.

        https://docs.gitlab.com/api/oauth2/#access-git-over-https-with-access-token
        """
        return GitLogin(username="oauth2", password=login.token)

    def guide(self) -> TokenGuide:
        """https://docs.gitlab.com/user/profile/personal_access_tokens/

        The prefilled form moved with 18.9. A self-managed host may be older, so it gets the older address,
        which newer versions still know as the page of all tokens.
        """
        page = f"{self.host.web_url}/-/user_settings/personal_access_tokens"
        form = f"{page}/legacy/new" if self.host.web_url == self.public_host()["web_url"] else page
        query = urlencode({"name": "Forgekey", "scopes": "read_repository,read_user"})
        return TokenGuide(
            create_url=f"{form}?{query}",
            manage_url=page,
            kind_title=_("personal access token"),
            steps=(
                _("Open “Personal access tokens”; if the form is not shown, choose “Generate token”."),
                _("Enter a token name and choose an expiration date."),
                _("Select the scopes “read_repository” and “read_user”, and no others."),
                _("Choose “Generate token” and copy the token; GitLab shows it only once."),
            ),
            scopes=(
                ScopeNeed(scope="read_repository", reason=_("Reads private repositories."), required=True),
                ScopeNeed(
                    scope="read_user",
                    reason=_("Shows whose account the token belongs to."),
                    required=False,
                ),
            ),
            checked_on="2026-11-23",
        )

    def oauth(self) -> OAuthEndpoints:
        """https://docs.gitlab.com/api/oauth2/"""
        return OAuthEndpoints(
            authorize_url=f"{self.host.web_url}/oauth/authorize",
            token_url=f"{self.host.web_url}/oauth/token",
            scopes=("read_repository", "read_user"),
        )

    # One row holds both, and revoking it by either ends both (its OAuth library's own words: a refresh token
    # is a column of the access token): https://github.com/doorkeeper-gem/doorkeeper
    pair_is_one: ClassVar[bool] = True

    def revokes(self, kind: Kind) -> bool:
        return True

    def revocation_page(self, kind: Kind) -> str:
        page = "applications" if kind is Kind.OAUTH else "personal_access_tokens"
        return f"{self.host.web_url}/-/user_settings/{page}"

    def revoke(
        self, login: Login, *, client_secret: Secret | None, refresh: Secret | None = None
    ) -> RevocationResult:
        """A token of the personal family ends itself with any scope; an OAuth token is ended by its app."""
        if login.kind is Kind.OAUTH:
            return self._revoke_oauth(login, client_secret, refresh)
        try:
            # https://docs.gitlab.com/api/personal_access_tokens/#self-revoke
            self.ask("DELETE", "/personal_access_tokens/self", login=login)
        except TokenRejected:
            return RevocationResult(outcome=Revocation.ALREADY_INVALID)
        except (AccessRefused, ScopeMissing):
            return self.by_hand(login.kind)
        return RevocationResult(outcome=Revocation.REVOKED)

    def _revoke_oauth(
        self, login: Login, client_secret: Secret | None, refresh: Secret | None
    ) -> RevocationResult:
        """https://docs.gitlab.com/api/oauth2/#revoke-a-token: 200 also for tokens that had ended before.

        The refresh token goes first: while it lives, it makes new access tokens.
        """
        if client_secret is None or not self.host.client_id:
            return self.by_hand(login.kind)
        was_refused = self.refuses(login)
        for token in (refresh, login.token):
            if token is not None:
                self._revoke_as_app(token, client_secret)
        return RevocationResult(outcome=Revocation.ALREADY_INVALID if was_refused else Revocation.REVOKED)

    def _revoke_as_app(self, token: Secret, client_secret: Secret) -> None:
        answer = self.door.request(
            "POST",
            f"{self.host.web_url}/oauth/revoke",
            form={"client_id": self.host.client_id, "client_secret": client_secret, "token": token},
        )
        if answer.status == HTTPStatus.OK and answer.json is not None:
            return
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise client_refused(answer)
        raise self.translate(answer) or unexplained(answer)


def _with(
    seen: Verification,
    *,
    evidence: tuple[str, ...],
    kind: Kind | None = None,
    identity: Identity | None = None,
) -> Verification:
    return Verification(
        kind=kind or seen.kind,
        identity=identity or seen.identity,
        scopes=seen.scopes,
        missing_scopes=seen.missing_scopes,
        expires_at=seen.expires_at,
        oauth_client_id=seen.oauth_client_id,
        evidence=evidence,
    )
