"""Which branch, tag or commit is meant: names are judged before git sees them, and asked for by their full names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy as _

from credentials.errors import RefNotFound
from credentials.sources.child import Watch
from credentials.sources.git import remote_refs
from credentials.sources.git.invocation import Journey

BRANCHES: Final = "refs/heads/"
TAGS: Final = "refs/tags/"
ANSWER_SECONDS: Final = 30.0
"""How long a host may take to tell its refs, also where more time is left."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_NAME_LIMIT = 1000
# What no part of a name may hold: https://git-scm.com/docs/git-check-ref-format
_FORBIDDEN = frozenset(" ~^:?*[\\\x7f")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be fetched: ``ref`` is the full name of a branch or tag, empty where only ``commit`` is known.

    ``commit`` is what the host has just told that it is; it may be another one when it is fetched.
    """

    ref: str
    commit: str

    @property
    def source(self) -> str:
        """As the left side of a refspec."""
        return self.ref or self.commit


def find(journey: Journey, ref: str, *, timeout_seconds: float, watch: Watch | None = None) -> Wanted:
    """Ask the host for ``ref``: empty for its default branch; a branch or tag by its short or full name, the branch
    where there are both; or a whole commit id, which is not asked for here.

    Raises RefNotFound, and what :func:`credentials.sources.git.ls_remote` raises.
    """
    if _COMMIT.fullmatch(ref):
        return Wanted(ref="", commit=ref.lower())
    names = full_names(ref)
    seconds = min(timeout_seconds, ANSWER_SECONDS)
    found = remote_refs.ask(journey, names, timeout_seconds=seconds, watch=watch)
    if not ref:
        if not found.default_branch or not found.head:
            raise RefNotFound(_("The repository is empty, or has no default branch. Name a branch."))
        return Wanted(ref=f"{BRANCHES}{found.default_branch}", commit=found.head)
    for name in names:
        if name in found.refs:
            return Wanted(ref=name, commit=found.refs[name])
    raise RefNotFound(_("The repository has no branch and no tag of this name. Choose one that it has."))


def full_names(ref: str) -> tuple[str, ...]:
    """The full names that ``ref`` may mean, the likelier first."""
    if not ref:
        return ()
    if not _is_proper(ref):
        raise RefNotFound(_("This is not the name of a branch or tag, nor a whole commit id."))
    if ref.startswith((BRANCHES, TAGS)):
        return (ref,)
    return (f"{BRANCHES}{ref}", f"{TAGS}{ref}")


def _is_proper(ref: str) -> bool:
    """Whether git would take it as a name (git-check-ref-format); ``-x`` would be, but is no branch's name either."""
    parts = ref.split("/")
    return (
        len(ref.encode("utf-8", "replace")) <= _NAME_LIMIT
        and ref.isprintable()
        and not set(ref) & _FORBIDDEN
        and not ref.startswith("-")
        and ref != "@"
        and not any(text in ref for text in ("..", "@{"))
        and not ref.endswith(".")
        and not any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
