"""What a repository holds, asked of its host without fetching anything."""

from __future__ import annotations

import math
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from credentials.providers.facts import GitLogin
from credentials.providers.network import Resolver
from credentials.sources.child import Limits, Watch
from credentials.sources.git import invocation
from credentials.sources.git.invocation import Journey, Remote

MAXIMUM_REFS: Final = 10_000
MAXIMUM_REFS_BYTES: Final = 1 << 20

_REF = re.compile(
    r"(?P<id>[0-9a-f]{40}|[0-9a-f]{64})\t(?P<name>refs/(?:heads|tags)/.{1,1000}?)(?P<peeled>\^\{\})?"
)
_HEAD = re.compile(r"(?P<id>[0-9a-f]{40}|[0-9a-f]{64})\tHEAD")
_EVERYTHING = ("refs/heads/*", "refs/tags/*")
_DEFAULT_BRANCH = re.compile(r"ref: refs/heads/(?P<name>.{1,1000})\tHEAD")


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRefs:
    """What a repository holds, as git was told; the answer itself proves that it may be read.

    ``default_branch`` is the branch a clone would start with, empty where the repository is. ``refs`` maps
    full names (``refs/heads/main``, ``refs/tags/v1``) to commits; of an annotated tag, to the one it leads
    to. ``is_complete`` is False where there were more than are kept. ``evidence`` is for the audit trail, ``head`` the
    commit of the default branch.
    """

    default_branch: str
    refs: Mapping[str, str] = field(repr=False)
    is_complete: bool
    evidence: str
    head: str = ""


def ls_remote(
    remote: Remote,
    *,
    login: GitLogin | None,
    timeout_seconds: float = 20,
    resolver: Resolver = socket.getaddrinfo,
) -> RemoteRefs:
    """Ask a repository for its default branch, branches and tags, as anybody (``login`` None) or with a token.

    It takes ``timeout_seconds`` at most, name lookup apart, and ends with no process and no file left.
    ``resolver`` is called like :func:`socket.getaddrinfo`. https://git-scm.com/docs/git-ls-remote

    Raises AddressInvalid for what is no address of a repository, AddressForbidden for where no request may
    go, InputInvalid for a login that git cannot send, ConfigurationError where git is missing or too old,
    and:

    * TokenRejected where the host does not accept the token; from GitLab that may also mean that the token
      lacks ``read_repository``, and ``evidence`` then names the wording;
    * ScopeMissing where it accepts the token but not for reading code;
    * AccessRefused where a policy or single sign-on refuses (``verdict_code``), or where there is nothing
      to be seen for this token, or for anybody (``not_found_or_no_access``);
    * ProviderUnreachable, ProviderRateLimited and ProviderAnswerUnexpected where nothing became known.
    """
    journey = Journey(remote=remote, login=login, resolver=resolver)
    return ask(journey, _EVERYTHING, timeout_seconds=timeout_seconds)


def ask(
    journey: Journey, names: Sequence[str], *, timeout_seconds: float, watch: Watch | None = None
) -> RemoteRefs:
    """Ask only for the refs of these full names, and for the default branch. Raises as :func:`ls_remote`, and
    whatever ``watch`` does."""
    limits = Limits(
        cpu_seconds=math.ceil(timeout_seconds) + 1,
        memory_bytes=1 << 29,
        file_bytes=0,
        output_bytes=MAXIMUM_REFS_BYTES,
    )
    words = [
        "ls-remote",
        "--quiet",
        "--symref",
        "--",
        invocation.canonical_url(journey.remote),
        "HEAD",
        *names,
    ]
    deadline = time.monotonic() + timeout_seconds
    said = invocation.run(words, journey=journey, limits=limits, deadline=deadline, watch=watch)
    invocation.raise_failure("git ls-remote", said, journey)
    return _refs(said.outcome.output, is_whole=not said.outcome.over_size)


def _refs(output: bytes, *, is_whole: bool) -> RemoteRefs:
    """Read what git prints; a name that is no proper text is left out."""
    lines = output.decode("utf-8", "replace").split("\n")[:-1]
    refs: dict[str, str] = {}
    default_branch = head = ""
    for line in lines:
        if match := _DEFAULT_BRANCH.fullmatch(line):
            default_branch = match["name"] if match["name"].isprintable() else ""
        elif match := _HEAD.fullmatch(line):
            head = match["id"]
        elif (match := _REF.fullmatch(line)) and match["name"].isprintable():
            if len(refs) >= MAXIMUM_REFS and match["name"] not in refs:
                is_whole = False
                break
            refs[match["name"]] = match["id"]
    return RemoteRefs(
        default_branch=default_branch,
        refs=refs,
        is_complete=is_whole,
        evidence=f"git ls-remote 200: {len(refs)} branches and tags",
        head=head,
    )
