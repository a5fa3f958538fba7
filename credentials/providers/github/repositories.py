"""GitHub's repositories: read out of an address, asked for one by one, and listed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from credentials.errors import (
    AccessRefused,
    RepositoryMoved,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import unexplained
from credentials.providers.facts import Login, RepositoryFact, RepositoryPage, RepositoryPlace
from credentials.providers.github.api import GitHubApi, has_next_page
from credentials.providers.http import path_segment
from credentials.providers.reading import objects, scopes, text
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
# First segments that are pages of GitHub's own and that no account can be named.
_PAGES = frozenset(
    {
        "about", "account", "advisories", "api", "apps", "assets", "blog", "codespaces", "collections", "contact",
        "copilot", "customer-stories", "dashboard", "discussions", "enterprise", "enterprises", "events", "explore",
        "features", "gist", "gists", "github-copilot", "issues", "join", "login", "logout", "marketplace", "new",
        "notifications", "orgs", "organizations", "password_reset", "pricing", "projects", "pulls", "readme",
        "search", "security", "sessions", "settings", "signup", "site", "sponsors", "stars", "team", "teams",
        "topics", "trending", "users", "watching",
    }
)  # fmt: skip
_PER_PAGE = 50
_PAGES_PER_SEARCH = 10
_ENOUGH = 30
_LIMITED = frozenset({Kind.FINE_GRAINED_TOKEN, Kind.APP_TOKEN})


def place(segments: tuple[str, ...]) -> RepositoryPlace | None:
    """``owner/repository``, and whatever page of it follows."""
    if len(segments) < 2 or segments[0].lower() in _PAGES:  # noqa: PLR2004  # an owner and a name
        return None
    return _place(segments[0], segments[1])


def _place(owner: str, name: str) -> RepositoryPlace | None:
    if name.lower().endswith(".git"):
        name = name[: -len(".git")]
    if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in {".", ".."}:
        return None
    return RepositoryPlace(owner=owner, path=f"{owner}/{name}", organizations=(owner,))


def clone_url(api: GitHubApi, asked: RepositoryPlace) -> str:
    """https://docs.github.com/get-started/git-basics/about-remote-repositories#cloning-with-https-urls"""
    path = "/".join(path_segment(part) for part in asked.path.split("/"))
    return f"{api.host.web_url}/{path}.git"


def single(api: GitHubApi, asked: RepositoryPlace, *, login: Login | None) -> RepositoryFact:
    """A renamed or transferred repository is asked for again, once and by its number, at our own address.

    https://docs.github.com/rest/repos/repos#get-a-repository
    """
    path = "/".join(path_segment(part) for part in asked.path.split("/"))
    try:
        try:
            answer = api.get(f"/repos/{path}", login=login)
        except RepositoryMoved as moved:
            answer = api.get(f"/repositories/{moved.number}", login=login)
    except TokenRejected as problem:
        if login is not None:
            raise
        # A server in private mode lets nobody in who does not sign in; there was no token to reject.
        raise AccessRefused(
            "not shown to everybody", status=problem.status, evidence=problem.evidence
        ) from problem
    except AccessRefused as problem:
        if login is None or not _is_too_narrow(login, problem):
            raise
        raise ScopeMissing(
            "nothing private is shown without the scope",
            status=problem.status,
            evidence=f"{problem.evidence}: without repo",
            required=("repo",),
            granted=problem.granted,
        ) from problem
    found = _fact(api, answer.json, answer, login=login)
    if found is None:
        raise unexplained(answer)
    return found


def _is_too_narrow(login: Login, problem: AccessRefused) -> bool:
    """Whether the token's scopes alone explain "not found": they are told beside it, as they are now.

    https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
    """
    is_plain = problem.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS and login.kind not in _LIMITED
    return is_plain and problem.granted is not None and "repo" not in problem.granted


def page(api: GitHubApi, login: Login, *, query: str, cursor: str) -> RepositoryPage | None:
    """What the account reaches, narrowed here: GitHub's own search leaves out much that is private.

    A search turns several pages, and the cursor says where the next one goes on.
    https://docs.github.com/rest/repos/repos#list-repositories-for-the-authenticated-user
    """
    wanted = query.strip().lower()
    number = int(cursor) if re.fullmatch(r"[1-9][0-9]{0,3}", cursor, re.ASCII) else 1
    found: list[RepositoryFact] = []
    for _turn in range(_PAGES_PER_SEARCH if wanted else 1):
        try:
            answer = api.get("/user/repos", login=login, params=_parameters(number))
        except ScopeMissing:
            return None
        found += [item for item in _facts(api, answer, login) if wanted in item.path.lower()]
        number += 1
        if not has_next_page(answer):
            return RepositoryPage(repositories=tuple(found))
        if len(found) >= _ENOUGH:
            break
    return RepositoryPage(repositories=tuple(found), next_cursor=str(number))


def _parameters(number: int) -> dict[str, str | int]:
    return {
        "affiliation": "owner,collaborator,organization_member",
        "sort": "full_name",
        "per_page": _PER_PAGE,
        "page": number,
    }


def _facts(api: GitHubApi, answer: Answer, login: Login) -> list[RepositoryFact]:
    if not isinstance(answer.json, list):
        raise unexplained(answer)
    read = [_fact(api, item, answer, login=login) for item in objects(answer.json)]
    return [item for item in read if item is not None]


def _fact(api: GitHubApi, value: object, answer: Answer, *, login: Login | None) -> RepositoryFact | None:
    owner, _slash, name = text(value, "full_name").partition("/")
    shown = _place(owner, name)
    if shown is None or not isinstance(value, Mapping):
        return None
    private = value.get("private")
    private = private if isinstance(private, bool) else None
    return RepositoryFact(
        path=shown.path,
        clone_url=clone_url(api, shown),
        private=private,
        default_branch=text(value, "default_branch"),
        evidence=answer.evidence,
        reads_contents=_reads_contents(login, answer, private=private),
    )


def _reads_contents(login: Login | None, answer: Answer, *, private: bool | None) -> bool | None:
    """What is public is read by everybody, and ``repo`` reads what is private. The permissions of limited
    tokens are not told: one without Contents is shown the repository all the same.

    https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
    """
    if private is False or login is None:
        return True
    if login.kind in _LIMITED:
        return None
    granted = scopes(answer.headers.get("X-OAuth-Scopes"))
    return True if granted is None or "repo" in granted else None
