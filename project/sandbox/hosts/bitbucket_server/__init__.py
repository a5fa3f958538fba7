"""The emulated Bitbucket Data Center: HTTP access tokens, projects by key, callers named in a header."""

from __future__ import annotations

import dataclasses
import re
import secrets
from urllib.parse import quote, unquote

from project.sandbox import git_http, tokens
from project.sandbox.host import Barrier, TokenKind
from project.sandbox.hosts.bitbucket_server import rest
from project.sandbox.hosts.bitbucket_server.rest import NOT_PERMITTED
from project.sandbox.hosts.tokens_only import TokensOnlyHost
from project.sandbox.seed import Repository, number
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import Authorization, Headers, Request, Response, json_response, text_response

TOKEN_USER = "x-token-auth"  # noqa: S105  a user name, not a secret
GIT_PATH = re.compile(rf"/scm/(?P<owner>[^/]+)/{git_http.NAME_AND_SERVICE}", re.IGNORECASE)
NOWHERE = (
    "Repository not found\n"
    "The requested repository does not exist, or you do not have permission to access it.\n"
)


class BitbucketServer(TokensOnlyHost):
    """An organization of the seed is a project, and a person has a project of their own.

    A project's key is the organization's name in capitals, with underscores: keys have no hyphens.
    """

    provider = "bitbucket_server"
    title = "Bitbucket Data Center"
    server = "Bitbucket"
    realm = "Atlassian Bitbucket"
    api_prefix = rest.PREFIX
    organization_switches = ("blocked",)
    kinds = {
        "personal_token": TokenKind(make=lambda person, ends: tokens.bitbucket_server(), username=""),
        "access_token": TokenKind(
            make=lambda person, ends: tokens.bitbucket_server(), username=TOKEN_USER, limited_to="owner"
        ),
    }

    def add_routes(self) -> None:
        self.rest = rest.Rest(self)
        TokenPage(self, "/plugins/servlet/access-tokens/manage", kind="personal_token", separator=",")

    # Names

    def key(self, owner: str) -> str:
        """The key of the project that an owner's repositories lie in."""
        return f"~{owner}" if owner in self.state.people else owner.upper().replace("-", "_")

    def owner(self, key: str) -> str:
        """The owner that a key stands for, in whatever case it is written; empty for none."""
        owners = (*self.state.people, *self.state.organizations)
        return next((owner for owner in owners if self.key(owner).lower() == key.lower()), "")

    def clone_url(self, repository: Repository) -> str:
        path = f"{self.key(repository.owner)}/{repository.name}".lower()
        return f"{self.web_url}/scm/{quote(path)}.git"

    def caller(self, token: Token) -> str:
        """The user a token acts as: its person, or a robot of its own."""
        robot = f"access-token-user/1/{number(self.slug, token.id)}"
        return token.account if token.kind == "personal_token" else robot

    # Access

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        """Every token may at least read what its project, its repository or its person may."""
        if not repository.private:
            return None
        if not self.state.is_reader(token.account, repository) or not self.within(token, repository):
            return Barrier.NOT_FOUND
        project = self.state.organizations.get(repository.owner)
        return Barrier.BLOCKED if project is not None and project.blocked else None

    def shown_token(self, authorization: Authorization) -> Token | None:
        """A personal token goes with its person's name, or alone like the others."""
        if authorization.scheme == "bearer":
            return self.live(authorization.secret)
        if authorization.scheme != "basic":
            return None
        token = self.live(authorization.secret)
        if token is None or token.kind != "personal_token":
            return None
        return token if authorization.username.lower() == token.account.lower() else None

    # Git

    def git_call(self, request: Request) -> git_http.GitCall | None:
        call = git_http.git_call(request, GIT_PATH)
        return dataclasses.replace(call, owner=self.owner(unquote(call.owner))) if call else None

    def git_token(self, authorization: Authorization) -> Token | None:
        """As for REST; robots' tokens are also taken with the one user name that stands for none.

        The documentation names the Bearer header only, users report that this name works too.
        """
        if authorization.scheme == "basic" and authorization.username == TOKEN_USER:
            token = self.live(authorization.secret)
            return token if token is not None and token.kind == "access_token" else None
        return self.shown_token(authorization)

    def git_challenge(self, *, failed: bool) -> Response:
        headers = (("WWW-Authenticate", f'Basic realm="{self.realm}"'),)
        text = "Authentication failed\n" if failed else "Authentication required\n"
        return text_response(text, status=401, headers=headers)

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        return text_response(NOWHERE, status=404)

    def push_refusal(self) -> Response:
        return text_response("You are not permitted to push to this repository.\n", status=403)

    # Answers

    def problem(
        self, request: Request, status: int, message: str, exception: str, headers: Headers = ()
    ) -> Response:
        """An error in Bitbucket's list of errors."""
        error = {"context": None, "message": message, "exceptionName": f"com.atlassian.bitbucket.{exception}"}
        return self.finished(request, json_response({"errors": [error]}, status=status, headers=headers))

    def not_permitted(self, request: Request) -> Response:
        return self.problem(request, 401, NOT_PERMITTED, "AuthorisationException")

    def not_found(self, request: Request) -> Response:
        return self.finished(request, text_response("Not Found\n", status=404))

    def quota_spent(self, request: Request, quota: str) -> Response:
        text = "You have been rate limited. Try again later."
        return self.problem(request, 429, text, "RateLimitedException", (("Retry-After", "60"),))

    def finished(self, request: Request, response: Response) -> Response:
        headers = [("X-AREQUESTID", f"@{secrets.token_hex(4).upper()}x1x1x0")]
        if request.token is not None:
            headers.append(("X-AUSERNAME", quote(self.caller(request.token), safe="")))
        return response.with_headers(headers)
