"""Azure DevOps' REST resources: projects and Git repositories of an organization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from project.sandbox.host import Barrier
from project.sandbox.seed import Repository, stable_uuid
from project.sandbox.wire import Handler, Headers, Request, Response, json_response

if TYPE_CHECKING:
    from project.sandbox.hosts.azure import Azure

NOBODY = "TF400813: The user '' is not authorized to access this resource."
EXPIRED = "Access Denied: The Personal Access Token used has expired."
NOT_ALLOWED = "The requested operation is not allowed."
NO_PROJECT = "TF200016: The following project does not exist: {name}."
NO_REPOSITORY = (
    "TF401019: The Git repository with name or identifier {name} does not exist or you do not have "
    "permissions for the operation you are attempting."
)
SERVER = "Microsoft.TeamFoundation.Framework.Server"


def problem(
    host: Azure, request: Request, status: int, message: str, kind: str, headers: Headers = ()
) -> Response:
    """An error in the host's envelope."""
    data = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"{SERVER}.{kind}, {SERVER}",
        "typeKey": kind,
        "errorCode": 0,
        "eventId": 3000,
    }
    return host.finished(request, json_response(data, status=status, headers=headers))


class Rest:
    """The routes and handlers. What a token without the scope is told is a guess: the sources are silent."""

    def __init__(self, host: Azure) -> None:
        self._host = host
        self._state = host.state
        add = host.router.add
        add("GET", "/{owner}/_apis/projects", self.guarded(self.projects))
        add("GET", "/{owner}/_apis/projects/{project}", self.guarded(self.project, anonymous=True))
        add("GET", "/{owner}/_apis/git/repositories", self.guarded(self.repositories))
        add(
            "GET",
            "/{owner}/{project}/_apis/git/repositories",
            self.guarded(self.project_repositories, anonymous=True),
        )
        add(
            "GET",
            "/{owner}/{project}/_apis/git/repositories/{name}",
            self.guarded(self.repository, anonymous=True),
        )

    # Who may ask at all

    def guarded(self, handler: Handler, *, anonymous: bool = False) -> Handler:
        """Ask for a live token of the organization in the address."""

        def admit(request: Request, *, owner: str, **arguments: str) -> Response:
            shown = request.authorization
            request.token = self._host.git_token(shown)
            token = request.token
            if token is not None and (token.resource or owner).lower() == owner.lower():
                return self._host.finished(request, handler(request, owner=owner, **arguments))
            if shown.scheme == "none" and anonymous:
                return self._host.finished(request, handler(request, owner=owner, **arguments))
            return self._refusal(request)

        return admit

    def _refusal(self, request: Request) -> Response:
        """A plain 401 for callers that ask for one, for all others the page to sign in."""
        if request.header("X-TFS-FedAuthRedirect").lower() != "suppress":
            return self._host.sign_in(request)
        token = self._state.find(request.authorization.secret)
        if token is not None and token.is_expired(self._state.now()):
            headers = (*self._host.own_headers(), ("X-TFS-ServiceError", quote(EXPIRED)))
            return problem(self._host, request, 401, EXPIRED, "AccessCheckException", headers)
        return problem(
            self._host, request, 401, NOBODY, "UnauthorizedRequestException", self._host.own_headers()
        )

    def _visible(self, request: Request, owner: str) -> list[Repository]:
        """What a member of the organization, or a stranger, is shown of it; scopes come later."""
        mine = [item for item in self._state.repositories if item.owner.lower() == owner.lower()]
        token = request.token
        if token is None:
            return [item for item in mine if not item.private]
        barriers = {item: self._host.barrier(token, item, contents=False) for item in mine}
        return [item for item in mine if barriers[item] in {None, Barrier.SCOPE}]

    def _may_read_code(self, request: Request, items: Sequence[Repository]) -> bool:
        token = request.token
        return token is None or all(self._host.barrier(token, item, contents=False) is None for item in items)

    def _not_allowed(self, request: Request) -> Response:
        return problem(self._host, request, 403, NOT_ALLOWED, "InvalidAccessException")

    # Projects

    def _project_facts(self, item: Repository) -> dict[str, Any]:
        key = stable_uuid(self._host.slug, item.full_name)
        return {
            "id": key,
            "name": item.name,
            "url": f"{self._host.web_url}/{item.owner}/_apis/projects/{key}",
            "state": "wellFormed",
            "revision": 11,
            "visibility": "private" if item.private else "public",
            "lastUpdateTime": "2024-03-01T08:00:00Z",
        }

    def projects(self, request: Request, *, owner: str) -> Response:
        items = self._visible(request, owner)
        first = _number(request, "$skip", 0)
        shown = items[first : first + (_number(request, "$top", 100) or 100)]
        return _listed([self._project_facts(item) for item in shown])

    def _named(self, request: Request, owner: str, name: str) -> Repository | None:
        items = self._visible(request, owner)
        return next((item for item in items if item.name.lower() == name.lower()), None)

    def project(self, request: Request, *, owner: str, project: str) -> Response:
        item = self._named(request, owner, project)
        return json_response(self._project_facts(item)) if item else self._no_project(request, project)

    def _no_project(self, request: Request, name: str) -> Response:
        text = NO_PROJECT.format(name=name)
        return problem(self._host, request, 404, text, "ProjectDoesNotExistWithNameException")

    # Repositories

    def _repository_facts(self, item: Repository) -> dict[str, Any]:
        project = self._project_facts(item)
        key = stable_uuid(self._host.slug, "git", item.full_name)
        web = self._host.clone_url(item)
        return {
            "id": key,
            "name": item.name,
            "url": f"{self._host.web_url}/{item.owner}/{project['id']}/_apis/git/repositories/{key}",
            "project": project,
            "defaultBranch": "refs/heads/main",
            "size": 65_536,
            "remoteUrl": web.replace("://", f"://{item.owner}@", 1),
            "sshUrl": f"git@ssh.dev.azure.com:v3/{item.owner}/{item.name}/{item.name}",
            "webUrl": web,
            "isDisabled": False,
            "isInMaintenance": False,
        }

    def repositories(self, request: Request, *, owner: str) -> Response:
        return self._listed_repositories(request, self._visible(request, owner))

    def project_repositories(self, request: Request, *, owner: str, project: str) -> Response:
        item = self._named(request, owner, project)
        return self._listed_repositories(request, [item]) if item else self._no_project(request, project)

    def _listed_repositories(self, request: Request, items: Sequence[Repository]) -> Response:
        if not self._may_read_code(request, items):
            return self._not_allowed(request)
        return _listed([self._repository_facts(item) for item in items])

    def repository(self, request: Request, *, owner: str, project: str, name: str) -> Response:
        item = self._named(request, owner, project)
        if item is None:
            return self._no_project(request, project)
        if item.name.lower() != name.lower():
            text = NO_REPOSITORY.format(name=name)
            return problem(self._host, request, 404, text, "GitRepositoryNotFoundException")
        if not self._may_read_code(request, [item]):
            return self._not_allowed(request)
        return json_response(self._repository_facts(item))


def _listed(values: list[dict[str, Any]]) -> Response:
    return json_response({"count": len(values), "value": values})


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else usual  # noqa: PLR2004  no list is longer
