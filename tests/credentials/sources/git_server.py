"""A small Git host on loopback whose every answer a test decides, and the questions to it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from credentials.crypto.secret import Secret
from credentials.providers.facts import GitLogin
from credentials.sources import git
from credentials.sources.git import Remote, RemoteRefs
from tests.credentials.providers.loopback import Reply, Script, Seen, Server

TOKEN = "made-up-token-of-octo-alice-0123456789"
USERNAME = "x-access-token"
PATH = "/acme/cases.git"
BASIC = base64.b64encode(f"{USERNAME}:{TOKEN}".encode()).decode()
COMMIT = "5ca1ab1e" * 5
CHALLENGE = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
FLUSH = b"0000"
ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"


def login(token: str = TOKEN) -> GitLogin:
    return GitLogin(username=USERNAME, password=Secret(token))


def remote_at(server: Server | str, **options: Any) -> Remote:
    url = server if isinstance(server, str) else f"{server.url}{PATH}"
    return Remote(url=url, allow_private=True, **options)


def ask(server: Server | str, *, anonymous: bool = False, seconds: float = 10, **options: Any) -> RemoteRefs:
    """What the product learns of the repository at a server."""
    return git.ls_remote(
        remote_at(server, **options), login=None if anonymous else login(), timeout_seconds=seconds
    )


def pkt(line: bytes) -> bytes:
    """One line as Git frames it (gitprotocol-common)."""
    return b"%04x%s" % (len(line) + 4, line)


def v2_advertisement() -> Reply:
    """Protocol version 2: the refs are asked for by a POST afterwards."""
    lines = [b"version 2\n", b"ls-refs=unborn\n", b"fetch=shallow\n", b"object-format=sha1\n"]
    body = pkt(b"# service=git-upload-pack\n") + FLUSH + b"".join(map(pkt, lines)) + FLUSH
    return Reply(headers={"Content-Type": ADVERTISEMENT}, body=body)


def v2_refs(refs: Iterable[bytes] = ()) -> Reply:
    """The answer to that POST; ``refs`` are whole lines after HEAD."""
    head = f"{COMMIT} HEAD symref-target:refs/heads/main\n".encode()
    body = b"".join(pkt(line) for line in [head, f"{COMMIT} refs/heads/main\n".encode(), *refs]) + FLUSH
    return Reply(headers={"Content-Type": RESULT}, body=body)


def is_signed_in(seen: Seen) -> bool:
    return seen.headers.get("Authorization") == f"Basic {BASIC}"


def private(get: Reply | Script | None = None, post: Reply | Script | None = None) -> Script:
    """A host that asks for credentials, then gives these answers; by default those of a good repository."""

    def script(seen: Seen) -> Reply | Iterable[bytes]:
        if not is_signed_in(seen):
            return CHALLENGE
        answer = (get or v2_advertisement()) if seen.method == "GET" else (post or v2_refs())
        return answer if isinstance(answer, Reply) else answer(seen)

    return script


def refusal(text: str | bytes, status: int = 403) -> Reply:
    body = text if isinstance(text, bytes) else text.encode()
    return Reply(status=status, headers={"Content-Type": "text/plain; charset=utf-8"}, body=body)


def processes_with(text: str) -> dict[int, list[bytes]]:
    """The running processes whose command line holds ``text``."""
    found: dict[int, list[bytes]] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(text.encode() in word for word in words):
            found[int(path.parent.name)] = words
    return found


def credentials_in(seen: Mapping[str, str]) -> bool:
    """Whether the headers of a request hold the token in any way."""
    text = repr(seen)
    return TOKEN in text or BASIC in text or "Authorization" in seen
