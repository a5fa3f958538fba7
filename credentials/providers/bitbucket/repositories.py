"""Bitbucket's repositories: where addresses name them, what one answers, and which a token reaches."""

from __future__ import annotations

import re
from collections.abc import Mapping

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, ScopeMissing
from credentials.providers.bitbucket.organizations import BitbucketOrganizations, has_next_page, values_of
from credentials.providers.facts import Login, RepositoryFact, RepositoryPage, RepositoryPlace
from credentials.providers.http import path_segment
from credentials.providers.reading import member, text
from credentials.providers.repositories import ask_for_repository, git_address, narrowed, seen_as

_LISTED = 50
_QUESTIONS = 10
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_CURSOR = re.compile(r"([0-9]{1,3})\.([1-9][0-9]{0,4})", re.ASCII)
_PAGES_OF_THE_HOST = frozenset(
    {"account", "dashboard", "product", "repo", "site", "snippets", "socialauth", "workspaces"}
)
_PAGES_OF_A_WORKSPACE = frozenset(
    {"members", "overview", "projects", "pull-requests", "repositories", "search", "settings", "snippets"}
)


def quoted(wanted: str) -> str:
    """A text of Bitbucket's query language, in which no quotation mark ends it early.

    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering
    """
    escaped = wanted.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class BitbucketRepositories(BitbucketOrganizations):
    """The part of Bitbucket that knows the repositories in workspaces."""

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """The first two segments; ``/src/main/…`` and other pages of the repository may follow."""
        if len(segments) < 2 or segments[0].lower() in _PAGES_OF_THE_HOST:  # noqa: PLR2004  # owner, name
            return None
        workspace, name, *rest = segments
        if name == "workspace" and rest and rest[0] in _PAGES_OF_A_WORKSPACE:
            return None
        if not all(_NAME.fullmatch(part) and part.strip(".") for part in (workspace, name)):
            return None
        return RepositoryPlace(owner=workspace, path=f"{workspace}/{name}", organizations=(workspace,))

    def clone_url(self, place: RepositoryPlace) -> str:
        return git_address(self.host.web_url, place)

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/

        The scope it wants is the one that Git wants. A token of one repository or workspace gets 404
        elsewhere, like everybody who may not see what is there.
        """
        if login:
            self.require_email(login)
        workspace, _slash, name = place.path.partition("/")
        path = f"/repositories/{path_segment(workspace)}/{path_segment(name)}"
        answer = ask_for_repository(self, path, login=login)
        full_name = text(answer.json, "full_name")
        fact = self._repository(answer.json, seen_as(answer, place, full_name))
        if fact is None:
            raise ProviderAnswerUnexpected(
                "the repository is not described",
                status=answer.status,
                evidence=f"{answer.evidence}: no repository",
            )
        return fact

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """What the account's workspaces hold, one after the other: there is no list across workspaces.

        The cursor is the number of a workspace and that of a page in it. A workspace that refuses adds
        nothing; what it answers is told by :meth:`organizations`.
        """
        self.require_email(login)
        try:
            workspaces = self.workspaces(login)
        except (ScopeMissing, AccessRefused):
            return None
        wanted = narrowed(query)
        match = _CURSOR.fullmatch(cursor)
        index, page = (int(match[1]), int(match[2])) if match else (0, 1)
        found: list[RepositoryFact] = []
        for _question in range(_QUESTIONS):
            if index >= len(workspaces) or len(found) >= _LISTED:
                break
            try:
                facts, has_more = self._listed(login, workspaces[index], wanted, page)
            except ScopeMissing:
                return None
            except AccessRefused:
                facts, has_more = (), False
            found += facts
            index, page = (index, page + 1) if has_more else (index + 1, 1)
        return RepositoryPage(
            repositories=tuple(found), next_cursor=f"{index}.{page}" if index < len(workspaces) else ""
        )

    def _listed(
        self, login: Login, workspace: str, wanted: str, page: int
    ) -> tuple[tuple[RepositoryFact, ...], bool]:
        params: dict[str, str | int] = {"role": "member", "pagelen": _LISTED, "page": page}
        if wanted:
            params["q"] = f"name ~ {quoted(wanted)}"
        answer = self.ask("GET", f"/repositories/{path_segment(workspace)}", login=login, params=params)
        facts = (self._repository(value, answer.evidence) for value in values_of(answer))
        return tuple(fact for fact in facts if fact is not None), has_next_page(answer)

    def _repository(self, found: Mapping[str, object], evidence: str) -> RepositoryFact | None:
        path = text(found, "full_name")
        place = self.place(tuple(path.split("/")))
        if place is None or place.path != path:
            return None
        private = member(found, "is_private")
        return RepositoryFact(
            path=path,
            clone_url=self.clone_url(place),
            private=private if isinstance(private, bool) else None,
            default_branch=text(found, "mainbranch", "name"),
            evidence=evidence,
        )
