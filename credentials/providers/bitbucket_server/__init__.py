"""Bitbucket Data Center. Tokens are pasted: most of its installations have no OAuth application to offer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Final
from urllib.parse import unquote

from django.utils.translation import gettext_lazy as _

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ProviderError, TokenRejected
from credentials.providers.answers import Answer
from credentials.providers.base import by_status, common_problem, not_found
from credentials.providers.bitbucket_server.repositories import BitbucketServerRepositories
from credentials.providers.facts import (
    GitLogin,
    Identity,
    Login,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.http import Auth, Bearer, path_segment
from credentials.providers.reading import identifier, member, objects, text
from credentials.providers.tokens import Kind
from credentials.verdicts import Text

_TOKENS: Final = "/plugins/servlet/access-tokens/manage"
_ROBOT: Final = "access-token-user/"
_TITLES: Mapping[Kind, Text] = {
    Kind.PERSONAL_TOKEN: _("HTTP access token"),
    Kind.ACCESS_TOKEN: _("HTTP access token of a project or a repository"),
}
_NAME = re.compile(r"[^\x00-\x20\x7f]{1,255}")


class BitbucketServer(BitbucketServerRepositories):
    """HTTP access tokens of a person, and of a project or a repository."""

    name: ClassVar[str] = "bitbucket_server"
    title: ClassVar[str] = "Bitbucket Data Center"
    oauth_available: ClassVar[bool] = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PERSONAL_TOKEN, Kind.ACCESS_TOKEN})

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        return f"{web_url.rstrip('/')}/rest/api/latest"

    def authorization(self, login: Login) -> Auth:
        """The one way that every kind of token may be sent.

        https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html
        """
        return Bearer(token=login.token)

    def translate(self, answer: Answer) -> ProviderError | None:
        """A 401 that says "not permitted" is about one thing, not about the token.

        https://developer.atlassian.com/server/bitbucket/rest/ (``errors`` of ``context``, ``message`` and
        ``exceptionName``; a repository one may not see answers 401 or 404)
        """
        if (problem := common_problem(answer)) is not None:
            return problem
        if answer.status == HTTPStatus.UNAUTHORIZED and _not_permitted(answer):
            return not_found(answer)
        return by_status(answer)

    def verify(self, login: Login) -> Verification:
        """Every answer names its caller in ``X-AUSERNAME``; this one is given to strangers too.

        So it is the header that proves the token, and not the status. A token of a project or a repository
        has a robot's name, or none.
        https://developer.atlassian.com/server/bitbucket/rest/ (``/application-properties``)
        """
        answer = self.ask("GET", "/application-properties", login=login)
        if not text(answer.json, "version"):
            raise ProviderAnswerUnexpected(
                "the host did not answer as Bitbucket",
                status=answer.status,
                evidence=f"{answer.evidence}: no version",
            )
        name = unquote(answer.headers.get("X-AUSERNAME", "")).strip()
        if not _NAME.fullmatch(name) or not name.isprintable():
            return self._without_a_name(login, answer)
        if name.startswith(_ROBOT):
            return _proved(Kind.ACCESS_TOKEN, None, answer.evidence)
        account, asked = self._account(login, name)
        identity = Identity(account_id=account, account_name=name) if account else None
        return _proved(Kind.PERSONAL_TOKEN, identity, answer.evidence, asked)

    def _account(self, login: Login, name: str) -> tuple[str, str]:
        """The id that stays when people are renamed, empty where it is not shown; and the evidence.

        ``/users/{slug}`` wants the slug, which is the name in small letters for most names.
        """
        try:
            answer = self.ask("GET", f"/users/{path_segment(name.lower())}", login=login)
        except ProviderError as problem:  # the token is proved already; this one fact stays unknown
            return "", problem.evidence
        same = text(answer.json, "name").lower() == name.lower()
        return identifier(answer.json, "id") if same else "", answer.evidence

    def _without_a_name(self, login: Login, first: Answer) -> Verification:
        """Nobody is named: the token is none, or it is nobody's. Projects are shown to whoever may read one.

        Where strangers are shown them as well, nothing can tell the two apart.
        """
        first_evidence = f"{first.evidence}: no X-AUSERNAME"
        try:
            answer = self.ask("GET", "/projects", login=login, params={"limit": 1})
        except AccessRefused as problem:
            if problem.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise TokenRejected(
                "the token is not accepted", status=problem.status, evidence=problem.evidence
            ) from problem
        try:
            self.ask("GET", "/projects", params={"limit": 1})
        except (TokenRejected, AccessRefused) as problem:
            return _proved(
                Kind.ACCESS_TOKEN, None, first_evidence, answer.evidence, f"{problem.evidence}: to strangers"
            )
        raise ProviderAnswerUnexpected(
            "the host answers strangers just as it answers this token",
            status=answer.status,
            evidence=first_evidence,
        )

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """A personal token goes with the account's name, the others with a fixed one.

        https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html
        """
        if login.kind is Kind.PERSONAL_TOKEN and login.username and ":" not in login.username:
            return GitLogin(username=login.username, password=login.token)
        return GitLogin(username="x-token-auth", password=login.token)

    def login_title(self, kind: Kind) -> Text:
        return _TITLES.get(kind, kind.title)

    def guide(self) -> TokenGuide:
        """https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html"""
        page = f"{self.host.web_url}{_TOKENS}"
        return TokenGuide(
            create_url=page,
            manage_url=page,
            kind_title=_("HTTP access token"),
            steps=(
                _("Under “Manage account”, open “HTTP access tokens” and choose “Create token”."),
                _("Enter a name, and an expiry date if you are asked for one."),
                _("For “Repository permissions”, choose “Repository read”."),
                _("Choose “Create” and copy the token; it is shown only once."),
                _("Enter your user name beside it; leave it empty for a token of a project or a repository."),
            ),
            scopes=(
                ScopeNeed(
                    scope="REPO_READ",
                    reason=_("“Repository read”: reads private repositories."),
                    required=True,
                ),
            ),
            fields=("token", "username"),
            checked_on="2026-11-23",
        )

    def revocation_page(self, kind: Kind) -> str:
        """The call that deletes a token wants the token's id, which nothing tells."""
        return f"{self.host.web_url}{_TOKENS}"


def _not_permitted(answer: Answer) -> bool:
    errors: list[Mapping[str, object]] = objects(member(answer.json, "errors"))
    return any(text(error, "exceptionName").endswith(".AuthorisationException") for error in errors)


def _proved(kind: Kind, identity: Identity | None, *evidence: str) -> Verification:
    """Nothing tells a token's permissions, or its end."""
    return Verification(kind=kind, identity=identity, scopes=None, evidence=evidence)
