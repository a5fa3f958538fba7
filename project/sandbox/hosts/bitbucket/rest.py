"""Bitbucket's REST resources: the user, workspaces, repositories, and what was removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from project.sandbox.host import Barrier
from project.sandbox.hosts.listing import address, page_of
from project.sandbox.seed import Person, Repository, stable_uuid
from project.sandbox.tokens import Token
from project.sandbox.wire import BadRequestError, Handler, Request, Response, html_response, json_response

if TYPE_CHECKING:
    from project.sandbox.hosts.bitbucket import Bitbucket

PREFIX = "/2.0"
CHALLENGE = (("WWW-Authenticate", 'Basic realm="Bitbucket.org HTTP"'),)
NOT_SUPPORTED = "Token is invalid, expired, or not supported for this endpoint."
NO_ACCESS = (
    "You may not have access to this repository or it no longer exists in this workspace. If you think this "
    "repository exists and you have access, make sure you are authenticated."
)
MISSING_SCOPE = "Your credentials lack one or more required privilege scopes."
QUERY = re.compile(r'name\s*~\s*"(?P<text>(?:[^"\\]|\\.)*)"')
MOST_PER_PAGE = 100
REMOVED = ("/repositories", "/workspaces", "/user/permissions/workspaces", "/user/permissions/repositories")
ANNOUNCEMENT = "https://developer.atlassian.com/cloud/bitbucket/changelog/#CHANGE-2770"
SOME_TIME = "2024-03-01T08:00:00.000000+00:00"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """One permission in the two languages: that of API tokens, and that of OAuth and access tokens."""

    api: str
    classic: str

    def required_of(self, token: Token) -> str:
        return self.api if token.kind == "api_token" else self.classic

    def is_missing_in(self, token: Token) -> bool:
        """A classic scope for writing includes the one for reading; those of API tokens imply nothing."""
        required = self.required_of(token)
        if token.kind == "api_token":
            return required not in token.scopes
        return bool(required) and not {required, f"{required}:write"} & set(token.scopes)


USER = Scope(api="read:user:bitbucket", classic="account")
WORKSPACES = Scope(api="read:workspace:bitbucket", classic="account")
WORKSPACE = Scope(api="read:workspace:bitbucket", classic="")
REPOSITORY = Scope(api="read:repository:bitbucket", classic="repository")


def known(request: Request) -> Token:
    """The token of a request that was let through because it showed one."""
    if request.token is None:
        raise BadRequestError(NOT_SUPPORTED)
    return request.token


def lost_page(host: Bitbucket, request: Request) -> Response:
    """The answer to an unknown path: a page of some 25 kB with the caller in it: never to be logged."""
    token = request.token
    profile = escape(token.account) if token else "anonymous"
    filler = "<!-- the sandbox fills its page up, as the original's is long -->\n" * 370
    text = (
        f'<!DOCTYPE html><html lang="en"><title>Bitbucket</title><body data-current-user="{profile}">'
        f"<h1>Resource not found</h1>{filler}</body></html>"
    )
    return html_response(text, status=404)


class Rest:
    """The routes and handlers below /2.0, and the archives of the web address."""

    def __init__(self, host: Bitbucket) -> None:
        self._host = host
        self._state = host.state
        add = host.router.add
        add("GET", f"{PREFIX}/user", self.guarded(self.user, USER))
        for path in REMOVED:
            add("GET", f"{PREFIX}{path}", self.gone)
        add("GET", f"{PREFIX}/user/workspaces", self.guarded(self.workspaces, WORKSPACES))
        permission = self.guarded(self.permission, WORKSPACES)
        add("GET", f"{PREFIX}/user/workspaces/{{name}}/permission", permission)
        add("GET", f"{PREFIX}/workspaces/{{name}}", self.guarded(self.workspace, WORKSPACE))
        add("GET", f"{PREFIX}/repositories/{{owner}}", self.guarded(self.repositories, REPOSITORY))
        one = self.guarded(self.repository, REPOSITORY, anonymous=True)
        add("GET", f"{PREFIX}/repositories/{{owner}}/{{name}}", one)
        archive = self.guarded(self.archive, REPOSITORY, anonymous=True)
        add("GET", "/{owner}/{name}/get/{file*}", archive)

    def guarded(self, handler: Handler, scope: Scope, *, anonymous: bool = False) -> Handler:
        """Ask for a live credential shown in the right way, and for the scope in its kind's words."""

        def admit(request: Request, **arguments: str) -> Response:
            if request.authorization.scheme == "none" and anonymous:
                return self._host.finished(request, handler(request, **arguments))
            request.token = token = self._token(request)
            if token is None:
                return self._host.problem(request, 401, NOT_SUPPORTED, headers=CHALLENGE)
            required = scope.required_of(token)
            headers = (("X-Accepted-Oauth-Scopes", required),)
            # An access token belongs to no person.
            is_nobody = token.kind == "access_token" and request.path.startswith(f"{PREFIX}/user")
            if is_nobody or scope.is_missing_in(token):
                detail = {"required": [required], "granted": list(token.scopes)}
                return self._host.problem(request, 403, MISSING_SCOPE, headers=headers, detail=detail)
            return self._host.finished(request, handler(request, **arguments).with_headers(headers))

        return admit

    def _token(self, request: Request) -> Token | None:
        shown = request.authorization
        token = self._host.live(shown.secret)
        if token is None:
            return None
        if token.kind != "api_token":
            return token if shown.scheme == "bearer" else None
        email = self._state.people[token.account].email
        return token if shown.scheme == "basic" and shown.username.lower() == email else None

    def gone(self, request: Request) -> Response:
        text = "CHANGE-2770 - Functionality has been deprecated"
        data = {"announcement_url": ANNOUNCEMENT}
        detail = "This functionality has been deprecated. Please refer to our announcement for more details."
        return self._host.problem(request, 410, text, detail=detail, data=data)

    # People and workspaces

    def _person_facts(self, person: Person) -> dict[str, Any]:
        api = f"{self._host.api_url}/users/{person.login}"
        return {
            "type": "user",
            "uuid": f"{{{stable_uuid(self._host.slug, person.login)}}}",
            "account_id": f"557058:{stable_uuid('account', person.login)}",
            "username": person.login,
            "nickname": person.login,
            "display_name": person.name,
            "links": {"self": {"href": api}, "html": {"href": f"{self._host.web_url}/{person.login}/"}},
        }

    def user(self, request: Request) -> Response:
        person = self._state.people[known(request).account]
        more = {"created_on": SOME_TIME, "account_status": "active", "is_staff": False, "location": None}
        return json_response(self._person_facts(person) | more)

    def _workspace_names(self, account: str) -> list[str]:
        return [account, *(item.name for item in self._state.organizations_of(account))]

    def _workspace_facts(self, name: str) -> dict[str, Any]:
        return {
            "uuid": f"{{{stable_uuid(self._host.slug, 'workspace', name)}}}",
            "slug": name,
            "links": {"self": {"href": f"{self._host.api_url}/workspaces/{name}"}},
        }

    def _is_admin(self, account: str, name: str) -> bool:
        organization = self._state.organizations.get(name)
        return organization is None or organization.members.get(account) == "admin"

    def workspaces(self, request: Request) -> Response:
        account = known(request).account

        def facts(name: str) -> dict[str, Any]:
            base = {"type": "workspace_base"} | self._workspace_facts(name)
            return {
                "type": "workspace_access",
                "administrator": self._is_admin(account, name),
                "workspace": base,
            }

        return self._listed(request, self._workspace_names(account), facts)

    def permission(self, request: Request, *, name: str) -> Response:
        account = known(request).account
        if name not in self._workspace_names(account):
            return self._no_workspace(request, name)
        role = "owner" if self._is_admin(account, name) else "member"
        return json_response({"type": "workspace_membership", "permission": role})

    def _no_workspace(self, request: Request, name: str) -> Response:
        return self._host.problem(request, 404, f"No workspace with identifier '{name}'.")

    def _refuses(self, request: Request, name: str) -> Response | None:
        organization = self._state.organizations.get(name)
        if organization is not None and organization.blocked:
            return self._host.problem(request, 403, "Forbidden")
        return None

    def workspace(self, request: Request, *, name: str) -> Response:
        token = known(request)
        owner = (token.resource or name).partition("/")[0]
        if name not in self._workspace_names(token.account) or owner != name:
            return self._no_workspace(request, name)
        organization = self._state.organizations.get(name)
        facts = {
            "type": "workspace",
            "name": organization.title if organization else self._state.people[name].name,
            "is_private": True,
            "created_on": SOME_TIME,
        }
        return self._refuses(request, name) or json_response(facts | self._workspace_facts(name))

    # Repositories

    def _repository_facts(self, item: Repository, account: str) -> dict[str, Any]:
        user = f"{account}@" if account else ""
        clone = self._host.clone_url(item).replace("http://", f"http://{user}", 1)
        return {
            "type": "repository",
            "uuid": f"{{{stable_uuid(self._host.slug, item.full_name)}}}",
            "full_name": item.full_name,
            "name": item.name,
            "slug": item.name.lower(),
            "is_private": item.private,
            "description": "A library of use cases",
            "mainbranch": {"type": "branch", "name": "main"},
            "size": 65_536,
            "created_on": SOME_TIME,
            "updated_on": SOME_TIME,
            "workspace": {"type": "workspace", "name": item.owner} | self._workspace_facts(item.owner),
            "links": {
                "self": {"href": f"{self._host.api_url}/repositories/{item.full_name}"},
                "html": {"href": f"{self._host.web_url}/{item.full_name}"},
                "clone": [{"name": "https", "href": clone}],
            },
        }

    def repositories(self, request: Request, *, owner: str) -> Response:
        token = known(request)
        # A token of one repository or workspace knows no other one.
        own = (token.resource or owner).partition("/")[0]
        if owner not in self._workspace_names(token.account) or own != owner:
            return self._no_workspace(request, owner)
        refusal = self._refuses(request, owner)
        if refusal is not None:
            return refusal
        query = QUERY.fullmatch(request.query.get("q", 'name ~ ""'))
        if query is None:
            return self._host.problem(request, 400, "Invalid query")
        wanted = re.sub(r"\\(.)", r"\1", query["text"]).lower()
        mine = [
            item
            for item in self._state.repositories
            if item.owner == owner
            and wanted in item.name.lower()
            and self._host.barrier(token, item, contents=False) is None
        ]
        return self._listed(request, mine, lambda item: self._repository_facts(item, token.account))

    def _reachable(self, request: Request, owner: str, name: str) -> Repository | Response:
        item, token = self._state.repository(owner, name), request.token
        barrier = self._host.barrier(token, item, contents=False) if token and item else None
        if item is None or (token is None and item.private) or barrier is Barrier.NOT_FOUND:
            return self._host.problem(request, 404, NO_ACCESS)
        if barrier is Barrier.BLOCKED:
            return self._host.problem(request, 403, "Forbidden")
        return item

    def repository(self, request: Request, *, owner: str, name: str) -> Response:
        found = self._reachable(request, owner, name)
        if isinstance(found, Response):
            return found
        return json_response(self._repository_facts(found, request.token.account if request.token else ""))

    def archive(self, request: Request, *, owner: str, name: str, file: str) -> Response:
        """`/{workspace}/{repository}/get/{ref}.zip` or `.tar.gz`."""
        kind = "tar.gz" if file.endswith(".tar.gz") else "zip"
        reference = file.removesuffix(f".{kind}")
        found = self._reachable(request, owner, name) if reference != file else lost_page(self._host, request)
        if isinstance(found, Response):
            return found
        prefix = f"{found.owner}-{found.name}-{{short}}"
        response = self._host.archive(found, reference, kind=kind, prefix=prefix)
        return response or lost_page(self._host, request)

    def _listed(self, request: Request, items: Sequence[Any], facts: Callable[[Any], object]) -> Response:
        asked = request.query.get("pagelen", "10")
        if not asked.isdecimal() or not 0 < int(asked) <= MOST_PER_PAGE:
            return self._host.problem(request, 400, "Invalid pagelen")
        page = page_of(items, request, size_name="pagelen", usual=10, most=MOST_PER_PAGE)
        data: dict[str, Any] = {
            "values": [facts(item) for item in page.items],
            "page": page.number,
            "pagelen": page.size,
            "size": page.total,
        }
        if page.number < page.last:
            data["next"] = address(request, self._host.web_url, page=page.number + 1)
        return json_response(data)
