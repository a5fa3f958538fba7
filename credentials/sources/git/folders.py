"""Which folders a branch, tag or commit has, for people to choose from: names alone are fetched, no files."""

from __future__ import annotations

import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from credentials.errors import ContentRefused, TimeExceeded
from credentials.providers.facts import GitLogin
from credentials.providers.network import Resolver
from credentials.sources import paths
from credentials.sources.content import ContentLimits
from credentials.sources.git import tree, wanted
from credentials.sources.git.fetch import bring
from credentials.sources.git.invocation import Journey, Remote
from credentials.sources.git.repository import Repository

MOST: Final = 2000
"""How many folders are told of."""
SECONDS: Final = 20.0

# A host that knows no filters sends files as well, and more of them than these limits let through.
_LIMITS = ContentLimits(files=20_000, bytes=16 << 20, file_bytes=8 << 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """The folders of a commit, sorted, by their whole paths.

    ``is_complete`` is False where there are more than are told of, some that an import would refuse, or where the
    host would have had to send too much or took too long; ``commit`` is then what it was before.
    """

    commit: str
    folders: tuple[str, ...]
    is_complete: bool


def folders(
    remote: Remote,
    *,
    login: GitLogin | None,
    ref: str,
    timeout_seconds: float = SECONDS,
    resolver: Resolver = socket.getaddrinfo,
) -> Folders:
    """The folders at ``ref``, which is read as :func:`credentials.sources.git.fetch.fetch` does.

    It takes ``timeout_seconds`` at most, name lookup apart, and ends with no process and no file left.

    Raises RefNotFound, ContentRefused for objects that are not valid, StorageUnavailable, and what
    :func:`credentials.sources.git.ls_remote` raises.
    """
    journey = Journey(remote=remote, login=login, resolver=resolver)
    place = Path(tempfile.mkdtemp(prefix="forgekey-folders-"))
    try:
        repository = Repository(
            place / "repository.git", limits=_LIMITS, seconds=timeout_seconds, progress=_no_matter
        )
        found = wanted.find(journey, ref, timeout_seconds=repository.seconds_left())
        try:
            commit = bring(journey, found, repository, leaving_out="blob:none")
            return _listed(repository, commit)
        except TimeExceeded:
            return Folders(commit=found.commit, folders=(), is_complete=False)
        except ContentRefused as problem:
            if problem.limit is None:
                raise
            return Folders(commit=found.commit, folders=(), is_complete=False)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _listed(repository: Repository, commit: str) -> Folders:
    found: set[str] = set()
    is_complete = True
    words = ["ls-tree", "-r", "-d", "-z", "--full-tree", "--format=%(objecttype) %(path)"]
    words += ["--end-of-options", commit]
    with repository.started(words, output_bytes=(MOST + 2) * tree.RECORD_BYTES) as running:
        for number, record in enumerate(tree.records(running.blocks())):
            if number >= MOST:
                return Folders(commit=commit, folders=tuple(sorted(found)), is_complete=False)
            kind, _space, path = record.partition(b" ")
            if kind == b"tree":  # a submodule is none of ours
                try:
                    found.add(paths.checked(tree.text_of(path)))
                except ContentRefused:
                    is_complete = False
        repository.check(running)
    return Folders(commit=commit, folders=tuple(sorted(found)), is_complete=is_complete)


def _no_matter(_done: int, _total: int) -> None:
    """Nobody waits for a number here."""
