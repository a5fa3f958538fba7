"""The only place that runs git: one invocation, shut off from this machine's and the host's tricks.

Git runs for a host and a repository that users choose, with a credential it must not show to anybody else.
So it inherits nothing: no environment, no configuration, no repository it might stand in, no open files.
It goes to the addresses that were checked a moment before, follows no redirect, asks no proxy and no
person, and gets the credential by a helper that answers once and for exactly one host.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.utils.translation import gettext_lazy as _

from credentials.errors import (
    AddressForbidden,
    AddressInvalid,
    ConfigurationError,
    InputInvalid,
    ProviderUnreachable,
)
from credentials.providers.facts import GitLogin
from credentials.providers.network import Resolver, is_private, resolve
from credentials.providers.repository_url import RepositoryAddress, parse
from credentials.sources import child
from credentials.sources.child import Limits, Outcome
from credentials.sources.git_wordings import Failure, translate
from credentials.sources.redaction import harmless

HELPER: Final = Path(__file__).with_name("credential_helper.py")
OLDEST_GIT: Final = (2, 37)
"""The first to know ``http.curloptResolve``; an older one would pass over the checked addresses in silence."""

MAXIMUM_REFS: Final = 10_000
MAXIMUM_REFS_BYTES: Final = 1 << 20

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LOGIN_LIMIT = 16 * 1024
_REF = re.compile(
    r"(?P<id>[0-9a-f]{40}|[0-9a-f]{64})\t(?P<name>refs/(?:heads|tags)/.{1,1000}?)(?P<peeled>\^\{\})?"
)
_DEFAULT_BRANCH = re.compile(r"ref: refs/heads/(?P<name>.{1,1000})\tHEAD")

# Where git reads a repository's configuration although it was asked about another one: nowhere.
_NO_SUCH_PLACE = "/nonexistent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A repository as git is sent to it.

    ``url`` is an address that begins with ``https://`` (or ``http://``, for hosts in private networks),
    made from a Host row and :meth:`credentials.providers.base.Provider.clone_url`; ``allow_private`` is
    the host's policy. ``provider`` (``github``, ``gitlab`` …) helps to read refusals that only say
    "Forbidden"; ``ca_bundle`` is the path of a PEM file that replaces the system's certificate authorities.
    """

    url: str
    allow_private: bool = False
    provider: str = ""
    ca_bundle: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRefs:
    """What a repository holds, as git was told; the answer itself proves that it may be read.

    ``default_branch`` is the branch a clone would start with, empty where the repository is. ``refs`` maps
    full names (``refs/heads/main``, ``refs/tags/v1``) to commits; of an annotated tag, to the one it leads
    to. ``is_complete`` is False where there were more than are kept. ``evidence`` is for the audit trail.
    """

    default_branch: str
    refs: Mapping[str, str] = field(repr=False)
    is_complete: bool
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """How a run ended; ``text`` is its standard error without anything that could harm or tell."""

    outcome: Outcome
    text: str = field(repr=False)


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
    deadline = time.monotonic() + timeout_seconds
    address = _address(remote.url)
    limits = Limits(
        cpu_seconds=math.ceil(timeout_seconds) + 1,
        memory_bytes=1 << 29,
        file_bytes=0,
        output_bytes=MAXIMUM_REFS_BYTES,
    )
    words = ["ls-remote", "--quiet", "--symref", "--", _url(remote, address), "HEAD"]
    words += ["refs/heads/*", "refs/tags/*"]
    said = _git(words, remote, login=login, limits=limits, deadline=deadline, resolver=resolver)
    _raise_failure("git ls-remote", said, remote, is_anonymous=login is None)
    return _refs(said.outcome.output, is_whole=not said.outcome.over_size)


def _raise_failure(call: str, said: _Said, remote: Remote, *, is_anonymous: bool) -> None:
    """Raise what a run means that did not succeed, or only seems to have."""
    outcome = said.outcome
    if outcome.over_time:
        raise ProviderUnreachable("the host cannot be reached", evidence=f"{call}: no answer in time")
    if outcome.status != 0 and not outcome.over_size:
        raise translate(
            Failure(
                call=call,
                text=said.text,
                origin=_address(remote.url).origin,
                provider=remote.provider,
                reports=outcome.reports,
                is_anonymous=is_anonymous,
            )
        )
    # Any page at all passes for a repository without refs in the protocol of old, which git falls back to.
    if not any(_is_smart(line) for line in outcome.reports):
        raise ProviderUnreachable("the host did not answer as a Git host", evidence=f"{call}: no Git answer")


def _is_smart(report: str) -> bool:
    """Whether a line of git's trace says that it agreed with the host on a version of its protocol."""
    if not report.startswith("{"):
        return False
    try:
        event = json.loads(report)
    except ValueError:
        return False
    return (event.get("event"), event.get("key")) == ("data", "negotiated-version")


def _refs(output: bytes, *, is_whole: bool) -> RemoteRefs:
    """Read what git prints; a name that is no proper text is left out."""
    lines = output.decode("utf-8", "replace").split("\n")[:-1]
    refs: dict[str, str] = {}
    default_branch = ""
    for line in lines:
        if match := _DEFAULT_BRANCH.fullmatch(line):
            default_branch = match["name"] if match["name"].isprintable() else ""
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
    )


def _address(url: str) -> RepositoryAddress:
    """Read an address strictly: no user part, no query, no other spelling than a web address."""
    address = parse(url)
    if not address.segments or not url.startswith(f"{address.scheme}://") or set(url) & set("?#"):
        raise AddressInvalid(_("This is not the address of a repository. It begins with https://."))
    return address


def _url(remote: Remote, address: RepositoryAddress) -> str:
    """The canonical address again, with ``.git`` where it was given: some hosts redirect to it or from it."""
    return f"{address.text}.git" if remote.url.rstrip("/").endswith(".git") else address.text


def _git(
    words: Sequence[str],
    remote: Remote,
    *,
    login: GitLogin | None,
    limits: Limits,
    deadline: float,
    resolver: Resolver,
) -> _Said:
    """Run one git command against ``remote``; every use of git goes through here.

    Raises AddressForbidden, ProviderUnreachable (no such name), InputInvalid and ConfigurationError.
    """
    address = _address(remote.url)
    git = _program()
    pins = _pins(address, remote, resolver)
    with _answer_pipe(address, login) as answer:
        outcome = child.run(
            [git, *_settings(pins, remote.ca_bundle), *words],
            environment=_environment(git, address.scheme),
            limits=limits,
            deadline=deadline,
            inherited=(answer,),
        )
    return _Said(outcome=outcome, text=_cleaned(outcome.errors, login))


def _pins(address: RepositoryAddress, remote: Remote, resolver: Resolver) -> str:
    """The checked addresses of the host, as curl wants them; empty where the host is an address itself."""
    port = address.port or _DEFAULT_PORTS[address.scheme]
    found = resolve(address.hostname, port, resolver=resolver, allow_private=remote.allow_private)
    if address.scheme == "http" and not all(is_private(ip) for ip in found):
        raise AddressForbidden(_("Requests without encryption stay inside private networks."))
    if found == (address.hostname,):
        return ""
    listed = ",".join(f"[{ip}]" if ":" in ip else ip for ip in found)
    return f"{address.hostname}:{port}:{listed}"


def _settings(pins: str, ca_bundle: str | None) -> Iterator[str]:
    """Every setting that could lead elsewhere, run something, or trust somebody, with its one value.

    https://git-scm.com/docs/git-config; a setting an older git does not know is passed over by it.
    """
    settings = [
        "credential.helper=",  # an empty one forgets those listed before
        f"credential.helper={_helper_command()}",
        "credential.useHttpPath=false",
        "core.askPass=",
        "http.followRedirects=false",
        "http.proxy=",
        "http.sslVerify=true",
        f"http.curloptResolve={pins}",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=30",
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.symlinks=false",
        "transfer.fsckObjects=true",
        "transfer.bundleURI=false",
        "transfer.credentialsInUrl=die",
        "protocol.version=2",
        "gc.auto=0",
        "maintenance.auto=false",
    ]
    if ca_bundle:
        settings.append(f"http.sslCAInfo={ca_bundle}")
    for setting in settings:
        yield from ("-c", setting)


def _environment(git: str, scheme: str) -> dict[str, str]:
    """The whole environment.

    ``GIT_DIR`` keeps git from reading a repository it happens to stand in; ``GIT_TRACE2_EVENT`` lets it
    report what it did (https://git-scm.com/docs/api-trace2), which holds no headers and no credential.
    """
    return {
        "PATH": f"{Path(git).parent}:{os.defpath}",
        "HOME": _NO_SUCH_PLACE,
        "LC_ALL": "C",
        "GIT_DIR": _NO_SUCH_PLACE,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TRACE2_EVENT": str(child.REPORT),
    }


def _helper_command() -> str:
    """The helper as git takes it: with ``!``, the rest is a line for the shell."""
    return "!" + shlex.join([*child.PYTHON, str(HELPER), str(child.INHERITED), str(child.REPORT)])


@contextmanager
def _answer_pipe(address: RepositoryAddress, login: GitLogin | None) -> Iterator[int]:
    """The reading end of a pipe that holds the helper's one answer; an empty pipe for nobody."""
    if login is not None:
        _check_login(login)
    reading, writing = os.pipe()
    try:
        try:
            if login is not None:
                _write_answer(writing, address, login)
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _write_answer(pipe: int, address: RepositoryAddress, login: GitLogin) -> None:
    host = address.origin.removeprefix(f"{address.scheme}://")
    lines = (address.scheme, host, login.username, login.password.reveal())
    # Far less than the 64 kB that a pipe takes without a reader.
    os.write(pipe, "\n".join(lines).encode())


def _check_login(login: GitLogin) -> None:
    """Git's protocol has lines; a secret with a line end in it would say something else."""
    if not _is_sendable(login):
        raise InputInvalid("The token holds characters that Git cannot send.", field="token")


def _is_sendable(login: GitLogin) -> bool:
    pair = f"{login.username}{login.password.reveal()}"
    return bool(login.password) and len(pair) <= _LOGIN_LIMIT and not set(pair) & set("\n\r\0")


def _cleaned(errors: bytes, login: GitLogin | None) -> str:
    if login is None:
        return harmless(errors)
    return harmless(errors, username=login.username, secret=login.password.reveal())


@functools.cache
def _program() -> str:
    """The absolute path of a git that is new enough. Raises ConfigurationError."""
    found = shutil.which("git")
    if found is None:
        raise ConfigurationError("git is not installed; install Git 2.37 or newer.")
    path = os.path.abspath(found)
    answer = subprocess.run(  # noqa: S603  # a fixed program and argument
        [path, "version"],
        env={"PATH": os.defpath, "LC_ALL": "C"},
        capture_output=True,
        check=False,
        timeout=10,
    )
    match = re.match(rb"git version ([0-9]+)\.([0-9]+)", answer.stdout)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        raise ConfigurationError("This git is too old; install Git 2.37 or newer.")
    return path
