"""Azure DevOps. A personal access token belongs to an organization, so a host is one organization."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Final
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from credentials.errors import ProviderAnswerUnexpected, ProviderError, TokenRejected
from credentials.providers.answers import Answer
from credentials.providers.azure_devops.repositories import AzureDevOpsRepositories
from credentials.providers.base import by_status, common_problem
from credentials.providers.facts import (
    GitLogin,
    Login,
    ScopeNeed,
    TokenGuide,
    Verification,
)
from credentials.providers.http import Auth, Basic
from credentials.providers.reading import text
from credentials.providers.tokens import Kind

_EXPIRED: Final = "personal access token used has expired"
_OWN_HEADERS = (
    "X-TFS-FedAuthRedirect",
    "X-TFS-FedAuthRealm",
    "X-VSS-AuthorizationEndpoint",
    "X-VSS-ResourceTenant",
)
_SIGN_IN = re.compile(r"/_signin/?", re.IGNORECASE)
_ELSEWHERE = frozenset({HTTPStatus.NON_AUTHORITATIVE_INFORMATION, HTTPStatus.FOUND})
_QUIET: Mapping[str, str] = {"X-TFS-FedAuthRedirect": "Suppress"}


class AzureDevOps(AzureDevOpsRepositories):
    """Personal access tokens. OAuth apps of its own kind are closed to new ones since April 2025."""

    name: ClassVar[str] = "azure_devops"
    title: ClassVar[str] = "Azure DevOps"
    oauth_available: ClassVar[bool] = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PERSONAL_TOKEN})

    @classmethod
    def default_api_url(cls, web_url: str) -> str:
        """The API lies below the organization's own address."""
        return web_url.rstrip("/")

    def authorization(self, login: Login) -> Auth:
        """https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate"""
        return Basic(username="", password=login.token)

    def ask(
        self,
        method: str,
        path: str,
        *,
        login: Login | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As everywhere, but asking for a plain 401 where a browser would be sent to sign in."""
        versioned: dict[str, str | int] = {"api-version": "7.1", **(params or {})}
        return super().ask(method, path, login=login, params=versioned, headers={**_QUIET, **(headers or {})})

    def translate(self, answer: Answer) -> ProviderError | None:
        """The token itself, in each of the ways this host says it; outages and strangers' pages before.

        https://learn.microsoft.com/azure/devops/integrate/get-started/rest/basics, and users' reports of 203
        with a sign-in page for a dead token
        """
        if (expired := _expired(answer)) is not None:
            return expired
        if _sends_to_sign_in(answer):
            return _refused(answer, "sign-in page")
        if answer.status == HTTPStatus.UNAUTHORIZED and answer.json is None and _is_own(answer):
            return _refused(answer, "own headers")  # its challenge comes without a JSON body
        if (problem := common_problem(answer)) is not None:
            return problem
        if answer.status == HTTPStatus.NON_AUTHORITATIVE_INFORMATION:
            return ProviderAnswerUnexpected(
                "the answer is not the host's own", status=answer.status, evidence=answer.evidence
            )
        return by_status(answer)

    def verify(self, login: Login) -> Verification:
        """Any project's name proves the token, but only an organization can be asked for one.

        Nothing tells whose token it is, what it may do, or when it ends.
        https://learn.microsoft.com/rest/api/azure/devops/core/projects/list
        """
        if not self.organization_name:
            raise ProviderAnswerUnexpected(
                "the host's address names no organization",
                evidence="nothing was asked: the host's address must name the organization",
            )
        answer = self.first_project(login)
        return Verification(kind=login.kind, identity=None, scopes=None, evidence=(answer.evidence,))

    @classmethod
    def git_login(cls, login: Login) -> GitLogin:
        """Any user name will do. https://learn.microsoft.com/azure/devops/repos/git/auth-overview"""
        return GitLogin(username="x-access-token", password=login.token)

    def guide(self) -> TokenGuide:
        """https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate"""
        return TokenGuide(
            create_url=self._tokens_url,
            manage_url=self._tokens_url,
            kind_title=_("personal access token"),
            steps=(
                _("Open “User settings”, then “Personal access tokens”, and choose “New Token”."),
                _("Select this organization, not all of them, and a date on which the token ends."),
                _("For “Scopes” choose “Custom defined”, and under “Code” tick “Read”."),
                _("Choose “Create” and copy the token; it is shown only once."),
            ),
            scopes=(
                ScopeNeed(
                    scope="vso.code", reason=_("“Code (Read)”: reads private repositories."), required=True
                ),
            ),
            checked_on="2026-11-23",
        )

    @property
    def _tokens_url(self) -> str:
        """An organization's page; without one, the page where a person chooses it."""
        return f"{self.host.web_url}/{'_usersSettings/tokens' if self.organization_name else ''}"

    def revocation_page(self, kind: Kind) -> str:
        """Deleting a token takes another kind of sign-in than the token itself."""
        return self._tokens_url


def _is_own(answer: Answer) -> bool:
    """Whether the answer is the host's, and not that of something in between."""
    return any(name in answer.headers for name in _OWN_HEADERS)


def _sends_to_sign_in(answer: Answer) -> bool:
    """A dead token is answered like a browser that has not signed in. A valid one never is."""
    if answer.status not in _ELSEWHERE or answer.json is not None:
        return False
    try:
        target = urlsplit(answer.headers.get("Location", "")).path
    except ValueError:
        return False
    return _is_own(answer) or _SIGN_IN.fullmatch(target) is not None


def _expired(answer: Answer) -> TokenRejected | None:
    """https://learn.microsoft.com/azure/devops/integrate/concepts/rest-api-error-handling"""
    if answer.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return None
    said = text(answer.json, "message") or answer.headers.get("X-TFS-ServiceError", "")[:255]
    if _EXPIRED not in said.replace("%20", " ").lower():
        return None
    return TokenRejected(
        "the token has expired",
        status=answer.status,
        evidence=f"{answer.evidence}: has expired",
        reason="expired",
    )


def _refused(answer: Answer, remark: str) -> TokenRejected:
    return TokenRejected(
        "the token is not accepted", status=answer.status, evidence=f"{answer.evidence}: {remark}"
    )
