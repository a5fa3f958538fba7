"""Bitbucket Data Center's REST resources: the server, users, projects, repositories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from project.sandbox.seed import Repository, number
from project.sandbox.wire import Handler, Request, Response, json_response

if TYPE_CHECKING:
    from project.sandbox.hosts.bitbucket_server import BitbucketServer

PREFIX = "/rest/api/latest"
NOT_PERMITTED = "You are not permitted to access this resource"
WRONG_TOKEN = "Authentication failed. Please check your credentials and try again."  # noqa: S105  a wording


class Rest:
    """The routes and handlers, under the name of the API's newest version and under that of 1.0."""

    def __init__(self, host: BitbucketServer) -> None:
        self._host = host
        self._state = host.state
        routes: dict[str, Handler] = {
            "/users/{slug}": self.guarded(self.user),
            "/projects": self.guarded(self.projects, anonymous=True),
            "/projects/{key}": self.guarded(self.project, anonymous=True),
            "/projects/{key}/repos": self.guarded(self.project_repositories, anonymous=True),
            "/projects/{key}/repos/{slug}": self.guarded(self.repository, anonymous=True),
            "/projects/{key}/repos/{slug}/default-branch": self.guarded(self.default_branch, anonymous=True),
            "/repos": self.guarded(self.repositories, anonymous=True),
        }
        for prefix in (PREFIX, "/rest/api/1.0"):
            host.router.add("GET", f"{prefix}/application-properties", self.properties)
            for path, handler in routes.items():
                host.router.add("GET", f"{prefix}{path}", handler)

    # Who may ask at all

    def guarded(self, handler: Handler, *, anonymous: bool = False) -> Handler:
        """Refuse a wrong token, and strangers where only users may ask."""

        def admit(request: Request, **arguments: str) -> Response:
            if request.authorization.scheme != "none":
                request.token = self._host.shown_token(request.authorization)
                if request.token is None:
                    name = "auth.IncorrectPasswordAuthenticationException"
                    return self._host.problem(request, 401, WRONG_TOKEN, name)
            elif not anonymous:
                return self._host.not_permitted(request)
            return self._host.finished(request, handler(request, **arguments))

        return admit

    def properties(self, request: Request) -> Response:
        """Answered to everybody; only the header with the caller's name says whether a token was good."""
        request.token = self._host.shown_token(request.authorization)
        facts = {
            "version": "9.4.2",
            "buildNumber": "9004002",
            "buildDate": "1732000000000",
            "displayName": "Bitbucket",
        }
        return self._host.finished(request, json_response(facts))

    # Users

    def user(self, request: Request, *, slug: str) -> Response:
        person = next((item for login, item in self._state.people.items() if login.lower() == slug), None)
        if person is None:
            return self._host.problem(
                request, 404, f"User {slug} does not exist.", "user.NoSuchUserException"
            )
        return json_response(
            {
                "name": person.login,
                "emailAddress": person.email,
                "active": True,
                "displayName": person.name,
                "id": number(self._host.slug, person.login),
                "slug": person.login.lower(),
                "type": "NORMAL",
                "links": {"self": [{"href": f"{self._host.web_url}/users/{person.login}"}]},
            }
        )

    # Projects

    def _visible(self, request: Request) -> list[Repository]:
        token = request.token
        if token is None:
            return [item for item in self._state.repositories if not item.private]
        return [
            item
            for item in self._state.repositories
            if self._host.barrier(token, item, contents=False) is None
        ]

    def _project_facts(self, owner: str) -> dict[str, Any]:
        person, key = self._state.people.get(owner), self._host.key(owner)
        page = f"users/{owner}" if person else f"projects/{key}"
        facts = {
            "key": key.upper(),
            "id": number(self._host.slug, key),
            "name": person.name if person else self._state.organizations[owner].title,
            "public": False,
            "type": "PERSONAL" if person else "NORMAL",
            "links": {"self": [{"href": f"{self._host.web_url}/{page}"}]},
        }
        return facts | ({"owner": {"name": owner, "slug": owner.lower()}} if person else {})

    def projects(self, request: Request) -> Response:
        owners = dict.fromkeys(item.owner for item in self._visible(request))
        keys = [owner for owner in owners if owner in self._state.organizations]
        return self._listed(request, keys, self._project_facts)

    def project(self, request: Request, *, key: str) -> Response:
        owner = self._host.owner(key)
        if not owner:
            return self._no_project(request, key)
        if owner not in {item.owner for item in self._visible(request)}:
            return self._host.not_permitted(request)
        return json_response(self._project_facts(owner))

    def _no_project(self, request: Request, key: str) -> Response:
        return self._host.problem(
            request, 404, f"Project {key} does not exist.", "project.NoSuchProjectException"
        )

    # Repositories

    def _repository_facts(self, item: Repository) -> dict[str, Any]:
        slug = item.name.lower()
        project = self._project_facts(item.owner)
        page = f"{project['links']['self'][0]['href']}/repos/{slug}/browse"
        ssh = f"ssh://git@127.0.0.1:7999/{quote(self._host.key(item.owner).lower())}/{slug}.git"
        return {
            "slug": slug,
            "id": number(self._host.slug, item.full_name),
            "name": item.name,
            "hierarchyId": f"{number(item.full_name):x}",
            "scmId": "git",
            "state": "AVAILABLE",
            "statusMessage": "Available",
            "forkable": True,
            "project": project,
            "public": not item.private,
            "archived": False,
            "links": {
                "clone": [
                    {"href": self._host.clone_url(item), "name": "http"},
                    {"href": ssh, "name": "ssh"},
                ],
                "self": [{"href": page}],
            },
        }

    def _found(self, request: Request, key: str, slug: str) -> Repository | Response:
        owner = self._host.owner(key)
        if not owner:
            return self._no_project(request, key)
        item = self._state.repository(owner, slug)
        if item is None:
            text = f"Repository {key}/{slug} does not exist."
            return self._host.problem(request, 404, text, "repository.NoSuchRepositoryException")
        return item if item in self._visible(request) else self._host.not_permitted(request)

    def repository(self, request: Request, *, key: str, slug: str) -> Response:
        found = self._found(request, key, slug)
        return found if isinstance(found, Response) else json_response(self._repository_facts(found))

    def default_branch(self, request: Request, *, key: str, slug: str) -> Response:
        found = self._found(request, key, slug)
        facts = {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}
        return found if isinstance(found, Response) else json_response(facts)

    def project_repositories(self, request: Request, *, key: str) -> Response:
        owner = self._host.owner(key)
        items = [item for item in self._visible(request) if item.owner == owner]
        return self._listed(request, items, self._repository_facts)

    def repositories(self, request: Request) -> Response:
        wanted = request.query.get("name", "").lower()
        items = [item for item in self._visible(request) if wanted in item.name.lower()]
        return self._listed(request, items, self._repository_facts)

    @staticmethod
    def _listed(request: Request, items: Sequence[Any], facts: Callable[[Any], object]) -> Response:
        """One page, from `start` on: the first item is number 0."""
        start, limit = _number(request, "start", 0), min(_number(request, "limit", 25) or 25, 1000)
        shown = items[start : start + limit]
        is_last = start + limit >= len(items)
        page = {
            "size": len(shown),
            "limit": limit,
            "isLastPage": is_last,
            "values": [facts(item) for item in shown],
            "start": start,
            "nextPageStart": None if is_last else start + limit,
        }
        return json_response(page)


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else usual  # noqa: PLR2004  no list is longer
