"""The emulated GitLab: token kinds, access rules, wordings, OAuth with single-use refresh tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from project.sandbox import tokens
from project.sandbox.host import Barrier, EmulatedHost, TokenKind
from project.sandbox.hosts.gitlab import rest
from project.sandbox.oauth import Rules
from project.sandbox.reasons import Reason, RefusedError
from project.sandbox.seed import App, Repository, number
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import Authorization, Headers, Request, Response, json_response, text_response

DAY = 86_400
PERSONAL = frozenset({"personal_token", "project_access_token"})
REPOSITORY_READERS = frozenset({"read_repository", "write_repository", "read_api", "api"})
SCOPES = {
    "api": "complete read and write access to the API",
    "read_api": "read access to the API",
    "read_user": "read your profile",
    "read_repository": "read repositories",
    "write_repository": "write repositories",
    "openid": "sign in with your account",
    "profile": "read your public profile",
    "email": "read your e-mail address",
}
INVALID_GRANT = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used "
    "in the authorization request, or was issued to another client."
)
INVALID_CLIENT = (
    "Client authentication failed due to unknown client, no client authentication included, or unsupported "
    "authentication method."
)
ACCESS_DENIED = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was "
    "incorrect or you're required to use a token instead of a password. If a token was provided, it was either "
    "incorrect, expired, or improperly scoped.\n"
)
NOT_FOUND = "The project you were looking for could not be found or you don't have permission to view it.\n"


class GitLab(EmulatedHost):
    provider = "gitlab"
    title = "GitLab"
    server = "nginx"
    realm = "GitLab"
    api_prefix = "/api/v4"
    manage_paths = ("/-/user_settings/applications",)
    organization_switches = ("sso", "ip_allow_list", "blocked")
    kinds = {
        "oauth": TokenKind(
            make=lambda person, ends: tokens.opaque(),
            username="oauth2",
            seconds=7200,
            make_refresh=tokens.opaque,
        ),
        "personal_token": TokenKind(
            make=lambda person, ends: tokens.gitlab_routable(number("gitlab", person.login)),
            username="oauth2",
            seconds=365 * DAY,
        ),
        "project_access_token": TokenKind(
            make=lambda person, ends: tokens.gitlab_routable(number("gitlab", person.login)),
            username="oauth2",
            seconds=365 * DAY,
            limited_to="repository",
        ),
    }
    rules = Rules(
        authorize_path="/oauth/authorize",
        token_path="/oauth/token",  # noqa: S106  an address, not a secret
        scopes=SCOPES,
        errors={
            Reason.CLIENT: (401, "invalid_client", INVALID_CLIENT),
            Reason.CODE: (400, "invalid_grant", INVALID_GRANT),
            Reason.VERIFIER: (400, "invalid_grant", INVALID_GRANT),
            Reason.REDIRECT: (400, "invalid_grant", INVALID_GRANT),
            Reason.REFRESH: (400, "invalid_grant", INVALID_GRANT),
            Reason.GRANT_TYPE: (
                400,
                "unsupported_grant_type",
                "The authorization grant type is not supported by the authorization server.",
            ),
        },
        old_access_dies=True,
        reuse_ends_family=True,
    )

    def add_routes(self) -> None:
        self.rest = rest.Rest(self)
        self.router.add("POST", "/oauth/revoke", self.revoke)
        self.router.add("GET", "/oauth/token/info", self.token_info)
        for path in (
            "/-/user_settings/personal_access_tokens",
            "/-/user_settings/personal_access_tokens/legacy/new",
        ):
            TokenPage(self, path, kind="personal_token", separator=",")

    # OAuth

    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        return tuple(asked or app.scopes[:1]) if set(asked) <= set(app.scopes) else None

    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": round((token.expires_at or 0) - token.created_at),
            "refresh_token": refresh,
            "scope": " ".join(token.scopes),
            "created_at": int(token.created_at),
        }

    def revoke(self, request: Request) -> Response:
        """RFC 7009: an unknown token is as good as a revoked one."""
        fields = request.fields()
        try:
            app = self.authorization_server.client(request, fields)
        except RefusedError:
            data = {
                "error": "unauthorized_client",
                "error_description": "You are not authorized to revoke this token",
            }
            return self.oauth_answer(request, data, status=403)
        text = str(fields.get("token", ""))
        token = self.state.find(text) or self.state.find_refresh(text)
        if token is not None and token.client_id == app.client_id:
            self.state.revoke_on_request(token)
        return self.oauth_answer(request, {}, status=200)

    def token_info(self, request: Request) -> Response:
        token = self.live(request.authorization.secret)
        if token is None or token.kind != "oauth":
            text = "The access token is invalid"
            return self.oauth_answer(
                request, {"error": "invalid_token", "error_description": text}, status=401
            )
        request.token = token
        facts = {
            "resource_owner_id": number(self.slug, token.account),
            "scope": list(token.scopes),
            "expires_in": round((token.expires_at or 0) - self.state.now()),
            "application": {"uid": token.client_id},
            "created_at": int(token.created_at),
        }
        return self.finished(request, json_response(facts))

    # Access

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        """Group rules first; `contents` asks for the scope that git needs, REST checks its own."""
        if repository.private:
            organization = self.state.organizations.get(repository.owner)
            if not self.state.is_reader(token.account, repository) or not self.within(token, repository):
                return Barrier.NOT_FOUND
            if organization is not None and organization.ip_allow_list:
                return Barrier.NOT_FOUND
            if organization is not None and organization.blocked:
                return Barrier.BLOCKED
            # Project and group tokens are exempt from single sign-on.
            is_exempt = token.kind == "project_access_token"
            if (
                organization is not None
                and organization.sso
                and not is_exempt
                and organization.name not in token.sso
            ):
                return Barrier.SSO
        return None if not contents or REPOSITORY_READERS & set(token.scopes) else Barrier.SCOPE

    def sso_text(self, group: str) -> str:
        url = f"{self.web_url}/groups/{group}/-/saml/sso?token={number('saml', group)}"
        return f"Cannot find valid SSO session. Please login via your group's SSO at {url}"

    # Git

    def git_token(self, authorization: Authorization) -> Token | None:
        if authorization.scheme != "basic" or not authorization.username:
            return None
        token = self.live(authorization.secret)
        if token is not None and token.kind == "oauth" and authorization.username != "oauth2":
            return None
        return token

    def git_challenge(self, *, failed: bool) -> Response:
        headers = (("WWW-Authenticate", f'Basic realm="{self.realm}"'),)
        return text_response(
            ACCESS_DENIED if failed else "HTTP Basic: Access denied\n", status=401, headers=headers
        )

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        match barrier:
            case Barrier.SCOPE:
                return self.git_challenge(failed=True)
            case Barrier.SSO:
                return text_response(f"{self.sso_text(owner)}\n", status=403)
            case Barrier.BLOCKED:
                return text_response("You are not allowed to download code from this project.\n", status=403)
            case _:
                return text_response(NOT_FOUND, status=404)

    def push_refusal(self) -> Response:
        return text_response("You are not allowed to push code to this project.\n", status=403)

    # Answers

    def problem(
        self, request: Request, status: int, data: Mapping[str, Any], headers: Headers = ()
    ) -> Response:
        return self.finished(request, json_response(data, status=status, headers=headers))

    def not_found(self, request: Request) -> Response:
        return self.problem(request, 404, {"error": "404 Not Found"})

    def quota_spent(self, request: Request, quota: str) -> Response:
        headers = (("RateLimit-Remaining", "0"), ("Retry-After", "60")) if quota == "primary" else ()
        return self.finished(request, text_response("Retry later\n", status=429, headers=headers))

    def finished(self, request: Request, response: Response) -> Response:
        reset = (int(self.state.now()) // 60 + 1) * 60
        headers = (
            ("X-Request-Id", secrets.token_hex(13).upper()),
            ("X-Gitlab-Meta", '{"version":"1"}'),
            ("RateLimit-Limit", "2000"),
            ("RateLimit-Observed", "1"),
            ("RateLimit-Remaining", "1999"),
            ("RateLimit-Reset", str(reset)),
        )
        return response.with_headers(headers)
