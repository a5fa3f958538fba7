"""Bitbucket Data Center's projects and repositories: where addresses name them, and what one answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from credentials.errors import ProviderAnswerUnexpected
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
from credentials.providers.repositories import ask_for_repository, git_address, narrowed, seen_as
from credentials.providers.tokens import Kind

_PER_PAGE: Final = 100
_PAGES: Final = 20
_LISTED: Final = 50
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_PERSON = re.compile(r"~[^\s~:]{1,254}")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_START = re.compile(r"[0-9]{1,9}", re.ASCII)
_PAGES_OF_THE_HOST = frozenset(
    {"account", "admin", "dashboard", "login", "plugins", "profile", "projects", "repos", "rest", "scm", "users"}
)  # fmt: skip


class BitbucketServerRepositories(Provider):
    """The part of Bitbucket Data Center that knows projects, which are its organizations."""

    # --- Projects

    def organizations(self, login: Login) -> tuple[OrganizationFact, ...] | None:
        """https://developer.atlassian.com/server/bitbucket/rest/ (``/projects``): those that may be seen."""
        facts: dict[str, OrganizationFact] = {}
        start = "0"
        for _page in range(_PAGES):
            answer = self.ask("GET", "/projects", login=login, params={"limit": _PER_PAGE, "start": start})
            for found in _values(answer):
                key = text(found, "key")
                if _KEY.fullmatch(key) and text(found, "type") != "PERSONAL":
                    facts[key] = self._project(
                        key, OrganizationState.ACCESSIBLE, answer.evidence, name=text(found, "name")
                    )
            if not (start := _next_start(answer)):
                break
        return tuple(facts.values())

    def organization(self, login: Login, key: str) -> OrganizationFact | None:
        """One project. A 401 that says "not permitted" and a 404 are the same word: not for this token."""
        if not _KEY.fullmatch(key):
            return None
        return probe_one(key, ask=lambda wanted: self._probe(login, wanted), fact=self._project)

    def _probe(self, login: Login, key: str) -> Answer:
        answer = self.ask("GET", f"/projects/{path_segment(key)}", login=login)
        if text(answer.json, "key").lower() != key.lower():
            raise unexplained(answer)
        return answer

    def _project(
        self, key: str, state: OrganizationState, evidence: str, url: str = "", *, name: str = ""
    ) -> OrganizationFact:
        page = url or f"{self.host.web_url}/projects/{path_segment(key)}"
        return OrganizationFact(key=key, name=name or key, state=state, evidence=evidence, url=page)

    # --- Repositories

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """``scm/KEY/slug``, ``projects/KEY/repos/slug``, ``users/name/repos/slug``; by SSH ``KEY/slug``.

        A person's own repositories lie in a project whose key is the name after a tilde.
        """
        match segments:
            case ("scm", key, slug, *_):
                pass
            case ("projects", key, "repos", slug, *_):
                pass
            case ("users", name, "repos", slug, *_):
                key = f"~{name}"
            case (key, slug) if key.lower() not in _PAGES_OF_THE_HOST:
                pass
            case _:
                return None
        is_personal = _PERSON.fullmatch(key) is not None
        if not (is_personal or _KEY.fullmatch(key)) or not _SLUG.fullmatch(slug) or not slug.strip("."):
            return None
        organizations = () if is_personal else (key,)
        return RepositoryPlace(owner=key, path=f"{key}/{slug}", organizations=organizations)

    def clone_url(self, place: RepositoryPlace) -> str:
        """As the host itself writes it, with the key in small letters."""
        return git_address(
            f"{self.host.web_url}/scm",
            RepositoryPlace(owner=place.owner, path=place.key, organizations=place.organizations),
        )

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """https://developer.atlassian.com/server/bitbucket/rest/ (``/projects/{key}/repos/{slug}``)

        A token of a project or a repository is documented for the Bearer header only: whether Git gets in
        with it as a password, Git has to say.
        """
        key, _slash, slug = place.path.partition("/")
        path = f"/projects/{path_segment(key)}/repos/{path_segment(slug)}"
        answer = ask_for_repository(self, path, login=login)
        fact = self._repository(answer.json, answer.evidence, login)
        if fact is None:
            raise ProviderAnswerUnexpected(
                "the answer names no repository",
                status=answer.status,
                evidence=f"{answer.evidence}: no name",
            )
        return RepositoryFact(
            path=fact.path,
            clone_url=fact.clone_url,
            private=fact.private,
            default_branch=fact.default_branch,
            evidence=seen_as(answer, place, fact.path),
            reads_contents=fact.reads_contents,
        )

    def _repository(self, found: object, evidence: str, login: Login | None) -> RepositoryFact | None:
        place = self.place(("scm", text(found, "project", "key"), text(found, "slug")))
        if place is None:
            return None
        return RepositoryFact(
            path=place.path,
            clone_url=self.clone_url(place),
            private=_is_private(found),
            default_branch=text(found, "defaultBranch").removeprefix("refs/heads/"),
            evidence=evidence,
            reads_contents=None if login is not None and login.kind is Kind.ACCESS_TOKEN else True,
        )

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """https://developer.atlassian.com/server/bitbucket/rest/ (``/repos``), public ones included."""
        params: dict[str, str | int] = {
            "permission": "REPO_READ",
            "limit": _LISTED,
            "start": cursor if _START.fullmatch(cursor) else "0",
        }
        if wanted := narrowed(query):
            params["name"] = wanted
        answer = self.ask("GET", "/repos", login=login, params=params)
        found = [self._repository(value, answer.evidence, login) for value in _values(answer)]
        return RepositoryPage(
            repositories=tuple(fact for fact in found if fact is not None), next_cursor=_next_start(answer)
        )


def _values(answer: Answer) -> list[Mapping[str, Any]]:
    """The objects of one page of a list."""
    values = member(answer.json, "values")
    if not isinstance(values, list):
        raise unexplained(answer)
    return objects(values)


def _next_start(answer: Answer) -> str:
    """Where the next page begins, always further on; empty on the last one."""
    start, following = member(answer.json, "start"), member(answer.json, "nextPageStart")
    if member(answer.json, "isLastPage") is not False or not _is_number(following):
        return ""
    return str(following) if not _is_number(start) or following > start else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _is_private(found: object) -> bool | None:
    """Public by itself, or because its whole project is."""
    own, projects = member(found, "public"), member(found, "project", "public")
    if own is True or projects is True:
        return False
    return True if own is False else None
