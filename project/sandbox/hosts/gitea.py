"""The emulated Gitea: 40 hexadecimal digits as tokens, granular scopes, reusable refresh tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from project.sandbox import tokens
from project.sandbox.host import Barrier, EmulatedHost, TokenKind
from project.sandbox.hosts.listing import link_header, page_of
from project.sandbox.oauth import Rules
from project.sandbox.reasons import Reason
from project.sandbox.seed import App, Organization, Person, Repository, number
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import (
    Authorization,
    BadRequestError,
    Handler,
    Headers,
    Request,
    Response,
    json_response,
    text_response,
)

PREFIX = "/api/v1"
CATEGORIES = (
    "activitypub",
    "admin",
    "issue",
    "misc",
    "notification",
    "organization",
    "package",
    "repository",
    "user",
)
SCOPES = {f"{verb}:{name}": f"{verb} {name} data" for name in CATEGORIES for verb in ("read", "write")}
SCOPES |= {"all": "everything", "public-only": "public data only"}
SOME_TIME = "2024-03-01T08:00:00Z"
CANNOT_FIND = "The target couldn't be found."


def known(request: Request) -> Token:
    """The token of a request that was let through because it showed one."""
    if request.token is None:
        raise BadRequestError("token is required")
    return request.token


def has_scope(token: Token, scope: str) -> bool:
    """Whether a token has a scope; writing includes reading, `all` includes everything."""
    return bool({scope, scope.replace("read:", "write:"), "all"} & set(token.scopes))


class Gitea(EmulatedHost):
    provider = "gitea"
    title = "Gitea"
    server = "Gitea"
    realm = "Gitea"
    api_prefix = PREFIX
    organization_switches = ()
    kinds = {
        "oauth": TokenKind(
            make=lambda person, ends: tokens.web_token(
                {"gnt": number("grant", person.login), "tt": 0, "exp": int(ends or 0)}
            ),
            username="oauth2",
            seconds=3600,
            make_refresh=lambda: tokens.web_token({"gnt": 1, "tt": 1}),
            refresh_seconds=730 * 3600,
        ),
        "personal_token": TokenKind(make=lambda person, ends: tokens.opaque(40), username=""),
    }
    rules = Rules(
        authorize_path="/login/oauth/authorize",
        token_path="/login/oauth/access_token",  # noqa: S106  an address, not a secret
        scopes=SCOPES,
        errors={
            Reason.CLIENT: (400, "unauthorized_client", "invalid client secret"),
            Reason.CODE: (400, "unauthorized_client", "client is not authorized"),
            Reason.VERIFIER: (400, "unauthorized_client", "failed PKCE code challenge"),
            Reason.REDIRECT: (400, "unauthorized_client", "unexpected redirect URI"),
            Reason.REFRESH: (400, "unauthorized_client", "unable to parse refresh token"),
            Reason.GRANT_TYPE: (
                400,
                "unsupported_grant_type",
                "Only refresh_token or authorization_code grant type is supported",
            ),
        },
        single_use_refresh=False,
    )

    def add_routes(self) -> None:
        add = self.router.add
        add("GET", f"{PREFIX}/version", self.version)
        add("GET", f"{PREFIX}/user", self.guarded(self.user, "read:user"))
        add("GET", f"{PREFIX}/user/orgs", self.guarded(self.organizations, "read:user", "read:organization"))
        add(
            "GET",
            f"{PREFIX}/user/repos",
            self.guarded(self.user_repositories, "read:user", "read:repository"),
        )
        add(
            "GET",
            f"{PREFIX}/orgs/{{name}}",
            self.guarded(self.organization, "read:organization", anonymous=True),
        )
        scope = "read:repository"
        add("GET", f"{PREFIX}/repos/search", self.guarded(self.search, scope, anonymous=True))
        add("GET", f"{PREFIX}/repos/{{owner}}/{{name}}", self.guarded(self.repository, scope, anonymous=True))
        archive = self.guarded(self.download, scope, anonymous=True)
        add("GET", f"{PREFIX}/repos/{{owner}}/{{name}}/archive/{{file*}}", archive)
        add("GET", "/login/oauth/userinfo", self.guarded(self.userinfo))
        TokenPage(self, "/user/settings/applications", kind="personal_token", separator=",")

    # OAuth

    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        """The trap: a request without a granular scope gets a token for everything."""
        granular = tuple(scope for scope in asked if scope in SCOPES)
        return granular or ("all",)

    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        return {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": round((token.expires_at or 0) - token.created_at),
            "refresh_token": refresh,
        }

    def userinfo(self, request: Request) -> Response:
        person = self.state.people[known(request).account]
        login = person.login
        return json_response(
            {
                "sub": str(number(self.slug, login)),
                "name": person.name,
                "preferred_username": login,
                "email": person.email,
            }
        )

    # Access

    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        is_reader = self.state.is_reader(token.account, repository) and "public-only" not in token.scopes
        if repository.private and not is_reader:
            return Barrier.NOT_FOUND
        return None if has_scope(token, "read:repository") else Barrier.SCOPE

    def git_token(self, authorization: Authorization) -> Token | None:
        if authorization.scheme in {"bearer", "token"}:
            return self.live(authorization.secret)
        if authorization.scheme != "basic":
            return None
        if authorization.secret in {"", "x-oauth-basic"}:
            return self.live(authorization.username)
        return self.live(authorization.secret)

    def git_challenge(self, *, failed: bool) -> Response:
        headers = (("WWW-Authenticate", f'Basic realm="{self.realm}"'),)
        text = "Failed to authenticate user\n" if failed else "Unauthorized\n"
        return text_response(text, status=401, headers=headers)

    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        if barrier is Barrier.SCOPE:
            return text_response("Forbidden\n", status=403)
        return text_response("Repository not found\n", status=404)

    def push_refusal(self) -> Response:
        return text_response("User permission denied for writing.\n", status=403)

    # Answers

    def problem(self, request: Request, status: int, message: str, headers: Headers = ()) -> Response:
        data = {"message": message, "url": f"{self.web_url}/api/swagger"}
        return self.finished(request, json_response(data, status=status, headers=headers))

    def not_found(self, request: Request) -> Response:
        return self.problem(request, 404, CANNOT_FIND)

    def quota_spent(self, request: Request, quota: str) -> Response:
        return self.finished(
            request, text_response("Too Many Requests\n", status=429, headers=(("Retry-After", "60"),))
        )

    def finished(self, request: Request, response: Response) -> Response:
        return response.with_headers((("X-Frame-Options", "SAMEORIGIN"), ("Vary", "Origin")))

    def guarded(self, handler: Handler, *scopes: str, anonymous: bool = False) -> Handler:
        """Ask for a live token with all of the scopes."""

        def admit(request: Request, **arguments: str) -> Response:
            if request.authorization.scheme != "none" or not anonymous:
                request.token = self.git_token(request.authorization)
                if request.token is None:
                    return self.problem(request, 401, "token is required")
                for scope in scopes:
                    if not has_scope(request.token, scope):
                        text = f"token does not have at least one of required scope(s): [{scope}]"
                        return self.problem(request, 403, text)
            return self.finished(request, handler(request, **arguments))

        return admit

    # REST

    def version(self, request: Request) -> Response:
        return self.finished(request, json_response({"version": "1.25.1"}))

    def _person_facts(self, person: Person) -> dict[str, Any]:
        return {
            "id": number(self.slug, person.login),
            "login": person.login,
            "login_name": "",
            "source_id": 0,
            "full_name": person.name,
            "email": person.email,
            "avatar_url": f"{self.web_url}/avatars/{person.login}",
            "html_url": f"{self.web_url}/{person.login}",
            "language": "en-US",
            "is_admin": False,
            "last_login": SOME_TIME,
            "created": SOME_TIME,
            "restricted": False,
            "active": True,
            "prohibit_login": False,
            "location": "",
            "website": "",
            "description": "",
            "visibility": "public",
            "username": person.login,
        }

    def user(self, request: Request) -> Response:
        return json_response(self._person_facts(self.state.people[known(request).account]))

    def _organization_facts(self, item: Organization) -> dict[str, Any]:
        return {
            "id": number(self.slug, item.name),
            "name": item.name,
            "username": item.name,
            "full_name": item.title,
            "avatar_url": f"{self.web_url}/avatars/{item.name}",
            "description": "",
            "website": "",
            "location": "",
            "visibility": "public",
            "repo_admin_change_team_access": True,
        }

    def organizations(self, request: Request) -> Response:
        return self._listed(
            request, self.state.organizations_of(known(request).account), self._organization_facts
        )

    def organization(self, request: Request, *, name: str) -> Response:
        item = self.state.organization(name)
        return json_response(self._organization_facts(item)) if item else self.not_found(request)

    def _repository_facts(self, item: Repository) -> dict[str, Any]:
        person = self.state.people.get(item.owner)
        return {
            "id": number(self.slug, item.full_name),
            "owner": self._person_facts(person)
            if person
            else self._organization_facts(self.state.organizations[item.owner]) | {"login": item.owner},
            "name": item.name,
            "full_name": item.full_name,
            "description": "A library of use cases",
            "private": item.private,
            "fork": False,
            "empty": False,
            "archived": False,
            "size": 64,
            "html_url": f"{self.web_url}/{item.full_name}",
            "clone_url": self.clone_url(item),
            "default_branch": "main",
            "created_at": SOME_TIME,
            "updated_at": SOME_TIME,
            "permissions": {"admin": False, "push": False, "pull": True},
        }

    def _visible(self, token: Token | None) -> list[Repository]:
        if token is None:
            return [item for item in self.state.repositories if not item.private]
        return [item for item in self.state.repositories if self.barrier(token, item, contents=False) is None]

    def user_repositories(self, request: Request) -> Response:
        mine = self.state.readable(known(request).account)
        return self._listed(
            request, [item for item in self._visible(request.token) if item in mine], self._repository_facts
        )

    def search(self, request: Request) -> Response:
        """By a part of the name, `uid` (who owns or contributes to it) and `is_private`."""
        wanted, owner = request.query.get("q", "").lower(), request.query.get("uid", "")
        found = [item for item in self._visible(request.token) if wanted in item.full_name.lower()]
        if owner:
            people = [login for login in self.state.people if str(number(self.slug, login)) == owner]
            mine = [item for login in people for item in self.state.readable(login)]
            found = [item for item in found if item in mine]
        if request.query.get("is_private") == "true":
            found = [item for item in found if item.private]
        page = page_of(found, request, size_name="limit", usual=30, most=50)
        headers = (("X-Total-Count", str(page.total)), *link_header(page, request, self.web_url))
        data = {"ok": True, "data": [self._repository_facts(item) for item in page.items]}
        return json_response(data, headers=headers)

    def _reachable(self, request: Request, owner: str, name: str) -> Repository | None:
        item = self.state.repository(owner, name)
        return item if item in self._visible(request.token) else None

    def repository(self, request: Request, *, owner: str, name: str) -> Response:
        item = self._reachable(request, owner, name)
        return json_response(self._repository_facts(item)) if item else self.not_found(request)

    def download(self, request: Request, *, owner: str, name: str, file: str) -> Response:
        item = self._reachable(request, owner, name)
        kind = "tar.gz" if file.endswith(".tar.gz") else "zip"
        if item is None or not file.endswith(f".{kind}"):
            return self.not_found(request)
        response = self.archive(item, file.removesuffix(f".{kind}"), kind=kind, prefix=item.name)
        return response or self.not_found(request)

    def _listed(self, request: Request, items: Sequence[Any], facts: Callable[[Any], object]) -> Response:
        page = page_of(items, request, size_name="limit", usual=30, most=50)
        headers = (("X-Total-Count", str(page.total)), *link_header(page, request, self.web_url))
        return json_response([facts(item) for item in page.items], headers=headers)
