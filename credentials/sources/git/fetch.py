"""Fetches one commit of a repository into a folder, without its history and without ever checking it out."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Final

from django.utils.translation import gettext_lazy as _

from credentials.errors import ContentRefused, RefNotFound
from credentials.providers.facts import GitLogin
from credentials.providers.network import Resolver
from credentials.sources.content import ContentLimits, Progress
from credentials.sources.git import tree, wanted
from credentials.sources.git.content import GitContent
from credentials.sources.git.invocation import Journey, Remote
from credentials.sources.git.refusals import is_lost, is_not_given
from credentials.sources.git.repository import FETCHED, Repository
from credentials.sources.git.wanted import Wanted
from credentials.verdicts.refusals import Refusal

DEPTH_OF_SEARCH: Final = 100
"""How many commits of each branch are looked through where a host gives no commit by its id."""

_SHA256_DIGITS = 64


def fetch(
    remote: Remote,
    *,
    login: GitLogin | None,
    ref: str,
    subdirectory: str,
    folder: Path,
    limits: ContentLimits,
    timeout_seconds: float,
    progress: Progress,
    resolver: Resolver = socket.getaddrinfo,
) -> GitContent:
    """Fetch ``ref`` (empty for the default branch; a branch or tag by its short or full name; a whole commit id),
    and plan the files of ``subdirectory`` (empty for everything; ``cases/web``, without a slash at its ends).

    ``folder`` is an empty folder of the caller's, which holds a bare repository afterwards and is the caller's to
    remove; after an error it is empty again. Everything, the reading included, is over ``timeout_seconds`` from
    now. ``progress`` is told of the objects that have arrived, of how many, at least twice a second while git
    works; whatever it raises ends git at once and comes through.

    What counts is what was fetched: a push between the question for the ref and the fetch brings the newer commit.

    Raises RefNotFound, SubdirectoryNotFound, ContentRefused, TimeExceeded, StorageUnavailable, and what
    :func:`credentials.sources.git.ls_remote` raises.
    """
    journey = Journey(remote=remote, login=login, resolver=resolver)
    repository = Repository(
        folder / "repository.git", limits=limits, seconds=timeout_seconds, progress=progress
    )
    try:
        found = wanted.find(journey, ref, timeout_seconds=repository.seconds_left(), watch=repository.watch)
        commit = bring(journey, found, repository)
        planned = tree.plan(repository, commit, subdirectory=subdirectory)
    except BaseException:
        shutil.rmtree(repository.path, ignore_errors=True)
        raise
    return GitContent(repository, planned, ref=found.ref, commit=commit)


def bring(journey: Journey, found: Wanted, repository: Repository, *, leaving_out: str = "") -> str:
    """Fetch what was found into a repository that is made for it, and tell which commit came. Raises as
    :func:`fetch`."""
    repository.make(object_format="sha256" if len(found.commit) == _SHA256_DIGITS else "sha1")
    refspec = f"+{found.source}:{FETCHED}"
    said = repository.fetch(journey, [refspec], leaving_out=leaving_out)
    if said.outcome.status != 0:
        if not found.ref and is_not_given(said.text):
            return _searched(journey, found, repository, leaving_out=leaving_out)
        if is_lost(said.text):
            raise _lost(found)
    repository.raise_failure(said, journey)
    commit = repository.commit_at(FETCHED)
    if not commit or (not found.ref and commit != found.commit):
        raise RefNotFound(_("What is there by this name is no commit. Name a branch, a tag or a commit."))
    return commit


def _searched(journey: Journey, found: Wanted, repository: Repository, *, leaving_out: str) -> str:
    """The commit among the last ones of every branch, for hosts that give none by its id."""
    refspec = f"+{wanted.BRANCHES}*:{wanted.BRANCHES}*"
    try:
        said = repository.fetch(journey, [refspec], depth=DEPTH_OF_SEARCH, leaving_out=leaving_out)
        repository.raise_failure(said, journey)
    except ContentRefused as problem:
        if problem.reason is not Refusal.TOO_MANY_BYTES:
            raise
        raise _lost(found) from problem
    if repository.commit_at(found.commit) != found.commit:
        raise _lost(found)
    return found.commit


def _lost(found: Wanted) -> RefNotFound:
    if found.ref:
        return RefNotFound(_("The branch or tag was there a moment ago, and is no more. Choose another one."))
    return RefNotFound(
        _("The host does not give this commit. Name the branch or tag that it belongs to, or ends with it.")
    )
