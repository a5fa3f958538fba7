"""Looks into a repository before it is imported: whether it can be read, its branches and tags, its folders."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from credentials.errors import ForgekeyError, RefNotFound
from credentials.providers.facts import GitLogin
from credentials.providers.repository_url import parse
from credentials.services import diagnose, reach
from credentials.services.audit import Actor
from credentials.services.diagnose import Diagnosis
from credentials.services.imports.from_git import PURPOSE
from credentials.services.opening import open_login
from credentials.services.targets import Target, find_target
from credentials.sources import git

FOLDER_SECONDS: Final = 15.0
MOST_REFS: Final = 500
"""How many branches and tags are offered; a name can be typed all the same."""
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What there is to choose from.

    ``folders`` is None where they are not known; ``ref_is_missing`` says that the branch or tag asked for is not
    there. Where the verdict is not ok, there is nothing else.
    """

    address: str
    diagnosis: Diagnosis
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    folders: tuple[str, ...] | None = None
    ref_is_missing: bool = False

    @property
    def ok(self) -> bool:
        return self.diagnosis.verdict.ok

    @property
    def default_branch(self) -> str:
        return self.diagnosis.default_branch

    @property
    def name(self) -> str:
        """What a library made of it may be called."""
        return self.address.rpartition("/")[2]


def look(
    *,
    actor: Actor,
    user: Any,
    repository_url: str,
    ref: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> Look:
    """Ask the host what ``user`` could import. ``ref`` is the branch, tag or commit whose folders are wanted.

    What cannot be found out is left out: no such failure stands in an import's way. Raises AddressInvalid and
    TooManyRequests as a diagnosis does.
    """
    diagnosis = diagnose.diagnose(actor=actor, user=user, repository_url=repository_url, now=now)
    address = parse(repository_url)
    found = find_target(address, now=now)
    if found is None or not diagnosis.verdict.ok:
        return Look(address=address.text, diagnosis=diagnosis)
    with suppress(ForgekeyError):
        return _seen(actor, found, diagnosis, ref=ref, now=now)
    return Look(address=address.text, diagnosis=diagnosis)


def _seen(
    actor: Actor, found: Target, diagnosis: Diagnosis, *, ref: str, now: Callable[[], datetime]
) -> Look:
    login = None
    if diagnosis.credential is not None:
        login = open_login(
            diagnosis.credential, actor=actor, purpose=PURPOSE, repository=found.address.text, now=now
        )
    private = found.host.allow_private_network
    refs = reach.ls_remote(found.provider, diagnosis.clone_url, login=login, allow_private=private)
    remote = git.Remote(url=diagnosis.clone_url, allow_private=private, provider=found.provider.name)
    folders, is_missing = _folders(remote, found.provider.git_login(login) if login else None, ref)
    return Look(
        address=found.address.text,
        diagnosis=diagnosis,
        branches=_named(refs, _BRANCHES),
        tags=_named(refs, _TAGS),
        folders=folders,
        ref_is_missing=is_missing,
    )


def _folders(remote: git.Remote, login: GitLogin | None, ref: str) -> tuple[tuple[str, ...] | None, bool]:
    try:
        seen = git.folders.folders(remote, login=login, ref=ref, timeout_seconds=FOLDER_SECONDS)
    except RefNotFound:
        return None, True
    except ForgekeyError:
        return None, False
    return (seen.folders if seen.is_complete else None), False


def _named(refs: git.RemoteRefs, prefix: str) -> tuple[str, ...]:
    names = sorted(name.removeprefix(prefix) for name in refs.refs if name.startswith(prefix))
    return tuple(names[:MOST_REFS])
