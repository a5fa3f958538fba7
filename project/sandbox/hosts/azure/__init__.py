"""The emulated Azure DevOps: organizations by path, projects, tokens of one organization."""

from __future__ import annotations

import dataclasses
import re
import secrets
from urllib.parse import quote, unquote

from project.sandbox import git_http, tokens
from project.sandbox.host import Barrier, TokenKind
from project.sandbox.hosts.azure import rest
from project.sandbox.hosts.tokens_only import TokensOnlyHost
from project.sandbox.seed import Repository, stable_uuid
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import Authorization, Headers, Request, Response, html_response, text_response

DAY = 86_400
HOME = "acme"
CODE = frozenset({"vso.code", "vso.code_write", "vso.code_manage", "vso.code_full", "user_impersonation"})
GIT_PATH = re.compile(
    rf"/(?P<owner>[^/_][^/]*)(?:/(?P<project>[^/_][^/]*))?/_git/{git_http.NAME_AND_SERVICE}", re.IGNORECASE
)
SIGN_IN = (
    "<!DOCTYPE html><html lang='en'><title>Azure DevOps Services | Sign In</title>"
    "<p>Sign in to your account.</p></html>"
)


class Azure(TokensOnlyHost):
    """An organization of the seed is an organization, a person has one of their own name.

    Every repository lies in a project of its own name: `acme/cases` is at `/acme/cases/_git/cases`. The
    product knows the host by the address of one organization.
    """

    provider = "azure_devops"
    title = "Azure DevOps"
    server = "Microsoft-IIS/10.0"
    realm = "Azure DevOps"
    home_path = f"/{HOME}"
    api_prefix = f"/{HOME}"
    manage_paths = (f"/{HOME}", f"/{HOME}/")
    organization_switches = ()
    kinds = {
        "personal_token": TokenKind(
            make=lambda person, ends: tokens.azure(), username="", seconds=30 * DAY, limited_to="owner"
        )
    }

    def add_routes(self) -> None:
        self.rest = rest.Rest(self)
        TokenPage(self, f"/{HOME}/_usersSettings/tokens", kind="personal_token", separator=",")

    def _own(self, account: str, limited_to: str) -> str:
        """Unless another is named, a token is made for the organization that the product knows."""
        return HOME

    def clone_url(self, repository: Repository) -> str:
        project = f"{quote(repository.owner)}/{quote(repository.name)}"
        return f"{self.web_url}/{project}/_git/{quote(repository.name)}"

    # Access

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        if not repository.private:
            return None
        if not self.state.is_reader(token.account, repository) or not self.within(token, repository):
            return Barrier.NOT_FOUND
        return None if CODE & set(token.scopes) else Barrier.SCOPE

    # Git

    def git_call(self, request: Request) -> git_http.GitCall | None:
        """A repository that is named like its project may leave the project out."""
        call = git_http.git_call(request, GIT_PATH)
        match = GIT_PATH.fullmatch(request.path)
        if call is None or match is None:
            return None
        owner, name = unquote(call.owner), unquote(call.name)
        project = unquote(match["project"] or call.name)
        return dataclasses.replace(call, owner=owner, name=name if project.lower() == name.lower() else "")

    def git_token(self, authorization: Authorization) -> Token | None:
        """Any user name, or none, with the token as password."""
        return self.live(authorization.secret) if authorization.scheme == "basic" else None

    def git_challenge(self, *, failed: bool) -> Response:
        headers = (("WWW-Authenticate", f'Basic realm="{self.web_url}/"'), *self.own_headers())
        return text_response("", status=401, headers=headers)

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        if barrier is Barrier.SCOPE:
            return text_response("TF401027: You need the Git 'GenericRead' permission.\n", status=403)
        return text_response(f"{rest.NO_REPOSITORY.format(name='in the address')}\n", status=404)

    def push_refusal(self) -> Response:
        return text_response("TF401027: You need the Git 'GenericContribute' permission.\n", status=403)

    # Answers

    def own_headers(self) -> Headers:
        """What only an answer to somebody who is not signed in carries."""
        return (
            ("X-TFS-FedAuthRealm", f"{self.web_url}/"),
            ("X-TFS-FedAuthRedirect", f"{self.web_url}/_signin?realm=127.0.0.1"),
            ("X-VSS-ResourceTenant", stable_uuid(self.slug, "tenant")),
        )

    def sign_in(self, request: Request) -> Response:
        """The page that a dead token leads to, unless the caller asks for a plain refusal."""
        return self.finished(request, html_response(SIGN_IN, status=203, headers=self.own_headers()))

    def not_found(self, request: Request) -> Response:
        text = "<!DOCTYPE html><html lang='en'><title>404 - Page not found</title></html>"
        return self.finished(request, html_response(text, status=404))

    def quota_spent(self, request: Request, quota: str) -> Response:
        text = "TF400733: The request has been canceled: Request was blocked due to exceeding usage."
        return rest.problem(self, request, 429, text, "RequestBlockedException", (("Retry-After", "60"),))

    def finished(self, request: Request, response: Response) -> Response:
        return response.with_headers(
            (("X-TFS-ProcessId", stable_uuid(self.slug)), ("ActivityId", secrets.token_hex(16)))
        )
