"""GitLab's projects: where addresses name them, what one answers, and which a token reaches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ScopeMissing
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, unexplained
from credentials.providers.facts import Login, RepositoryFact, RepositoryPage, RepositoryPlace
from credentials.providers.http import path_segment
from credentials.providers.reading import member, objects, text
from credentials.providers.repositories import (
    ask_for_repository,
    git_address,
    narrowed,
    page_number,
    seen_as,
)
from credentials.providers.tokens import Kind

ASSOCIATIONS: Final = "/personal_access_tokens/self/associations"
"""What a token of the personal family reaches, whatever its scopes; since 17.4."""
ASSOCIATED: Final = 100
"""Groups, and projects, on one page of it."""

_PER_PAGE = 50
_PAGES_SEARCHED = 5
_REPORTER = 20  # the lowest role that reads private code
_NAME = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}")
_DEEPEST = 22  # a group, twenty levels of subgroups, and the project

# https://docs.gitlab.com/user/reserved_names/: neither a project nor a subgroup can have these names, so
# they end the name of the project in the older addresses that lack the lone hyphen.
_ENDS = frozenset(
    {
        *("-", "badges", "blame", "blob", "builds", "commits", "create", "create_dir", "edit", "files"),
        *("find_file", "new", "preview", "raw", "refs", "tree", "update", "wikis"),
    }
)
_PAGES_OF_THE_HOST = frozenset(
    {
        *("admin", "api", "assets", "dashboard", "explore", "files", "groups", "health_check", "help"),
        *("import", "jwt", "login", "oauth", "profile", "projects", "public", "s", "search", "snippets"),
        *("unsubscribes", "uploads", "users", "v2"),
    }
)


def is_name(text: str) -> bool:
    """Whether a project or group could have this name in addresses."""
    return _NAME.fullmatch(text) is not None


def has_next_page(answer: Answer) -> bool:
    """https://docs.gitlab.com/api/rest/#pagination: whether, not where; the address is not followed."""
    return bool(answer.headers.get("X-Next-Page", "").strip()) or 'rel="next"' in answer.headers.get(
        "Link", ""
    )


class GitLabRepositories(Provider):
    """The part of GitLab that knows projects, in groups of any depth."""

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """Everything up to ``/-/``; the last segment is the project, those before it are groups."""
        ends = (number for number, segment in enumerate(segments) if number and segment in _ENDS)
        names = segments[: next(ends, len(segments))]
        if not 2 <= len(names) <= _DEEPEST or names[0].lower() in _PAGES_OF_THE_HOST:  # noqa: PLR2004  # owner, name
            return None
        if not all(is_name(name) for name in names):
            return None
        groups = tuple("/".join(names[:length]) for length in range(len(names) - 1, 0, -1))
        return RepositoryPlace(owner=groups[0], path="/".join(names), organizations=groups)

    def clone_url(self, place: RepositoryPlace) -> str:
        return git_address(self.host.web_url, place)

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """https://docs.gitlab.com/api/projects/#get-a-single-project needs ``read_api``, or nobody's token.

        A token of another project, and one whose group hides itself from this network, get a plain 404.
        """
        answer = ask_for_repository(self, f"/projects/{path_segment(place.path)}", login=login)
        fact = self._project(answer.json, answer.evidence, login)
        if fact is None:
            raise ProviderAnswerUnexpected(
                "the project is not described",
                status=answer.status,
                evidence=f"{answer.evidence}: no project",
            )
        return RepositoryFact(
            path=fact.path,
            clone_url=fact.clone_url,
            private=fact.private if login else False,
            default_branch=fact.default_branch,
            evidence=seen_as(answer, place, fact.path),
            reads_contents=fact.reads_contents,
        )

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """https://docs.gitlab.com/api/projects/#list-all-projects needs ``read_api``; with less, what the
        token is associated with. OAuth tokens have no such list."""
        wanted, page = narrowed(query), page_number(cursor)
        try:
            return self._member_of(login, wanted, page)
        except ScopeMissing:
            if login.kind is Kind.OAUTH:
                return None
        try:
            return self._associated(login, wanted, page)
        except (ScopeMissing, AccessRefused):  # refused, or a server older than the call
            return None

    def _member_of(self, login: Login, wanted: str, page: int) -> RepositoryPage:
        params: dict[str, str | int] = {
            "membership": "true",
            "order_by": "path",
            "sort": "asc",
            "per_page": _PER_PAGE,
            "page": page,
        }
        if wanted:
            params |= {"search": wanted, "search_namespaces": "true"}
        answer = self.ask("GET", "/projects", login=login, params=params)
        if not isinstance(answer.json, list):
            raise unexplained(answer)
        return RepositoryPage(
            repositories=self._projects(answer.json, answer, login),
            next_cursor=str(page + 1) if has_next_page(answer) else "",
        )

    def _associated(self, login: Login, wanted: str, first: int) -> RepositoryPage:
        """https://docs.gitlab.com/api/personal_access_tokens/#list-all-token-associations

        It has no search of its own, so a few pages are read at a time. Without a role it would list all that
        is public as well.
        """
        found: list[RepositoryFact] = []
        for page in range(first, first + _PAGES_SEARCHED):
            params = {"min_access_level": _REPORTER, "per_page": ASSOCIATED, "page": page}
            answer = self.ask("GET", ASSOCIATIONS, login=login, params=params)
            listed = member(answer.json, "projects")
            if not isinstance(listed, list):
                raise unexplained(answer)
            projects = self._projects(listed, answer, login)
            found += [fact for fact in projects if wanted.lower() in fact.path.lower()]
            if not has_next_page(answer):
                return RepositoryPage(repositories=tuple(found))
            if len(found) >= _PER_PAGE:
                break
        return RepositoryPage(repositories=tuple(found), next_cursor=str(page + 1))

    def _projects(self, listed: object, answer: Answer, login: Login) -> tuple[RepositoryFact, ...]:
        facts = (self._project(found, answer.evidence, login) for found in objects(listed))
        return tuple(fact for fact in facts if fact is not None)

    def _project(
        self, found: Mapping[str, object], evidence: str, login: Login | None
    ) -> RepositoryFact | None:
        path = text(found, "path_with_namespace")
        place = self.place(tuple(path.split("/")))
        if place is None or place.path != path:
            return None
        visibility = text(found, "visibility")
        return RepositoryFact(
            path=path,
            clone_url=self.clone_url(place),
            private={"private": True, "internal": True, "public": False}.get(visibility),
            default_branch=text(found, "default_branch"),
            evidence=evidence,
            reads_contents=_reads_contents(found, login),
        )


def _reads_contents(found: Mapping[str, object], login: Login | None) -> bool | None:
    """The default branch is shown only to those who may read the code.

    A fine-grained personal token looks like any other and may still lack “Code: Download”; there only Git can
    tell. https://docs.gitlab.com/auth/tokens/fine_grained_access_tokens/
    """
    if not text(found, "default_branch"):
        return None
    is_personal = login is not None and login.kind is Kind.PERSONAL_TOKEN
    return None if is_personal and text(found, "visibility") != "public" else True
