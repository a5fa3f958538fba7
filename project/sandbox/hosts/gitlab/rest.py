"""GitLab's REST resources: the token itself, the user, groups, projects, archives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from project.sandbox.host import Barrier
from project.sandbox.hosts.listing import Page, link_header, page_of
from project.sandbox.seed import Organization, Repository, number
from project.sandbox.tokens import Token
from project.sandbox.wire import (
    BadRequestError,
    Handler,
    Headers,
    Request,
    Response,
    empty,
    json_response,
)

if TYPE_CHECKING:
    from project.sandbox.hosts.gitlab import GitLab

PREFIX = "/api/v4"
SELF = f"{PREFIX}/personal_access_tokens/self"
USER_READERS = ("read_user", "read_api", "api")
READERS = ("read_api", "api")
WEEK = 7 * 86_400
SOME_TIME = "2024-03-01T08:00:00.000Z"
REVOKED = "Token was revoked. You have to re-authorize from the user."
EXPIRED = "Token is expired. You can either do re-authorization or token refresh."
ARCHIVES = {"archive.zip": "zip", "archive.tar.gz": "tar.gz", "archive": "tar.gz"}

# What associations tell of a group and of a project: a group's path stands in its address only.
GROUP_NAMES = ("id", "web_url", "name", "parent_id", "visibility")
PROJECT_NAMES = (
    *("id", "description", "name", "name_with_namespace", "path", "path_with_namespace", "created_at"),
    *("visibility", "web_url", "namespace"),
)


def _some(facts: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: facts[name] for name in names}


def known(request: Request) -> Token:
    """The token of a request that was let through because it showed one."""
    if request.token is None:
        raise BadRequestError("401 Unauthorized")
    return request.token


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


class Rest:
    """The routes and handlers below /api/v4."""

    def __init__(self, host: GitLab) -> None:
        self._host = host
        self._state = host.state
        add = host.router.add
        add("GET", SELF, self.guarded(self.token_itself))
        add("DELETE", SELF, self.guarded(self.revoke_itself))
        add("POST", f"{SELF}/rotate", self.guarded(self.rotate_itself, "api", "self_rotate"))
        add("GET", f"{SELF}/associations", self.guarded(self.associations))
        for path in ("version", "metadata"):
            add("GET", f"{PREFIX}/{path}", self.guarded(self.version, *USER_READERS))
        add("GET", f"{PREFIX}/user", self.guarded(self.user, *USER_READERS))
        add("GET", f"{PREFIX}/groups", self.guarded(self.groups, *READERS))
        add("GET", f"{PREFIX}/groups/{{key}}", self.guarded(self.group, *READERS))
        add("GET", f"{PREFIX}/groups/{{key}}/projects", self.guarded(self.group_projects, *READERS))
        add("GET", f"{PREFIX}/projects", self.guarded(self.projects, *READERS))
        add("GET", f"{PREFIX}/projects/{{key}}", self.guarded(self.project, *READERS, anonymous=True))
        for name, kind in ARCHIVES.items():
            handler = self.guarded(self._archive(kind), *READERS, anonymous=True)
            add("GET", f"{PREFIX}/projects/{{key}}/repository/{name}", handler)

    def guarded(self, handler: Handler, *accepted: str, anonymous: bool = False) -> Handler:
        """Ask for a live token with one of the scopes; no scope named: any token does."""

        def admit(request: Request, **arguments: str) -> Response:
            shown = request.authorization
            if shown.scheme in {"bearer", "private-token"}:
                refusal = self._unauthorized(request, shown.secret)
                if refusal is not None:
                    return refusal
            elif shown.scheme != "none" or not anonymous:
                return self._host.problem(request, 401, {"message": "401 Unauthorized"})
            if accepted and request.token and not set(accepted) & set(request.token.scopes):
                return self._insufficient(request, accepted)
            return self._host.finished(request, handler(request, **arguments))

        return admit

    def _unauthorized(self, request: Request, secret: str) -> Response | None:
        token = self._state.find(secret)
        if token is None:
            return self._host.problem(request, 401, {"message": "401 Unauthorized"})
        request.token = token
        if token.is_live(self._state.now()):
            return None
        text = REVOKED if token.is_revoked(self._state.now()) else EXPIRED
        return self._host.problem(request, 401, {"error": "invalid_token", "error_description": text})

    def _insufficient(self, request: Request, accepted: Sequence[str]) -> Response:
        text = "The request requires higher privileges than provided by the access token."
        data = {"error": "insufficient_scope", "error_description": text, "scope": " ".join(accepted)}
        challenge = (
            f'Bearer realm="Protected by OAuth 2.0", error="insufficient_scope", scope="{data["scope"]}"'
        )
        return self._host.problem(request, 403, data, (("WWW-Authenticate", challenge),))

    # The token itself

    def _not_personal(self, request: Request) -> Response | None:
        if known(request).kind != "oauth":
            return None
        text = "This endpoint requires token type to be a personal access token"
        return self._host.problem(request, 400, {"message": f"400 Bad request - {text}"})

    def _token_facts(self, token: Token) -> dict[str, Any]:
        expires = time.strftime("%Y-%m-%d", time.gmtime(token.expires_at)) if token.expires_at else None
        return {
            "id": number("token", token.id),
            "name": f"sandbox {token.id}",
            "revoked": token.is_revoked(self._state.now()),
            "created_at": _when(token.created_at),
            "description": None,
            "scopes": list(token.scopes),
            "user_id": self._user_facts(token)["id"],
            "last_used_at": _when(self._state.now()),
            "active": token.is_live(self._state.now()),
            "expires_at": expires,
            "last_used_ips": ["127.0.0.1"],
        }

    def token_itself(self, request: Request) -> Response:
        return self._not_personal(request) or json_response(self._token_facts(known(request)))

    def revoke_itself(self, request: Request) -> Response:
        refusal = self._not_personal(request)
        if refusal is None:
            self._state.revoke_on_request(known(request))
        return refusal or empty()

    def rotate_itself(self, request: Request) -> Response:
        token = known(request)
        if token.kind == "oauth":
            return self._host.problem(request, 405, {"message": "405 Method Not Allowed"})
        self._state.revoke(token)
        new, text, _ = self._host.make_token(
            token.account,
            token.kind,
            expires_in=WEEK,
            scopes=token.scopes,
            sso=token.sso,
            resource=token.resource,
        )
        return json_response(self._token_facts(new) | {"token": text})

    def associations(self, request: Request) -> Response:
        """What the token reaches, whatever its scopes: the only listing for `read_repository` alone."""
        refusal = self._not_personal(request)
        if refusal is not None:
            return refusal
        token = known(request)
        groups = page_of(self._groups_of(token), request, size_name="per_page", usual=20, most=100)
        projects = page_of(self._projects_of(token), request, size_name="per_page", usual=20, most=100)
        data = {
            "groups": [_some(self._group_facts(item), GROUP_NAMES) for item in groups.items],
            "projects": [_some(self._project_facts(item), PROJECT_NAMES) for item in projects.items],
        }
        # Both lists go by one page number, but only the projects are counted in the headers.
        return json_response(data, headers=self._page_headers(projects, request))

    # The user and the server

    def version(self, request: Request) -> Response:
        return json_response({"version": "19.2.0-ee", "revision": "5a6e64626f7"})

    def _user_facts(self, token: Token) -> dict[str, Any]:
        """The person; a project or group token has a bot user of its own."""
        if token.kind == "project_access_token":
            resource = token.resource or ""
            kind = "project" if "/" in resource else "group"
            login = f"{kind}_{number(self._host.slug, resource)}_bot_{token.id}"
            return {
                "id": number("bot", token.id),
                "username": login,
                "name": f"sandbox {token.id}",
                "bot": True,
            }
        person = self._state.people[token.account]
        return {"id": number(self._host.slug, person.login), "username": person.login, "name": person.name}

    def user(self, request: Request) -> Response:
        token = known(request)
        user = self._user_facts(token)
        email = (
            f"{user['username']}@noreply.example.test"
            if "bot" in user
            else self._state.people[token.account].email
        )
        facts = user | {
            "state": "active",
            "locked": False,
            "avatar_url": None,
            "web_url": f"{self._host.web_url}/{user['username']}",
            "created_at": SOME_TIME,
            "email": email,
            "commit_email": email,
            "confirmed_at": SOME_TIME,
            "two_factor_enabled": True,
            "external": False,
            "private_profile": False,
            "projects_limit": 100,
            "identities": [],
        }
        return json_response(facts)

    # Groups

    def _group_facts(self, item: Organization) -> dict[str, Any]:
        return {
            "id": number(self._host.slug, item.name),
            "name": item.title,
            "path": item.name,
            "full_name": item.title,
            "full_path": item.name,
            "visibility": "private",
            "parent_id": None,
            "avatar_url": None,
            "web_url": f"{self._host.web_url}/groups/{item.name}",
        }

    def _groups_of(self, token: Token) -> list[Organization]:
        groups = [item for item in self._state.organizations_of(token.account) if not item.ip_allow_list]
        if token.kind == "project_access_token":
            return [item for item in groups if token.resource == item.name]
        return [item for item in groups if not item.sso or item.name in token.sso]

    def groups(self, request: Request) -> Response:
        return self._listed(request, self._groups_of(known(request)), self._group_facts)

    def _group(self, request: Request, key: str) -> Organization | Response:
        for item in self._state.organizations_of(known(request).account):
            if key.lower() == item.name.lower() or key == str(number(self._host.slug, item.name)):
                if item.ip_allow_list:
                    break
                if item.blocked:
                    return self._host.problem(request, 403, {"message": "403 Forbidden"})
                if item.sso and item not in self._groups_of(known(request)):
                    return self._host.problem(request, 400, {"message": self._host.sso_text(item.name)})
                return item
        return self._host.problem(request, 404, {"message": "404 Group Not Found"})

    def group(self, request: Request, *, key: str) -> Response:
        found = self._group(request, key)
        return found if isinstance(found, Response) else json_response(self._group_facts(found))

    def group_projects(self, request: Request, *, key: str) -> Response:
        found = self._group(request, key)
        if isinstance(found, Response):
            return found
        mine = [item for item in self._projects_of(known(request)) if item.owner == found.name]
        return self._listed(request, mine, self._project_facts)

    # Projects

    def _project_facts(self, item: Repository) -> dict[str, Any]:
        group = self._state.organizations.get(item.owner)
        return {
            "id": number(self._host.slug, item.full_name),
            "name": item.name,
            "path": item.name,
            "path_with_namespace": item.full_name,
            "name_with_namespace": item.full_name.replace("/", " / "),
            "description": "A library of use cases",
            "visibility": "private" if item.private else "public",
            "default_branch": "main",
            "http_url_to_repo": self._host.clone_url(item),
            "web_url": f"{self._host.web_url}/{item.full_name}",
            "created_at": SOME_TIME,
            "last_activity_at": SOME_TIME,
            "archived": False,
            "namespace": {
                "id": number(self._host.slug, item.owner),
                "name": group.title if group else item.owner,
                "path": item.owner,
                "kind": "group" if group else "user",
                "full_path": item.owner,
            },
        }

    def _projects_of(self, token: Token) -> list[Repository]:
        mine = self._state.readable(token.account)
        return [item for item in mine if self._host.barrier(token, item, contents=False) is None]

    def projects(self, request: Request) -> Response:
        wanted = request.query.get("search", "").lower()
        mine = [item for item in self._projects_of(known(request)) if wanted in item.full_name.lower()]
        return self._listed(request, mine, self._project_facts)

    def _project(self, request: Request, key: str) -> Repository | Response:
        missing = self._host.problem(request, 404, {"message": "404 Project Not Found"})
        for item in self._state.repositories:
            if key.lower() == item.full_name.lower() or key == str(number(self._host.slug, item.full_name)):
                break
        else:
            return missing
        if request.token is None:
            return missing if item.private else item
        barrier = self._host.barrier(request.token, item, contents=False)
        match barrier:
            case None:
                return item
            case Barrier.SSO:
                return self._host.problem(request, 400, {"message": self._host.sso_text(item.owner)})
            case Barrier.BLOCKED:
                return self._host.problem(request, 403, {"message": "403 Forbidden"})
            case _:
                return missing

    def project(self, request: Request, *, key: str) -> Response:
        found = self._project(request, key)
        return found if isinstance(found, Response) else json_response(self._project_facts(found))

    def _archive(self, kind: str) -> Handler:
        def answer(request: Request, *, key: str) -> Response:
            found = self._project(request, key)
            if isinstance(found, Response):
                return found
            reference = request.query.get("sha", "main")
            prefix = f"{found.name}-{reference.replace('/', '-')}-{{commit}}"
            response = self._host.archive(found, reference, kind=kind, prefix=prefix)
            return response or self._host.problem(request, 404, {"message": "404 File Not Found"})

        return answer

    def _listed(self, request: Request, items: Sequence[Any], facts: Callable[[Any], object]) -> Response:
        page = page_of(items, request, size_name="per_page", usual=20, most=100)
        return json_response([facts(item) for item in page.items], headers=self._page_headers(page, request))

    def _page_headers(self, page: Page[Any], request: Request) -> Headers:
        headers = (
            ("X-Page", str(page.number)),
            ("X-Per-Page", str(page.size)),
            ("X-Next-Page", str(page.number + 1) if page.number < page.last else ""),
            ("X-Prev-Page", str(page.number - 1) if page.number > 1 else ""),
            ("X-Total", str(page.total)),
            ("X-Total-Pages", str(page.last)),
        )
        return (*headers, *link_header(page, request, self._host.web_url))
