"""Azure DevOps' projects and repositories: where addresses name them, and what one answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlsplit

from credentials.errors import AccessRefused, ProviderAnswerUnexpected, TokenRejected
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, unexplained
from credentials.providers.facts import (
    Login,
    OrganizationFact,
    OrganizationState,
    RepositoryFact,
    RepositoryPage,
    RepositoryPlace,
)
from credentials.providers.http import path_segment
from credentials.providers.probing import probe_one
from credentials.providers.reading import member, objects, text
from credentials.providers.repositories import narrowed, page_number, seen_as
from credentials.verdicts import VerdictCode

_PER_PAGE: Final = 100
_PAGES: Final = 20
_LISTED: Final = 50
_NAME = re.compile(r"(?!_)[^/\\:*?\"<>|;#$,{}+=\[\]\x00-\x1f]{1,64}")
"""What projects, repositories and organizations are called. The host's own pages begin with ``_``.

https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions
"""


class AzureDevOpsRepositories(Provider):
    """The part of Azure DevOps that knows projects.

    A host whose address names an organization (``https://dev.azure.com/acme``) is that organization, and
    its projects are what others call organizations. Below a host without one, an organization comes first
    in every address, and little can be asked.
    """

    @property
    def organization_name(self) -> str:
        """The organization that the host's address names; empty for none."""
        return urlsplit(self.host.api_url).path.strip("/").rpartition("/")[2]

    # --- Projects

    def first_project(self, login: Login) -> Answer:
        """One question that any token of this organization may ask."""
        answer = self.ask("GET", "/_apis/projects", login=login, params={"$top": 1})
        _values(answer)
        return answer

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """https://learn.microsoft.com/rest/api/azure/devops/core/projects/list: those that may be seen."""
        if not self.organization_name:
            return None
        facts: dict[str, OrganizationFact] = {}
        for page in range(_PAGES):
            params: dict[str, str | int] = {"$top": _PER_PAGE, "$skip": page * _PER_PAGE}
            answer = self.ask("GET", "/_apis/projects", login=login, params=params)
            values = _values(answer)
            for key in (text(value, "name") for value in values):
                if _NAME.fullmatch(key):
                    facts[key] = self._project(key, OrganizationState.ACCESSIBLE, answer.evidence)
            if len(values) < _PER_PAGE:
                break
        return tuple(facts.values())

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """https://learn.microsoft.com/rest/api/azure/devops/core/projects/get"""
        if not _NAME.fullmatch(key) or not key.strip("."):
            return None
        if not self.organization_name:
            return self._project(key, OrganizationState.UNKNOWN, "the host's address names no organization")
        return probe_one(key, ask=lambda wanted: self._probe(login, wanted), fact=self._project)

    def _probe(self, login: Login, key: str) -> Answer:
        answer = self.ask("GET", f"/_apis/projects/{path_segment(key)}", login=login)
        if text(answer.json, "name").lower() != key.lower():
            raise unexplained(answer)
        return answer

    def _project(self, key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
        page = url or f"{self.host.web_url}/{path_segment(key)}"
        return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=page)

    # --- Repositories

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """``project/_git/repository``, or ``_git/repository`` for the one named like its project.

        Below a host without an organization, the organization comes before.
        """
        if "_git" not in segments[:3]:
            return None
        at = segments.index("_git")
        above, rest = segments[:at], segments[at + 1 :]
        if not rest or not all(_NAME.fullmatch(name) and name.strip(".") for name in (*above, rest[0])):
            return None
        name = rest[0]
        if len(above) == 2 and above[1].lower() == name.lower():  # noqa: PLR2004  # organization, project
            above = above[:1]
        above = above or (name,)
        path = "/".join((*above, "_git", name))
        return RepositoryPlace(owner=above[0], path=path, organizations=above[:1])

    def clone_url(self, place: RepositoryPlace) -> str:
        return f"{self.host.web_url}/{quote(place.path)}"

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """https://learn.microsoft.com/rest/api/azure/devops/git/repositories/get (``vso.code``, as for Git)

        A 401 to a stranger says nothing of a token, nor does one from an organization that the token may
        not belong to.
        """
        above, project, name = self._names(place)
        path = "/".join(("", *(path_segment(part) for part in (*above, project)), "_apis/git/repositories"))
        try:
            answer = self.ask("GET", f"{path}/{path_segment(name)}", login=login)
        except TokenRejected as problem:
            if login is not None and self.organization_name:
                raise
            raise AccessRefused(
                "not shown to strangers",
                status=problem.status,
                evidence=problem.evidence,
                verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS,
            ) from problem
        fact = self._repository(answer.json, answer.evidence, above)
        if fact is None:
            raise ProviderAnswerUnexpected(
                "the answer names no repository",
                status=answer.status,
                evidence=f"{answer.evidence}: no name",
            )
        return replace(fact, evidence=seen_as(answer, place, fact.path))

    def _names(self, place: RepositoryPlace) -> tuple[tuple[str, ...], str, str]:
        """The organization where the host's address names none, the project, and the repository."""
        *before, _git, name = place.path.split("/")
        if self.organization_name:
            return (), before[-1], name
        return (before[0],), before[1] if len(before) > 1 else name, name

    def _repository(self, found: object, evidence: str, above: tuple[str, ...]) -> RepositoryFact | None:
        place = self.place((*above, text(found, "project", "name"), "_git", text(found, "name")))
        if place is None:
            return None
        visibility = text(found, "project", "visibility")
        return RepositoryFact(
            path=place.path,
            clone_url=self.clone_url(place),
            private=visibility != "public" if visibility else None,
            default_branch=text(found, "defaultBranch").removeprefix("refs/heads/"),
            evidence=evidence,
            reads_contents=None if member(found, "isDisabled") is True else True,
        )

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """https://learn.microsoft.com/rest/api/azure/devops/git/repositories/list: all at once, no pages."""
        if not self.organization_name:
            return None
        answer = self.ask("GET", "/_apis/git/repositories", login=login)
        facts = (self._repository(value, answer.evidence, ()) for value in _values(answer))
        wanted = narrowed(query).lower()
        found = [fact for fact in facts if fact is not None and wanted in fact.path.lower()]
        page = page_number(cursor)
        return RepositoryPage(
            repositories=tuple(found[(page - 1) * _LISTED : page * _LISTED]),
            next_cursor=str(page + 1) if len(found) > page * _LISTED else "",
        )


def _values(answer: Answer) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    values = member(answer.json, "value")
    if not isinstance(values, list):
        raise unexplained(answer)
    return objects(values)
