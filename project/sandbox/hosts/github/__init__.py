"""The emulated GitHub: token kinds, access rules, and what git is told.

Wordings and headers are those of GitHub's REST documentation and of recorded answers. github.com serves
REST on another host name; here it lies below /api/v3, as on GitHub Enterprise Server.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from project.sandbox import tokens
from project.sandbox.host import Barrier, EmulatedHost, TokenKind
from project.sandbox.hosts.github import apps, pages, rest, words
from project.sandbox.oauth import Rules
from project.sandbox.reasons import Reason
from project.sandbox.seed import App, Organization, Repository
from project.sandbox.tokens import Token
from project.sandbox.wire import (
    Authorization,
    Headers,
    Request,
    Response,
    form_response,
    json_response,
    text_response,
)

DAY = 86_400
HOURLY_ALLOWANCE = 5000
DOCS = "https://docs.github.com/rest"
CLASSIC = frozenset({"personal_token", "oauth"})
SCOPES = {
    "repo": "full control of private repositories",
    "repo:status": "access commit statuses",
    "repo_deployment": "access deployment statuses",
    "public_repo": "access public repositories",
    "admin:org": "full control of organizations and teams",
    "write:org": "read and write organization membership",
    "read:org": "read organization and team membership",
    "user": "update all user data",
    "read:user": "read all user profile data",
    "user:email": "access email addresses",
    "gist": "create gists",
    "workflow": "update workflows",
}
IMPLIED = {
    "repo": {"repo:status", "repo_deployment", "public_repo"},
    "admin:org": {"write:org", "read:org"},
    "write:org": {"read:org"},
    "user": {"read:user", "user:email"},
}


def normalized(asked: Sequence[str]) -> tuple[str, ...]:
    """Known scopes only, without those that another one implies, as GitHub reports them."""
    known = {scope for scope in asked if scope in SCOPES}
    implied = {weaker for scope in known for weaker in IMPLIED.get(scope, ())}
    return tuple(sorted(known - implied))


class GitHub(EmulatedHost):
    provider = "github"
    title = "GitHub"
    server = "github.com"
    realm = "GitHub"
    api_prefix = "/api/v3"
    usual_grant_type = "authorization_code"
    manage_paths = ("/settings/tokens", "/settings/personal-access-tokens", "/settings/applications")
    organization_switches: ClassVar[tuple[str, ...]] = (
        "approved",
        "request",
        "sso",
        "classic_tokens",
        "fine_grained_tokens",
        "fine_grained_max_days",
        "fine_grained_approval",
        "ip_allow_list",
    )
    kinds = {
        "oauth": TokenKind(make=lambda person, ends: tokens.github("gho"), username="x-access-token"),
        "personal_token": TokenKind(
            make=lambda person, ends: tokens.github("ghp"), username="x-access-token"
        ),
        "fine_grained_token": TokenKind(
            make=lambda person, ends: tokens.github_fine_grained(),
            username="x-access-token",
            seconds=30 * DAY,
            limited_to="owner",
        ),
        "app_user_token": TokenKind(
            make=lambda person, ends: tokens.github("ghu"),
            username="x-access-token",
            seconds=8 * 3600,
            make_refresh=lambda: tokens.github("ghr"),
            refresh_seconds=184 * DAY,
        ),
    }
    # Every refusal of the token endpoint comes with status 200.
    rules = Rules(
        authorize_path="/login/oauth/authorize",
        token_path="/login/oauth/access_token",  # noqa: S106  an address, not a secret
        scopes=SCOPES,
        errors={
            Reason.CLIENT: (
                200,
                "incorrect_client_credentials",
                "The client_id and/or client_secret passed are incorrect.",
            ),
            Reason.CODE: (200, "bad_verification_code", "The code passed is incorrect or expired."),
            Reason.VERIFIER: (200, "bad_verification_code", "The code passed is incorrect or expired."),
            Reason.REDIRECT: (
                200,
                "redirect_uri_mismatch",
                "The redirect_uri MUST match the registered callback URL for this application.",
            ),
            Reason.REFRESH: (200, "bad_refresh_token", "The refresh token passed is incorrect or expired."),
            Reason.GRANT_TYPE: (200, "unsupported_grant_type", "The grant type is not supported."),
        },
        old_access_dies=True,
        live_limit=10,
        scopes_can_be_narrowed=True,
    )

    def add_routes(self) -> None:
        self._used: Counter[str] = Counter()
        self._used_lock = threading.Lock()
        self.rest = rest.Rest(self)
        apps.Apps(self)
        pages.Pages(self)

    # OAuth

    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        return () if app.kind == "app_user_token" else normalized(asked)

    def oauth_answer(self, request: Request, data: Mapping[str, Any], *, status: int) -> Response:
        if "error" in data:
            data = {**data, "error_uri": f"{DOCS}/authentication"}
        if "json" in request.header("Accept"):
            return self.finished(request, json_response(data, status=status))
        return self.finished(
            request, form_response({key: str(value) for key, value in data.items()}, status=status)
        )

    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "access_token": access,
            "scope": ",".join(token.scopes),
            "token_type": "bearer",
        }
        if refresh and token.expires_at and token.refresh_expires_at:
            facts |= {
                "expires_in": round(token.expires_at - token.created_at),
                "refresh_token": refresh,
                "refresh_token_expires_in": round(token.refresh_expires_at - token.created_at),
            }
        return facts

    # Access

    def is_pending(self, account: str, resource: str | None) -> bool:
        organization = self.state.organizations.get(resource or "")
        if organization is None or not organization.fine_grained_approval:
            return False
        return organization.members.get(account) != "admin"

    def policy(self, token: Token, organization: Organization) -> Barrier | None:
        """The organization's rules about kinds of tokens; they hold for its public data too."""
        if token.kind == "personal_token" and not organization.classic_tokens:
            return Barrier.CLASSIC_FORBIDDEN
        if token.kind != "fine_grained_token":
            return None
        if not organization.fine_grained_tokens:
            return Barrier.FINE_GRAINED_FORBIDDEN
        longest = organization.fine_grained_max_days * DAY
        if longest and (token.expires_at is None or token.expires_at - token.created_at > longest):
            return Barrier.LIFETIME
        return None

    def organization_barrier(self, token: Token, organization: Organization) -> Barrier | None:
        """What keeps a token from a member's view of an organization."""
        barrier = self.policy(token, organization)
        if barrier is not None:
            return barrier
        if token.kind == "oauth" and not organization.approved:
            return Barrier.NOT_APPROVED
        if organization.ip_allow_list:
            return Barrier.IP_BLOCKED
        # A fine-grained token was authorized for single sign-on when it was made.
        if organization.sso and token.kind != "fine_grained_token" and organization.name not in token.sso:
            return Barrier.SSO
        return None

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        organization = self.state.organizations.get(repository.owner)
        if not repository.private:
            return self.policy(token, organization) if organization else None
        if not self.state.is_reader(token.account, repository):
            return Barrier.NOT_FOUND
        # Without the permission GitHub hides the repository, and says nothing of its organization.
        barrier = self.policy(token, organization) if organization else None
        barrier = barrier or self._permission(token, repository, organization, contents=contents)
        if barrier is None and organization is not None:
            barrier = self.organization_barrier(token, organization)
        return barrier

    def _permission(
        self, token: Token, repository: Repository, organization: Organization | None, *, contents: bool
    ) -> Barrier | None:
        if token.kind in CLASSIC:
            return None if "repo" in token.scopes else Barrier.NOT_FOUND
        if token.kind == "app_user_token":
            is_installed = organization is None or organization.approved
            return None if is_installed else Barrier.NOT_FOUND
        if token.pending or not self.within(token, repository):
            return Barrier.NOT_FOUND
        may_read = {"contents:read", "contents:write"} & set(token.scopes)
        return Barrier.CONTENTS if contents and not may_read else None

    def sso_url(self, organization: str, token: Token) -> str:
        return f"{self.web_url}/orgs/{organization}/sso?authorization_request={token.id}"

    def explanation(self, barrier: Barrier, token: Token, owner: str) -> str:
        """What REST says about a barrier."""
        organization = self.state.organizations.get(owner)
        number = int(token.id, 16) % 10_000_000
        return words.EXPLANATIONS[barrier].format(
            owner=owner,
            kind=words.KINDS.get(token.kind, "OAuth token"),
            resource=words.RESOURCES.get(token.kind, "personal access token"),
            days=organization.fine_grained_max_days if organization else 0,
            url=f"{self.web_url}/settings/personal-access-tokens/{number}",
        )

    # Git

    def git_token(self, authorization: Authorization) -> Token | None:
        if authorization.scheme != "basic" or not authorization.username:
            return None
        if authorization.secret in {"", "x-oauth-basic"}:
            return self.live(authorization.username)
        return self.live(authorization.secret)

    def git_challenge(self, *, failed: bool) -> Response:
        text = words.BAD_CREDENTIALS if failed else words.NO_REPOSITORY
        return text_response(text, status=401, headers=(("WWW-Authenticate", f'Basic realm="{self.realm}"'),))

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        if token is None or barrier in {Barrier.NOT_FOUND, Barrier.NOT_APPROVED}:
            return text_response(words.NO_REPOSITORY, status=404)
        if barrier is Barrier.CONTENTS:
            return self.push_refusal()
        if barrier is Barrier.SSO:
            return text_response(self._git_sso(token, owner), status=403)
        return text_response(f"{self.explanation(barrier, token, owner)}\n", status=403)

    def _git_sso(self, token: Token, owner: str) -> str:
        app = self.state.apps.get(token.client_id or "")
        if app is not None:
            return words.SSO_APP.format(owner=owner, app=app.name)
        return words.SSO_TOKEN.format(owner=owner, url=self.sso_url(owner, token))

    def push_refusal(self) -> Response:
        return text_response(words.NO_WRITING, status=403)

    # Answers

    def problem(self, request: Request, status: int, message: str, headers: Headers = ()) -> Response:
        """An error of the REST API."""
        data = {"message": message, "documentation_url": DOCS, "status": str(status)}
        return self.finished(request, json_response(data, status=status, headers=headers))

    def not_found(self, request: Request) -> Response:
        return self.problem(request, 404, "Not Found")

    def quota_spent(self, request: Request, quota: str) -> Response:
        if quota == "primary":
            text = "API rate limit exceeded for user ID 1."
            return self.problem(request, 403, text, (("X-RateLimit-Remaining", "0"),))
        text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return self.problem(request, 403, text, (("Retry-After", "60"),))

    def finished(self, request: Request, response: Response) -> Response:
        token = request.token
        with self._used_lock:
            self._used[token.id if token else ""] += 1
            used = min(self._used[token.id if token else ""], HOURLY_ALLOWANCE - 1)
        headers = [
            ("X-GitHub-Request-Id", ":".join(secrets.token_hex(2).upper() for _ in range(5))),
            ("X-RateLimit-Limit", str(HOURLY_ALLOWANCE)),
            ("X-RateLimit-Remaining", str(HOURLY_ALLOWANCE - used)),
            ("X-RateLimit-Reset", str((int(self.state.now()) // 3600 + 1) * 3600)),
            ("X-RateLimit-Used", str(used)),
            ("X-RateLimit-Resource", "core"),
            ("X-GitHub-Media-Type", "github.v3; format=json"),
            (
                "x-github-api-version-selected",
                request.header("X-GitHub-Api-Version") or rest.VERSIONS[0],
            ),
        ]
        return response.with_headers(headers + (self._token_headers(token) if token else []))

    def _token_headers(self, token: Token) -> list[tuple[str, str]]:
        headers = []
        if token.kind in CLASSIC:
            headers += [("X-OAuth-Scopes", ", ".join(token.scopes)), ("X-Accepted-OAuth-Scopes", "")]
        else:
            headers.append(("X-Accepted-GitHub-Permissions", "metadata=read"))
        if token.client_id is not None:
            headers.append(("X-OAuth-Client-Id", token.client_id))
        if token.expires_at is not None:
            zone = "UTC" if token.kind == "personal_token" else "+0000"
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(token.expires_at))
            headers.append(("github-authentication-token-expiration", f"{when} {zone}"))
        return headers
