"""What providers share when they are asked for repositories: strangers, moved ones, and pages."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote, urljoin

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.base import Provider
from credentials.providers.facts import Login, RepositoryPlace
from credentials.verdicts import VerdictCode

MAXIMUM_QUERY: Final = 100
"""Characters of what a person types to narrow a list."""

_MOVED = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_CLOSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_API_PATH = re.compile(r"(?:/[A-Za-z0-9._~%-]{1,300}){1,10}")


def ask_for_repository(provider: Provider, path: str, *, login: Login | None) -> Answer:
    """Ask for one repository, and once more where the host's API says that it has moved.

    A host may shut out strangers with 401 or 403: that is a word about strangers, never about a token.
    """
    try:
        try:
            return provider.ask("GET", path, login=login)
        except ProviderAnswerUnexpected as problem:
            moved = _moved_to(provider, path, login) if problem.status in _MOVED else ""
            if not moved:
                raise
            return provider.ask("GET", moved, login=login)
    except (TokenRejected, ScopeMissing, ProviderAnswerUnexpected) as problem:
        if login is None and problem.status in _CLOSED:
            raise _closed(problem) from problem
        raise


def _closed(problem: ProviderError) -> AccessRefused:
    return AccessRefused(
        "not shown to strangers",
        status=problem.status,
        evidence=problem.evidence,
        verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS,
    )


def _moved_to(provider: Provider, path: str, login: Login | None) -> str:
    """Where a renamed or moved repository is now, as a path of the same API; empty if it leads elsewhere."""
    root = provider.host.api_url
    asked = f"{root}{path}"
    answer = provider.door.request("GET", asked, auth=provider.authorization(login) if login else None)
    try:
        target = urljoin(asked, answer.headers.get("Location", ""))
    except ValueError:
        return ""
    rest = target.removeprefix(root)
    if answer.status not in _MOVED or rest == path or not _API_PATH.fullmatch(rest):
        return ""
    # A segment of dots would climb out of the API, in whichever way it is written.
    return "" if any(not unquote(segment).strip("./") for segment in rest[1:].split("/")) else rest


def seen_as(answer: Answer, place: RepositoryPlace, path: str) -> str:
    """The evidence of a repository that was shown, with a remark where it is known by another name now."""
    return answer.evidence if path.lower() == place.key else f"{answer.evidence}: moved"


def git_address(web_url: str, place: RepositoryPlace) -> str:
    """The address that Git uses, ``.git`` included: without it some hosts answer with a redirect."""
    return f"{web_url}/{quote(place.path)}.git"


def page_number(cursor: str) -> int:
    """The page that a cursor stands for; 1 for every text that no list of ours ended with."""
    return int(cursor) if re.fullmatch(r"[1-9][0-9]{0,4}", cursor, re.ASCII) else 1


def narrowed(query: str) -> str:
    """What a person typed, as one short printable text."""
    return "".join(character for character in query if character.isprintable()).strip()[:MAXIMUM_QUERY]
