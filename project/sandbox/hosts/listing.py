"""Lists in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from project.sandbox.wire import Request

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """One page of a list, counted from 1."""

    items: tuple[T, ...]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


def page_of(items: Sequence[T], request: Request, *, size_name: str, usual: int, most: int) -> Page[T]:
    """The page a request asks for by `page` and its provider's name for the size."""
    number = max(1, _number(request.query.get("page", ""), 1))
    size = min(most, max(1, _number(request.query.get(size_name, ""), usual)))
    first = (number - 1) * size
    return Page(items=tuple(items[first : first + size]), number=number, size=size, total=len(items))


def _number(text: str, usual: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else usual  # noqa: PLR2004  no sane page is longer


def address(request: Request, base: str, **changes: str | int) -> str:
    """The address of a request with some of its query changed."""
    query = request.query | {key: str(value) for key, value in changes.items()}
    return f"{base}{request.path}?{urlencode(query)}"


def link_header(page: Page[T], request: Request, base: str) -> tuple[tuple[str, str], ...]:
    """`Link` with the relations of RFC 8288 that GitHub, GitLab and Gitea send; nothing for a single page."""
    relations: list[tuple[str, int]] = []
    if page.number < page.last:
        relations += [("next", page.number + 1), ("last", page.last)]
    if page.number > 1:
        relations += [("first", 1), ("prev", page.number - 1)]
    links = [f'<{address(request, base, page=number)}>; rel="{name}"' for name, number in relations]
    return (("Link", ", ".join(links)),) if links else ()
