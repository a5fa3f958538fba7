"""What the texts of verdicts may mention: the names and pages that the explain service gives."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from credentials.services import explain
from credentials.verdicts import Text, VerdictCode


def _keys(function: Callable[..., Any]) -> frozenset[str]:
    """The keys of every dict that a function writes down."""
    tree = ast.parse(inspect.getsource(function))
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = [key for literal in literals for key in literal.keys]
    return frozenset(str(key.value) for key in keys if isinstance(key, ast.Constant))


NAMES: frozenset[str] = _keys(explain.explain)

# What was pasted is no credential yet; these cases are told with the names that connecting gives beside.
PASTED = {VerdictCode.WRONG_ACCOUNT: frozenset({"other_account"})}


@cache
def links_explained() -> frozenset[str]:
    """The names of the pages a step can lead to."""
    return _keys(explain._links)


def names_in(text: Text) -> set[str]:
    """The names a text leaves open."""
    return set(re.findall(r"%\((\w+)\)s", str(text)))
