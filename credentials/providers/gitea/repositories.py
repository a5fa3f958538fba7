"""Gitea's repositories: where addresses name them, what one answers, and which a token reaches."""

from __future__ import annotations

import re
from collections.abc import Mapping

from credentials.errors import ProviderAnswerUnexpected, ScopeMissing
from credentials.providers.answers import Answer
from credentials.providers.base import Provider, unexplained
from credentials.providers.facts import Login, RepositoryFact, RepositoryPage, RepositoryPlace
from credentials.providers.http import path_segment
from credentials.providers.reading import identifier, member, objects, text
from credentials.providers.repositories import (
    ask_for_repository,
    git_address,
    narrowed,
    page_number,
    seen_as,
)

_PER_PAGE = 50
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# Names that no account can have: https://github.com/go-gitea/gitea/blob/main/models/user/user.go
_PAGES_OF_THE_HOST = frozenset(
    {
        *("admin", "api", "assets", "attachments", "avatar", "avatars", "captcha", "commits", "debug"),
        *("devtest", "error", "explore", "issues", "login", "metrics", "milestones", "new", "notifications"),
        *("org", "pulls", "raw", "repo", "repo-avatars", "search", "ssh_info", "user", "v2", ".well-known"),
    }
)


class GiteaRepositories(Provider):
    """The part of Gitea that knows repositories."""

    @classmethod
    def place(cls, segments: tuple[str, ...]) -> RepositoryPlace | None:
        """The first two segments; ``/src/branch/main`` and other pages of the repository may follow."""
        if len(segments) < 2 or segments[0].lower() in _PAGES_OF_THE_HOST:  # noqa: PLR2004  # owner, name
            return None
        owner, name = segments[:2]
        if name == "-" or not all(_NAME.fullmatch(part) and part.strip(".") for part in (owner, name)):
            return None
        return RepositoryPlace(owner=owner, path=f"{owner}/{name}", organizations=(owner,))

    def clone_url(self, place: RepositoryPlace) -> str:
        return git_address(self.host.web_url, place)

    def repository(self, place: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
        """https://docs.gitea.com/api/#tag/repository/operation/repoGet: the scope is the one Git wants."""
        owner, _slash, name = place.path.partition("/")
        path = f"/repos/{path_segment(owner)}/{path_segment(name)}"
        answer = ask_for_repository(self, path, login=login)
        fact = self._repository(answer.json, seen_as(answer, place, text(answer.json, "full_name")))
        if fact is None:
            raise ProviderAnswerUnexpected(
                "the repository is not described",
                status=answer.status,
                evidence=f"{answer.evidence}: no repository",
            )
        return fact

    def repositories(self, login: Login, *, query: str = "", cursor: str = "") -> RepositoryPage | None:
        """https://docs.gitea.com/api/#tag/repository/operation/repoSearch needs ``read:repository`` only.

        Without an account it would find everything public at the host, so it is narrowed to what the account
        owns or contributes to, or where the token may not tell whose it is, to private repositories.
        """
        page, wanted = page_number(cursor), narrowed(query)
        params: dict[str, str | int] = {"limit": _PER_PAGE, "page": page}
        if wanted:
            params["q"] = wanted
        try:
            account = identifier(self.ask("GET", "/user", login=login).json, "id")
        except ScopeMissing:
            account = ""
        params |= {"uid": account} if account else {"is_private": "true"}
        try:
            answer = self.ask("GET", "/repos/search", login=login, params=params)
        except ScopeMissing:
            return None
        found = member(answer.json, "data")
        if not isinstance(found, list):
            raise unexplained(answer)
        facts = (self._repository(item, answer.evidence) for item in objects(found))
        return RepositoryPage(
            repositories=tuple(fact for fact in facts if fact is not None),
            next_cursor=str(page + 1) if _has_next_page(answer, page, len(found)) else "",
        )

    def _repository(self, found: Mapping[str, object], evidence: str) -> RepositoryFact | None:
        path = text(found, "full_name")
        place = self.place(tuple(path.split("/")))
        if place is None or place.path != path:
            return None
        private = member(found, "private")
        return RepositoryFact(
            path=path,
            clone_url=self.clone_url(place),
            private=private if isinstance(private, bool) else None,
            default_branch=text(found, "default_branch"),
            evidence=evidence,
            # A member of a team without the unit "Code" sees the repository, but not the files.
            reads_contents=None if member(found, "permissions", "pull") is False else True,
        )


def _has_next_page(answer: Answer, page: int, listed: int) -> bool:
    """https://docs.gitea.com/development/api-usage#pagination; the address of the next page is not followed.

    A server may cap a page below what was asked for, which its own ``Link`` takes into account.
    """
    link = answer.headers.get("Link", "")
    if link:
        return 'rel="next"' in link
    total = answer.headers.get("X-Total-Count", "")
    if re.fullmatch(r"[0-9]{1,9}", total):
        return bool(listed) and page * _PER_PAGE < int(total)
    return listed >= _PER_PAGE
