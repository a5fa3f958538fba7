"""GitHub's REST resources: the user, organizations, repositories, archives."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from project.sandbox.host import Barrier
from project.sandbox.hosts.github import words
from project.sandbox.hosts.listing import link_header, page_of
from project.sandbox.seed import Organization, Person, Repository, number
from project.sandbox.tokens import Token
from project.sandbox.wire import (
    BadRequestError,
    Handler,
    Headers,
    Request,
    Response,
    json_response,
    redirect,
    text_response,
    with_query,
)

if TYPE_CHECKING:
    from project.sandbox.hosts.github import GitHub

PREFIX = "/api/v3"
LINK_SECONDS = 300
VERSIONS = ("2022-11-28", "2026-03-10")
ORGANIZATION_READERS = ("admin:org", "read:org", "user", "write:org")
MEMBERSHIP_READERS = ("admin:org", "read:org", "repo", "user", "write:org")
SOME_TIME = "2024-03-01T08:00:00Z"


def known(request: Request) -> Token:
    """The token of a request that was let through because it showed one."""
    if request.token is None:
        raise BadRequestError("Requires authentication")
    return request.token


class Rest:
    """The routes and handlers of the resources a client reads with a user's token."""

    def __init__(self, host: GitHub) -> None:
        self._host = host
        self._state = host.state
        self._links: dict[str, tuple[Repository, float]] = {}
        self._lock = threading.Lock()
        add = host.router.add
        add("GET", f"{PREFIX}/user", self.guarded(self.user))
        add("GET", f"{PREFIX}/user/orgs", self.guarded(self.user_organizations, *ORGANIZATION_READERS[:3]))
        add("GET", f"{PREFIX}/user/memberships/orgs", self.guarded(self.memberships, *MEMBERSHIP_READERS))
        add(
            "GET",
            f"{PREFIX}/user/memberships/orgs/{{name}}",
            self.guarded(self.membership, *MEMBERSHIP_READERS),
        )
        add("GET", f"{PREFIX}/user/repos", self.guarded(self.user_repositories))
        add("GET", f"{PREFIX}/orgs/{{name}}", self.guarded(self.organization, anonymous=True))
        add(
            "GET",
            f"{PREFIX}/orgs/{{name}}/repos",
            self.guarded(self.organization_repositories, anonymous=True),
        )
        add("GET", f"{PREFIX}/users/{{login}}/orgs", self.guarded(self.public_organizations, anonymous=True))
        add("GET", f"{PREFIX}/repos/{{owner}}/{{name}}", self.guarded(self.repository, anonymous=True))
        for kind in ("zipball", "tarball"):
            handler = self.guarded(self._archive_link(kind), anonymous=True)
            add("GET", f"{PREFIX}/repos/{{owner}}/{{name}}/{kind}", handler)
            add("GET", f"{PREFIX}/repos/{{owner}}/{{name}}/{kind}/{{reference*}}", handler)
        add("GET", "/_codeload/{owner}/{name}/{kind}/{reference*}", self.download)

    # Who may ask at all

    def guarded(self, handler: Handler, *accepted: str, anonymous: bool = False) -> Handler:
        """Ask for a user agent, a known version, a live token and, of a classic token, one of the scopes."""

        def admit(request: Request, **arguments: str) -> Response:
            refusal = self._refusal(request, anonymous=anonymous)
            if refusal is not None:
                return refusal
            token = request.token
            headers = (("X-Accepted-OAuth-Scopes", ", ".join(accepted)),) if self._is_classic(token) else ()
            if accepted and token and self._is_classic(token) and not set(accepted) & set(token.scopes):
                return self._host.problem(request, 403, words.NO_ORGANIZATION_SCOPE, headers)
            return self._host.finished(request, handler(request, **arguments).with_headers(headers))

        return admit

    @staticmethod
    def _is_classic(token: Token | None) -> bool:
        return token is not None and token.kind in {"personal_token", "oauth"}

    def _refusal(self, request: Request, *, anonymous: bool) -> Response | None:
        if not request.header("User-Agent"):
            return text_response(words.NO_USER_AGENT, status=403)
        version = request.header("X-GitHub-Api-Version")
        if version and version not in VERSIONS:
            return self._host.problem(request, 400, f"API version {version} is not supported.")
        shown = request.authorization
        if shown.scheme == "none":
            return None if anonymous else self._host.problem(request, 401, "Requires authentication")
        if shown.scheme == "basic":
            request.token = self._host.git_token(shown)
        elif shown.scheme in {"bearer", "token"}:
            request.token = self._host.live(shown.secret)
        return None if request.token else self._host.problem(request, 401, "Bad credentials")

    # The user

    def person_facts(self, person: Person) -> dict[str, Any]:
        """A user as it appears inside other resources."""
        api, login = self._host.api_url, person.login
        return {
            "login": login,
            "id": number(self._host.slug, login),
            "node_id": f"U_{number(self._host.slug, login)}",
            "avatar_url": f"{self._host.web_url}/avatars/{login}",
            "html_url": f"{self._host.web_url}/{login}",
            "url": f"{api}/users/{login}",
            "type": "User",
        }

    def user(self, request: Request) -> Response:
        token = known(request)
        person = self._state.people[token.account]
        facts = self.person_facts(person) | {
            "name": person.name,
            "company": None,
            "blog": "",
            "location": None,
            "email": None,
            "bio": None,
            "twitter_username": None,
            "public_repos": 0,
            "followers": 0,
            "created_at": SOME_TIME,
            "updated_at": SOME_TIME,
            "user_view_type": "private",
            "two_factor_authentication": True,
        }
        return json_response(facts)

    # Organizations

    def organization_facts(self, organization: Organization) -> dict[str, Any]:
        api, name = self._host.api_url, organization.name
        return {
            "login": name,
            "id": number(self._host.slug, name),
            "node_id": f"O_{number(self._host.slug, name)}",
            "url": f"{api}/orgs/{name}",
            "repos_url": f"{api}/orgs/{name}/repos",
            "events_url": f"{api}/orgs/{name}/events",
            "hooks_url": f"{api}/orgs/{name}/hooks",
            "issues_url": f"{api}/orgs/{name}/issues",
            "members_url": f"{api}/orgs/{name}/members{{/member}}",
            "public_members_url": f"{api}/orgs/{name}/public_members{{/member}}",
            "avatar_url": f"{self._host.web_url}/avatars/{name}",
            "description": organization.title,
        }

    def _partial(self, token: Token, organizations: Sequence[Organization]) -> tuple[tuple[str, str], ...]:
        """The header that says which organizations were left out for want of single sign-on."""
        out = [item for item in organizations if self._host.organization_barrier(token, item) is Barrier.SSO]
        ids = ",".join(str(number(self._host.slug, item.name)) for item in out)
        return (("X-GitHub-SSO", f"partial-results; organizations={ids}"),) if out else ()

    def user_organizations(self, request: Request) -> Response:
        token = known(request)
        mine = [] if token.kind == "fine_grained_token" else self._state.organizations_of(token.account)
        shown = [item for item in mine if self._host.organization_barrier(token, item) is None]
        return self._listed(request, shown, self.organization_facts, self._partial(token, mine))

    def _membership_facts(self, organization: Organization, person: Person) -> dict[str, Any]:
        role = organization.members[person.login]
        name = organization.name
        return {
            "url": f"{self._host.api_url}/orgs/{name}/memberships/{person.login}",
            "state": "pending" if role == "pending" else "active",
            "role": "admin" if role == "admin" else "member",
            "organization_url": f"{self._host.api_url}/orgs/{name}",
            "organization": self.organization_facts(organization),
            "user": self.person_facts(person),
        }

    def memberships(self, request: Request) -> Response:
        token = known(request)
        person = self._state.people[token.account]
        mine = [
            item
            for item in self._state.organizations.values()
            if item.members.get(person.login, "none") != "none" and self._lists(token, item)
        ]
        facts = [self._membership_facts(item, person) for item in mine]
        wanted = request.query.get("state")
        facts = [item for item in facts if wanted in (None, item["state"])]
        return self._listed(request, facts, lambda item: item, self._partial(token, mine))

    def _lists(self, token: Token, organization: Organization) -> bool:
        if token.kind == "fine_grained_token":
            return token.resource == organization.name
        barrier = self._host.organization_barrier(token, organization)
        if barrier is Barrier.NOT_APPROVED:
            return self._state.settings.memberships_list_restricted
        return barrier is None

    def membership(self, request: Request, *, name: str) -> Response:
        token = known(request)
        organization = self._state.organization(name)
        if organization is None or organization.members.get(token.account, "none") == "none":
            return self._host.not_found(request)
        refusal = self.refusal(
            request, self._host.organization_barrier(token, organization), organization.name
        )
        return refusal or json_response(
            self._membership_facts(organization, self._state.people[token.account])
        )

    def organization(self, request: Request, *, name: str) -> Response:
        organization = self._state.organization(name)
        if organization is None:
            return self._host.not_found(request)
        facts = self.organization_facts(organization)
        facts |= {
            "name": organization.title,
            "type": "Organization",
            "created_at": SOME_TIME,
            "public_repos": 1,
        }
        token = request.token
        if token is None:
            return json_response(facts)
        barrier = self._host.organization_barrier(token, organization)
        if barrier is Barrier.NOT_APPROVED or not organization.has_member(token.account):
            barrier = self._host.policy(token, organization)
        elif barrier is None and "repo" in token.scopes:
            facts |= {"total_private_repos": 1, "owned_private_repos": 1}
        return self.refusal(request, barrier, organization.name) or json_response(facts)

    def public_organizations(self, request: Request, *, login: str) -> Response:
        if login not in self._state.people:
            return self._host.not_found(request)
        return self._listed(request, self._state.organizations_of(login), self.organization_facts)

    # Repositories

    def repository_facts(self, repository: Repository) -> dict[str, Any]:
        owner = self._state.people.get(repository.owner)
        organization = self._state.organizations.get(repository.owner)
        owner_facts = self.person_facts(owner) if owner else {}
        if organization is not None:
            owner_facts = self.organization_facts(organization) | {"type": "Organization"}
        return {
            "id": number(self._host.slug, repository.full_name),
            "node_id": f"R_{number(self._host.slug, repository.full_name)}",
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "owner": owner_facts,
            "html_url": f"{self._host.web_url}/{repository.full_name}",
            "description": "A library of use cases",
            "fork": False,
            "archived": False,
            "url": f"{self._host.api_url}/repos/{repository.full_name}",
            "clone_url": self._host.clone_url(repository),
            "default_branch": "main",
            "size": 64,
            "created_at": SOME_TIME,
            "updated_at": SOME_TIME,
            "pushed_at": SOME_TIME,
            "permissions": {"admin": False, "push": False, "pull": True},
        }

    def user_repositories(self, request: Request) -> Response:
        token = known(request)
        mine = self._state.readable(token.account)
        shown = [item for item in mine if self._host.barrier(token, item, contents=False) is None]
        partial = self._partial(token, self._state.organizations_of(token.account))
        return self._listed(request, shown, self.repository_facts, partial)

    def organization_repositories(self, request: Request, *, name: str) -> Response:
        organization = self._state.organization(name)
        if organization is None:
            return self._host.not_found(request)
        token = request.token
        wanted = {"private": {True}, "public": {False}}.get(request.query.get("type", ""), {True, False})
        shown = [
            item
            for item in self._state.repositories
            if item.owner == organization.name
            and item.private in wanted
            and (
                not item.private if token is None else self._host.barrier(token, item, contents=False) is None
            )
        ]
        return self._listed(request, shown, self.repository_facts)

    def _reachable(self, request: Request, owner: str, name: str, *, contents: bool) -> Repository | Response:
        repository = self._state.repository(owner, name)
        token = request.token
        if repository is None or (token is None and repository.private):
            return self._host.not_found(request)
        barrier = self._host.barrier(token, repository, contents=contents) if token else None
        return self.refusal(request, barrier, repository.owner) or repository

    def refusal(self, request: Request, barrier: Barrier | None, owner: str) -> Response | None:
        """What REST answers to a barrier; None if there is none."""
        if barrier is None:
            return None
        is_hidden = barrier is Barrier.NOT_APPROVED and self._state.settings.restriction_as_not_found
        token = known(request)
        if barrier is Barrier.NOT_FOUND or is_hidden:
            return self._host.not_found(request)
        url = f"required; url={self._host.sso_url(owner, token)}"
        headers = (("X-GitHub-SSO", url),) if barrier is Barrier.SSO else ()
        return self._host.problem(request, 403, self._host.explanation(barrier, token, owner), headers)

    def repository(self, request: Request, *, owner: str, name: str) -> Response:
        found = self._reachable(request, owner, name, contents=False)
        if isinstance(found, Response):
            return found
        return json_response(self.repository_facts(found), headers=(("X-Accepted-OAuth-Scopes", "repo"),))

    # Archives

    def _archive_link(self, kind: str) -> Handler:
        folder = "legacy.zip" if kind == "zipball" else "legacy.tar.gz"

        def answer(request: Request, *, owner: str, name: str, reference: str = "main") -> Response:
            found = self._reachable(request, owner, name, contents=True)
            if isinstance(found, Response):
                return found
            if self._host.commit_of(found, reference) is None:
                return self._host.not_found(request)
            url = f"{self._host.web_url}/_codeload/{found.full_name}/{folder}/{reference}"
            return redirect(with_query(url, token=self._link(found)) if found.private else url)

        return answer

    def _link(self, repository: Repository) -> str:
        link = secrets.token_urlsafe(20)
        with self._lock:
            self._links[link] = (repository, self._state.now() + LINK_SECONDS)
        return link

    def download(self, request: Request, *, owner: str, name: str, kind: str, reference: str) -> Response:
        """The download server: it knows its own links only, and wants to see no credential."""
        if request.authorization.scheme != "none":
            return text_response("400: a credential was sent to the download server\n", status=400)
        repository = self._state.repository(owner, name)
        linked, ends = self._links.get(request.query.get("token", ""), (None, 0.0))
        is_linked = linked == repository and self._state.now() < ends
        if repository is None or (repository.private and not is_linked):
            return text_response("404: Not Found\n", status=404)
        prefix = f"{repository.owner}-{repository.name}-{{short}}"
        format_name = kind.removeprefix("legacy.")
        response = self._host.archive(repository, reference, kind=format_name, prefix=prefix)
        return response or text_response("404: Not Found\n", status=404)

    def _listed(
        self, request: Request, items: Sequence[Any], facts: Callable[[Any], object], headers: Headers = ()
    ) -> Response:
        page = page_of(items, request, size_name="per_page", usual=30, most=100)
        links = link_header(page, request, self._host.web_url)
        return json_response([facts(item) for item in page.items], headers=(*links, *headers))
