"""The tree of errors: drawn as it is, and every code means one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from credentials import errors
from credentials.errors import ForgekeyError


def branches(kind: type[ForgekeyError], indent: str = "") -> Iterator[str]:
    """The tree below a class as text, in the order in which its classes are written."""
    children = kind.__subclasses__()
    for child in children:
        is_last = child is children[-1]
        yield f"{indent}{'└── ' if is_last else '├── '}{child.__name__}"
        yield from branches(child, indent + ("    " if is_last else "│   "))


def below(kind: type[ForgekeyError]) -> list[type[ForgekeyError]]:
    return [one for child in kind.__subclasses__() for one in (child, *below(child))]


def test_the_tree_is_drawn_as_it_is() -> None:
    _title, _, drawing = (errors.__doc__ or "").strip().partition("\n\n")
    drawn = [re.sub(r"(\w) {2,}.*", r"\1", line) for line in drawing.splitlines()]
    assert drawn == ["ForgekeyError", *branches(ForgekeyError)]


def test_whatever_may_succeed_later_is_marked_in_the_drawing() -> None:
    marked = set(re.findall(r"(\w+) {2,}.*\(retryable\)$", errors.__doc__ or "", re.MULTILINE))
    assert marked == {kind.__name__ for kind in below(ForgekeyError) if kind.retryable}


def test_no_error_stands_outside_of_the_tree() -> None:
    assert {kind.__module__.rpartition(".")[0] for kind in below(ForgekeyError)} == {errors.__name__}


def test_a_code_is_one_classs_own_or_its_parents() -> None:
    every: list[type[ForgekeyError]] = [ForgekeyError, *below(ForgekeyError)]
    own = [kind.code for kind in every if "code" in vars(kind)]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("kind", below(ForgekeyError), ids=lambda kind: kind.__name__)
def test_every_error_says_what_is_the_case(kind: type[ForgekeyError]) -> None:
    assert vars(kind)["__doc__"]
    assert re.fullmatch(r"[a-z_]+", kind.code)
