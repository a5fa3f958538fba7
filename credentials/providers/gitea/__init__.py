"""Gitea and Forgejo, Codeberg included. Their repositories have a module of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from credentials.errors import (
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import by_status, common_problem, unexplained
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    OAuthEndpoints,
    OrganizationFact,
    OrganizationState,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.gitea.repositories import GiteaRepositories
from credentials.providers.grants import OAuthGrant
from credentials.providers.http import Auth, Bearer, path_segment
from credentials.providers.probing import probe_one
from credentials.providers.reading import identifier, member, objects, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import Text

_REFRESH_REFUSED = frozenset(
    {"unable to parse refresh token", "token was already used", "grant does not exist"}
)
_PER_PAGE = 50
_PAGES = 20
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SCOPE_WANTED = re.compile(r"required scope\(s\)(?::\s*\[(?P<scopes>[a-z:, -]{1,200})\])?", re.IGNORECASE)


class Gitea(GiteaRepositories):
    """Personal access tokens and OAuth."""

    name: ClassVar[str] = "gitea"
    title: ClassVar[str] = "Gitea / Forgejo"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.OAUTH, Kind.PERSONAL_TOKEN})
    # Its access tokens are signed and live to their end. https://docs.gitea.com/development/oauth2-provider
    refresh_ends_access: ClassVar[bool] = False
    other_scopes: ClassVar[Mapping[str, Text]] = {
        "write:repository": _("Changes repositories. An import does not need it."),
        "all": _("Changes everything you may change. An import does not need it."),
    }

    @classmethod
    def public_host(cls) -> Mapping[str, str]:
        return {"web_url": "https://codeberg.org", "api_url": "https://codeberg.org/api/v1"}

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        return f"{web_url.rstrip('/')}/api/v1"

    def authorization(self, login: Login) -> Auth:
        """https://docs.gitea.com/development/api-usage#authentication"""
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """Missing scope (known by its wording only), the token itself, then what an account may not do."""
        if (problem := common_problem(answer)) is not None:
            return problem
        return self._refusal(answer) if answer.status == HTTPStatus.FORBIDDEN else by_status(answer)

    @staticmethod
    def _refusal(answer: Answer) -> ProviderError:
        message = member(answer.json, "message")
        match = _SCOPE_WANTED.search(message[:2000]) if isinstance(message, str) else None
        if match is None:
            return unexplained(answer)
        return ScopeMissing(
            "the token lacks a scope",
            status=403,
            evidence=f"{answer.evidence}: required scope(s)",
            required=scopes(match["scopes"]) or (),
        )

    def verify(self, login: Login) -> Verification:
        """``GET /user`` needs ``read:user``; the refusal for lack of it proves the token as well.

        Nothing tells a token's scopes, so a second question asks whether repositories may be read.
        https://docs.gitea.com/development/oauth2-provider#scopes
        """
        identity: Identity | None = None
        try:
            answer = self.ask("GET", "/user", login=login)
        except ScopeMissing as problem:
            evidence = problem.evidence
        else:
            evidence = answer.evidence
            account = identifier(answer.json, "id")
            if not account:
                raise ProviderAnswerUnexpected(
                    "the account has no id", status=answer.status, evidence=f"{evidence}: no id"
                )
            identity = Identity(account_id=account, account_name=text(answer.json, "login"))
        missing, asked = self._missing(login)
        return Verification(
            kind=login.kind,
            identity=identity,
            scopes=None,
            missing_scopes=missing,
            evidence=(evidence, asked),
        )

    def _missing(self, login: Login) -> tuple[tuple[str, ...], str]:
        """Whether ``read:repository`` is known to be missing, and the evidence.

        https://docs.gitea.com/api/#tag/repository/operation/repoSearch lies behind that scope alone.
        """
        try:
            answer = self.ask("GET", "/repos/search", login=login, params={"limit": 1})
        except ScopeMissing as problem:
            return ("read:repository",), problem.evidence
        except TokenRejected:
            raise
        except ProviderError as problem:  # the token is proved already; this one fact stays unknown
            return (), problem.evidence
        return (), answer.evidence

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """https://docs.gitea.com/api/#tag/organization/operation/orgListCurrentUserOrgs"""
        facts: dict[str, OrganizationFact] = {}
        for page in range(1, _PAGES + 1):
            try:
                answer = self.ask("GET", "/user/orgs", login=login, params={"page": page, "limit": _PER_PAGE})
            except ScopeMissing:
                return None
            if not isinstance(answer.json, list):
                raise unexplained(answer)
            for found in objects(answer.json):
                key = identifier(found, "name") or identifier(found, "username")
                if key:
                    facts[key] = self._fact(key, text(found, "full_name"), answer.evidence)
            # A server may cap the page below what was asked for, so only an empty page is surely the last.
            if not answer.json or not self._has_next(answer, len(facts)):
                break
        return tuple(facts.values())

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """https://docs.gitea.com/api/#tag/organization/operation/orgGet, which anybody is told of a public
        one; the account's own list says who is a member. A person's account answers 404 here."""
        if not _KEY.fullmatch(key) or not key.strip("."):
            return None

        def ask(name: str) -> Answer:
            answer = self.ask("GET", f"/orgs/{path_segment(name)}", login=login)
            if (
                identifier(answer.json, "name") or identifier(answer.json, "username")
            ).lower() != name.lower():
                raise unexplained(answer)
            return answer

        seen = probe_one(key, ask=ask, fact=self._named)
        if seen is None or seen.state is not OrganizationState.ACCESSIBLE:
            return seen
        try:
            mine = self.organizations(login)
        except (TokenRejected, ProviderRateLimited):
            raise
        except ProviderError as problem:
            return self._named(key, OrganizationState.UNKNOWN, problem.evidence)
        if mine is None or any(fact.key.lower() == key.lower() for fact in mine):
            return seen
        return self._named(key, OrganizationState.NO_MEMBERSHIP, f"{seen.evidence}: not among one's own")

    @staticmethod
    def _has_next(answer: Answer, seen: int) -> bool:
        total = answer.headers.get("X-Total-Count", "")
        if re.fullmatch(r"[0-9]{1,9}", total):
            return seen < int(total)
        return 'rel="next"' in answer.headers.get("Link", "") or len(answer.json) >= _PER_PAGE

    def _fact(self, key: str, title: str, evidence: str) -> OrganizationFact:
        return OrganizationFact(
            key=key,
            name=title or key,
            state=OrganizationState.ACCESSIBLE,
            evidence=evidence,
            url=self.own_url(f"{self.host.web_url}/{key}"),
        )

    def _named(self, key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
        page = url or f"{self.host.web_url}/{path_segment(key)}"
        return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=page)

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """Any user name, with the token as password.

        https://docs.gitea.com/development/api-usage#authentication
        """
        return GitLogin(username="x-access-token", password=login.token)

    def guide(self) -> TokenGuide:
        page = f"{self.host.web_url}/user/settings/applications"
        return TokenGuide(
            create_url=page,
            manage_url=page,
            kind_title=_("access token"),
            steps=(
                _("Under “Manage Access Tokens”, enter a token name."),
                _("For “Repository and Organization Access”, choose “All (public, private, and limited)”."),
                _("Open “Select permissions” and set “repository” to “Read”; “user” and “organization” too."),
                _("Choose “Generate Token” and copy the token; it is shown only once."),
            ),
            scopes=(
                ScopeNeed(scope="read:repository", reason=_("Reads private repositories."), required=True),
                ScopeNeed(
                    scope="read:user",
                    reason=_("Shows whose account the token belongs to."),
                    required=False,
                ),
                ScopeNeed(
                    scope="read:organization",
                    reason=_("Shows which organizations the account belongs to."),
                    required=False,
                ),
            ),
            checked_on="2026-11-23",
        )

    def oauth(self) -> OAuthEndpoints:
        """https://docs.gitea.com/development/oauth2-provider: without scopes the token could do anything."""
        return OAuthEndpoints(
            authorize_url=f"{self.host.web_url}/login/oauth/authorize",
            token_url=f"{self.host.web_url}/login/oauth/access_token",
            scopes=("read:repository", "read:user", "read:organization"),
        )

    def read_grant(self, answer: object) -> OAuthGrant:
        """Gitea calls a refresh token that it does not take an unauthorized client; its words tell them apart.

        https://github.com/go-gitea/gitea/blob/main/routers/web/auth/oauth2_provider.go
        """
        said = text(answer, "error_description")
        if text(answer, "error") == "unauthorized_client" and said in _REFRESH_REFUSED:
            raise TokenRejected("the provider refused the grant", evidence="oauth: invalid_grant")
        return super().read_grant(answer)

    def revocation_page(self, kind: Kind) -> str:
        """There is no call for this: deleting a token by the API needs the account's password."""
        return f"{self.host.web_url}/user/settings/applications"
