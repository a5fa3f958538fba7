"""The emulated Bitbucket Cloud: API tokens with an e-mail, access tokens, rotating refresh tokens."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from project.sandbox import tokens
from project.sandbox.host import Barrier, EmulatedHost, TokenKind
from project.sandbox.hosts.bitbucket import rest
from project.sandbox.hosts.bitbucket.rest import CHALLENGE, MISSING_SCOPE, NO_ACCESS, REPOSITORY
from project.sandbox.oauth import Rules
from project.sandbox.reasons import Reason
from project.sandbox.seed import App, Repository
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import Authorization, Headers, Request, Response, json_response, text_response

DAY = 86_400
API_TOKEN_USER = "x-bitbucket-api-token-auth"  # noqa: S105  a user name, not a secret
BEARER_USER = "x-token-auth"
SCOPES = {
    "account": "read your account information",
    "email": "read your account's e-mail addresses",
    "repository": "read your repositories",
    "repository:write": "read and modify your repositories",
    "project": "read your workspace's projects",
    "pullrequest": "read your repositories and their pull requests",
}


def _opaque(length: int) -> str:
    return base64.b64encode(secrets.token_bytes(length)).decode()


class Bitbucket(EmulatedHost):
    provider = "bitbucket"
    title = "Bitbucket"
    server = "AtlassianEdge"
    realm = "Bitbucket.org HTTP"
    api_prefix = "/2.0"
    manage_paths = ("/account/settings/app-authorizations/",)
    organization_switches = ("blocked",)
    kinds = {
        "oauth": TokenKind(
            make=lambda person, ends: _opaque(66),
            username=BEARER_USER,
            seconds=7200,
            make_refresh=lambda: _opaque(30),
            refresh_seconds=90 * DAY,
        ),
        "api_token": TokenKind(
            make=lambda person, ends: tokens.atlassian("ATATT3"), username=API_TOKEN_USER, seconds=365 * DAY
        ),
        "access_token": TokenKind(
            make=lambda person, ends: tokens.atlassian("ATCTT3"), username=BEARER_USER, limited_to="owner"
        ),
        "app_password": TokenKind(
            make=lambda person, ends: tokens.bitbucket_app_password(), username="", dead=True
        ),
    }
    rules = Rules(
        authorize_path="/site/oauth2/authorize",
        token_path="/site/oauth2/access_token",  # noqa: S106  an address, not a secret
        scopes=SCOPES,
        errors={
            Reason.CLIENT: (400, "unauthorized_client", "Invalid OAuth client credentials"),
            Reason.CODE: (400, "invalid_grant", "The specified code is not valid."),
            Reason.VERIFIER: (400, "invalid_grant", "The specified code is not valid."),
            Reason.REDIRECT: (400, "invalid_request", "redirect_uri does not match"),
            Reason.REFRESH: (400, "invalid_grant", "Invalid refresh_token"),
            Reason.GRANT_TYPE: (400, "unsupported_grant_type", "The specified grant type is not supported."),
        },
    )

    def add_routes(self) -> None:
        self.rest = rest.Rest(self)
        TokenPage(self, "/manage-profile/security/api-tokens", kind="api_token", separator=",")

    # OAuth

    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        return tuple(asked or app.scopes) if set(asked) <= set(app.scopes) else None

    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        return {
            "access_token": access,
            "scope": " ".join(token.scopes),
            "token_type": "bearer",
            "expires_in": round((token.expires_at or 0) - token.created_at),
            "refresh_token": refresh,
        }

    # Access

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        if repository.private:
            if not self.state.is_reader(token.account, repository) or not self.within(token, repository):
                return Barrier.NOT_FOUND
            workspace = self.state.organizations.get(repository.owner)
            if workspace is not None and workspace.blocked:
                return Barrier.BLOCKED
        return Barrier.SCOPE if REPOSITORY.is_missing_in(token) else None

    # Git

    def git_token(self, authorization: Authorization) -> Token | None:
        if authorization.scheme == "bearer":
            token = self.live(authorization.secret)
            return token if token is not None and token.kind != "api_token" else None
        if authorization.scheme != "basic":
            return None
        token = self.live(authorization.secret)
        if token is None:
            return None
        allowed = {BEARER_USER} if token.kind != "api_token" else {API_TOKEN_USER, token.account}
        return token if authorization.username in allowed else None

    def git_challenge(self, *, failed: bool) -> Response:
        return text_response(f"{NO_ACCESS}\n" if failed else "Unauthorized\n", status=401, headers=CHALLENGE)

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        match barrier:
            case Barrier.SCOPE:
                return text_response(f"{MISSING_SCOPE}\n", status=403)
            case Barrier.BLOCKED:
                return text_response("Forbidden\n", status=403)
            case _:
                return text_response(f"{NO_ACCESS}\n", status=404)

    def push_refusal(self) -> Response:
        return text_response(f"{MISSING_SCOPE}\n", status=403)

    # Answers

    def problem(
        self, request: Request, status: int, message: str, *, headers: Headers = (), **error: Any
    ) -> Response:
        """An error in Bitbucket's envelope; `error` are further fields beside the message."""
        data: Mapping[str, Any] = {"type": "error", "error": {"message": message, **error}}
        return self.finished(request, json_response(data, status=status, headers=headers))

    def not_found(self, request: Request) -> Response:
        return rest.lost_page(self, request)

    def quota_spent(self, request: Request, quota: str) -> Response:
        return self.problem(request, 429, "Rate limit for this resource has been exceeded")

    def finished(self, request: Request, response: Response) -> Response:
        token = request.token
        headers = [("X-Request-Id", secrets.token_hex(8)), ("X-Version", "sandbox")]
        if token is not None:
            headers += [
                ("X-Oauth-Scopes", ", ".join(token.scopes)),
                ("X-Accepted-Oauth-Scopes", ""),
                ("X-Credential-Type", self.credential_type(token)),
            ]
        return response.with_headers(headers)

    @staticmethod
    def credential_type(token: Token) -> str:
        if token.kind == "access_token":
            return "repo_access_token" if "/" in (token.resource or "") else "workspace_access_token"
        return {"oauth": "oauth2"}.get(token.kind, token.kind)
