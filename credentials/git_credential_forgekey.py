"""``git-credential-forgekey``: Git's credential helper protocol, answered by Forgekey's HTTP API.

Git starts it with one word, ``get``, ``store`` or ``erase``, and describes a credential on its standard
input (gitcredentials(7), git-credential(1)). ``get`` borrows a credential for exactly the host Git names,
``store`` reports that the host accepted it, ``erase`` that the host refused it.

Whatever is doubtful is answered with ``quit=1``: Git then asks no other program and no person.
The environment it reads is described in :mod:`credentials.lease_client`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import requests

from credentials.errors import ForgekeyError, InputInvalid, RequestError
from credentials.lease_client import Answer, LeaseClient, Origin, read_origin, read_settings

USAGE = "usage: git-credential-forgekey get|store|erase   (Git starts it; see gitcredentials(7))"
OUTCOMES = {"store": "accepted", "erase": "rejected"}
INPUT_LIMIT = 64 * 1024
KNOWN_ATTRIBUTES = frozenset({b"protocol", b"host", b"path", b"username", b"password"})
# Seconds an unreported lease is remembered after its end: a long clone may outlast it.
KEPT_AFTER_END = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What Git asks about; user name and password are there when it says what became of an answer."""

    origin: Origin
    path: bytes
    username: bytes | None
    password: bytes | None = field(repr=False)

    @property
    def repository_url(self) -> str:
        """The address to borrow for; Git sends the path decoded, and only with credential.useHttpPath."""
        return self.origin.url + (f"/{quote(self.path)}" if self.path else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What goes to Git, what to the person, and the exit status."""

    to_git: str = field(default="", repr=False)
    to_person: str = ""
    status: int = 0


def read_question(text: bytes) -> Question:
    """Parse what Git wrote; :class:`InputInvalid` for anything Git would not write.

    Lines end in LF alone: a reader that also takes CR, or stops at NUL, can be made to see another host
    than Git does (CVE-2020-5260, CVE-2024-50338). Attributes of newer Gits are passed over.
    """
    if b"\r" in text or b"\0" in text or len(text) > INPUT_LIMIT:
        raise InputInvalid("Git's request is too long or holds characters that no address has.")
    found: dict[bytes, bytes] = {}
    for line in text.split(b"\n\n", 1)[0].removesuffix(b"\n").split(b"\n"):
        name, equals, value = line.partition(b"=")
        if not equals or (name in KNOWN_ATTRIBUTES and name in found):
            raise InputInvalid("Git's request is malformed.")
        found[name] = value
    if not found.get(b"protocol") or not found.get(b"host"):
        raise InputInvalid("Git's request names no host.")
    return Question(
        origin=read_origin(*(found[name].decode("ascii", "replace") for name in (b"protocol", b"host"))),
        path=found.get(b"path", b""),
        username=found.get(b"username"),
        password=found.get(b"password"),
    )


class LeaseFolder:
    """Remembers, from ``get`` to ``store`` or ``erase``, which lease an answer came from.

    One file per answer, named by an HMAC under the service key, so that the name leads nobody to the
    token; inside are the lease's id and its end, nothing else.
    """

    def __init__(self, descriptor: int, key: str) -> None:
        self.descriptor = descriptor
        self.key = key

    def name(self, origin: Origin, username: bytes, password: bytes) -> str:
        parts = (origin.scheme.encode(), origin.authority.encode(), username, password)
        return hmac.new(self.key.encode(), b"\0".join(parts), hashlib.sha256).hexdigest()

    def remember(self, answer: Answer) -> None:
        name = self.name(answer.origin, answer.username.encode(), answer.password.encode())
        draft = f"{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600, dir_fd=self.descriptor), "w") as file:
            file.write(f"{answer.lease_id}\n{answer.ends}\n")
            file.flush()
            # The sweep reads the end here, without opening the file.
            os.utime(file.fileno(), (answer.ends, answer.ends))
        os.replace(draft, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def claim(self, name: str) -> str | None:
        """The lease's id, once: the file is gone afterwards, so that nothing is reported twice."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(name, flags, dir_fd=self.descriptor), "rb") as file:
                first = file.read(100).split(b"\n")[0]
            os.unlink(name, dir_fd=self.descriptor)
            return str(uuid.UUID(first.decode()))
        except (FileNotFoundError, ValueError):
            return None

    def sweep(self, *, now: float) -> None:
        """Forget what ended KEPT_AFTER_END seconds before ``now`` and was never reported."""
        for name in os.listdir(self.descriptor):
            with contextlib.suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                if facts.st_mtime < now - KEPT_AFTER_END:
                    os.unlink(name, dir_fd=self.descriptor)


@contextlib.contextmanager
def lease_folder(environ: Mapping[str, str], key: str) -> Iterator[LeaseFolder]:
    """Open the caller's own folder, making it if need be; ``OSError`` if others could look or write there."""
    with contextlib.ExitStack() as stack:
        descriptor = os.open(_base_folder(environ), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        for name in ("forgekey", "leases"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=descriptor)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
            facts = os.fstat(descriptor)
            if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
                raise PermissionError("the lease folder is not private")
        yield LeaseFolder(descriptor, key)


def _base_folder(environ: Mapping[str, str]) -> str:
    """The caller's runtime folder, else the cache folder (XDG Base Directory Specification)."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    with contextlib.suppress(OSError):
        # Somebody else's runtime folder survives a change of user, under sudo for instance.
        if os.path.isabs(runtime) and os.stat(runtime).st_uid == os.geteuid():
            return runtime
    cache = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    os.makedirs(cache, mode=0o700, exist_ok=True)
    return cache


def get(question: Question, client: LeaseClient, environ: Mapping[str, str], *, now: float) -> Reply:
    """Borrow for what Git asks about.

    The secret goes on to Git only if it was lent for the very origin Git named, still works, and reads
    as one line. That the lease could not be remembered costs the report, not the clone.
    """
    answer = client.lend(question.repository_url)
    if answer.origin != question.origin:
        raise RequestError("Forgekey's answer is for another host; it was not used.")
    if not answer.password or any(sign in answer.username + answer.password for sign in "\n\r\0"):
        raise RequestError("The credential holds characters that Git cannot take; it was not used.")
    if answer.ends <= now:
        raise RequestError("The credential has already ended; is this machine's clock right?")
    lines = f"username={answer.username}\npassword={answer.password}\npassword_expiry_utc={answer.ends}\n"
    try:
        with lease_folder(environ, client.settings.key) as folder:
            folder.sweep(now=now)
            folder.remember(answer)
    except OSError:
        note = "The lease folder cannot be used or is not private; Forgekey will not learn how this ends."
        return Reply(to_git=lines, to_person=note)
    return Reply(to_git=lines)


def report(question: Question, client: LeaseClient, environ: Mapping[str, str], *, outcome: str) -> Reply:
    """Say what became of an answer of ours; of any other credential nothing is known, so nothing is said."""
    if question.username is None or question.password is None:
        return Reply()
    try:
        with lease_folder(environ, client.settings.key) as folder:
            lease_id = folder.claim(folder.name(question.origin, question.username, question.password))
    except OSError:
        return Reply()  # said at "get", when it could still be mended
    if lease_id:
        client.report(lease_id, outcome)
    return Reply()


def run(
    word: str, text: bytes, *, environ: Mapping[str, str], session: requests.Session, now: float
) -> Reply:
    """Do what ``word`` asks of the credential ``text`` describes; ``now`` in seconds since the epoch.

    Git goes by ``quit=1`` and not by the status, which is for scripts. A word of a later Git is passed
    over, as gitcredentials(7) wants it.
    """
    if word != "get" and word not in OUTCOMES:
        return Reply()
    try:
        question = read_question(text)
        client = LeaseClient(read_settings(environ), session)
        if word == "get":
            return get(question, client, environ, now=now)
        return report(question, client, environ, outcome=OUTCOMES[word])
    except ForgekeyError as error:
        if word == "get":
            return Reply(to_git="quit=1\n", to_person=str(error), status=1)
        if isinstance(error, InputInvalid):
            return Reply()  # such an address was never lent for
        return Reply(to_person=str(error), status=1)


def main() -> int:
    """Entry point of the console script."""
    match sys.argv[1:]:
        case [word]:
            text = sys.stdin.buffer.read(INPUT_LIMIT + 1)
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    with requests.Session() as session:
        reply = run(word, text, environ=os.environ, session=session, now=time.time())
    for line in reply.to_person.splitlines():
        print(f"forgekey: {line}", file=sys.stderr)
    sys.stdout.buffer.write(reply.to_git.encode())
    sys.stdout.buffer.flush()
    return reply.status


if __name__ == "__main__":
    sys.exit(main())
