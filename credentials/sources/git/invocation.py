"""The only place that runs git: one invocation, shut off from this machine's and the host's tricks.

Git runs for a host and a repository that users choose, with a credential it must not show to anybody else.
So it inherits nothing: no environment, no configuration, no repository it might stand in, no open files.
It goes to the addresses that were checked a moment before, follows no redirect, asks no proxy and no
person, and gets the credential by a helper that answers once and for exactly one host.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
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
from credentials.sources.child import Limits, Outcome, Running, Sift, Watch
from credentials.sources.git.wordings import Failure, translate
from credentials.sources.redaction import harmless

HELPER: Final = Path(__file__).parents[1] / ("credential_helper.py")
OLDEST_GIT: Final = (2, 37)
"""The first to know ``http.curloptResolve``; an older one would pass over the checked addresses in silence."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_NEVER_IN_BLOCKS = 2**64 - 1
_LOGIN_LIMIT = 16 * 1024
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
class Journey:
    """Where git goes, on whose behalf (nobody's, where ``login`` is None), and who looks the address up: a
    ``resolver`` is called like :func:`socket.getaddrinfo`."""

    remote: Remote
    login: GitLogin | None
    resolver: Resolver = socket.getaddrinfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """How a run ended; ``text`` is its standard error without anything that could harm or tell."""

    outcome: Outcome
    text: str = field(repr=False)


def raise_failure(call: str, said: Said, journey: Journey) -> None:
    """Raise what a run means that did not succeed, or only seems to have."""
    outcome = said.outcome
    if outcome.over_time:
        raise ProviderUnreachable("the host cannot be reached", evidence=f"{call}: no answer in time")
    if outcome.status != 0 and not outcome.over_size:
        raise translate(
            Failure(
                call=call,
                text=said.text,
                origin=read_address(journey.remote.url).origin,
                provider=journey.remote.provider,
                reports=outcome.reports,
                is_anonymous=journey.login is None,
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


def read_address(url: str) -> RepositoryAddress:
    """Read an address strictly: no user part, no query, no other spelling than a web address."""
    address = parse(url)
    if not address.segments or not url.startswith(f"{address.scheme}://") or set(url) & set("?#"):
        raise AddressInvalid(_("This is not the address of a repository. It begins with https://."))
    return address


def canonical_url(remote: Remote) -> str:
    """The canonical address again, with ``.git`` where it was given: some hosts redirect to it or from it."""
    address = read_address(remote.url)
    return f"{address.text}.git" if remote.url.rstrip("/").endswith(".git") else address.text


def run(
    words: Sequence[str],
    *,
    journey: Journey | None,
    limits: Limits,
    deadline: float,
    repository: Path | None = None,
    watch: Watch | None = None,
    sift: Sift | None = None,
) -> Said:
    """Run one git command as :func:`started` does to its end, and keep what it prints."""
    with started(
        words,
        journey=journey,
        limits=limits,
        deadline=deadline,
        repository=repository,
        watch=watch,
        sift=sift,
    ) as running:
        output = b"".join(running.blocks())
        return said(running, journey=journey, output=output)


@contextmanager
def started(
    words: Sequence[str],
    *,
    journey: Journey | None,
    limits: Limits,
    deadline: float,
    repository: Path | None = None,
    source: int | None = None,
    watch: Watch | None = None,
    sift: Sift | None = None,
) -> Iterator[Running]:
    """Start one git command; every use of git goes through here. :func:`credentials.sources.child.started` tells
    of what is not told here.

    ``words`` are the command and its arguments. Without a ``journey`` it stays on this machine: no protocol is
    allowed, so not even a repository that lacks objects makes it fetch them. ``repository`` is the bare repository
    it works in.

    Raises AddressForbidden, ProviderUnreachable (no such name), InputInvalid and ConfigurationError.
    """
    git = program()
    address = read_address(journey.remote.url) if journey else None
    pins = _pins(address, journey) if journey and address else ""
    settings = _settings(pins, journey.remote.ca_bundle if journey else None, is_away=journey is not None)
    scheme = address.scheme if address else "none"
    with (
        _answer_pipe(address, journey.login if journey else None) as answer,
        child.started(
            [git, *settings, *words],
            environment=environment(git, scheme, repository),
            limits=limits,
            deadline=deadline,
            inherited=(answer,),
            source=source,
            watch=watch,
            sift=sift,
        ) as running,
    ):
        yield running


def said(running: Running, *, journey: Journey | None, output: bytes = b"") -> Said:
    """How it ended, after its output was read."""
    outcome = running.outcome(output)
    return Said(outcome=outcome, text=_cleaned(outcome.errors, journey.login if journey else None))


def _pins(address: RepositoryAddress, journey: Journey) -> str:
    """The checked addresses of the host, as curl wants them; empty where the host is an address itself."""
    port = address.port or _DEFAULT_PORTS[address.scheme]
    found = resolve(
        address.hostname, port, resolver=journey.resolver, allow_private=journey.remote.allow_private
    )
    if address.scheme == "http" and not all(is_private(ip) for ip in found):
        raise AddressForbidden(_("Requests without encryption stay inside private networks."))
    if found == (address.hostname,):
        return ""
    listed = ",".join(f"[{ip}]" if ":" in ip else ip for ip in found)
    return f"{address.hostname}:{port}:{listed}"


def _settings(pins: str, ca_bundle: str | None, *, is_away: bool) -> Iterator[str]:
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
        # A file that is to come is put together in memory, whose limit a bomb meets at once; one that is there
        # already is read in blocks.
        f"core.bigFileThreshold={_NEVER_IN_BLOCKS if is_away else '16m'}",
        "core.deltaBaseCacheLimit=32m",
        "core.packedGitWindowSize=8m",
        "core.packedGitLimit=32m",
        "core.commitGraph=false",
        "pack.threads=1",
        "transfer.fsckObjects=true",
        "transfer.unpackLimit=1",  # one pack, so that the limit on a file holds for all of it
        "fetch.unpackLimit=1",
        "fetch.uriProtocols=",
        "fetch.recurseSubmodules=false",
        "submodule.recurse=false",
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


def environment(git: str, scheme: str, repository: Path | None = None) -> dict[str, str]:
    """The whole environment.

    ``GIT_DIR`` keeps git from reading a repository it happens to stand in; ``GIT_TRACE2_EVENT`` lets it
    report what it did (https://git-scm.com/docs/api-trace2), which holds no headers and no credential.
    """
    return {
        "PATH": f"{Path(git).parent}:{os.defpath}",
        "HOME": _NO_SUCH_PLACE,
        "LC_ALL": "C",
        "GIT_DIR": str(repository or _NO_SUCH_PLACE),
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
def _answer_pipe(address: RepositoryAddress | None, login: GitLogin | None) -> Iterator[int]:
    """The reading end of a pipe that holds the helper's one answer; an empty pipe for nobody."""
    if login is not None:
        _check_login(login)
    reading, writing = os.pipe()
    try:
        try:
            if address is not None and login is not None:
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
def program() -> str:
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
