"""Hosts for hostile fetches: real repositories behind `git http-backend`, and packs made by hand."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from credentials.errors import ForgekeyError
from credentials.sources.content import ContentLimits
from credentials.sources.git import GitContent
from credentials.sources.git.fetch import fetch
from tests.credentials.providers.loopback import Reply, Script, Seen, Server
from tests.credentials.sources.git_server import (
    FLUSH,
    RESULT,
    TOKEN,
    login,
    pkt,
    processes_with,
    remote_at,
    v2_advertisement,
)

LIMITS = ContentLimits(files=1000, bytes=4 << 20, file_bytes=1 << 20)
ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "alice@example.test", "GIT_AUTHOR_DATE": "1767603600 +0000",
    "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "alice@example.test",
    "GIT_COMMITTER_DATE": "1767603600 +0000",
}  # fmt: skip
DELIMITER = b"0001"
NO_PROGRESS = lambda done, total: None  # noqa: E731  # a callback that does nothing


class Workshop:
    """A bare repository made of whatever objects a test wants, proper or not."""

    def __init__(self, path: Path, *, object_format: str = "sha1") -> None:
        self.path = path
        words = ["--quiet", "--bare", "--template=", "--initial-branch=main"]
        self.run("init", *words, f"--object-format={object_format}", str(path), where=Path("/"))
        with (path / "config").open("a") as config:  # packing takes most of a test's time otherwise
            config.write("[core]\n\tcompression = 0\n[pack]\n\tcompression = 0\n\twindow = 0\n")

    def run(self, *words: str, stdin: bytes = b"", where: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=where or self.path,
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def configure(self, name: str, value: str) -> None:
        self.run("config", name, value)

    def object(self, kind: str, data: bytes) -> str:
        """Store an object as it is, and give its id."""
        return self.run("hash-object", "-w", "--literally", "-t", kind, "--stdin", stdin=data)

    def blob(self, data: bytes) -> str:
        return self.object("blob", data)

    def tree(self, entries: Iterable[tuple[str, bytes, str]]) -> str:
        """A tree of (mode, name, id), in the order given."""
        data = b"".join(
            b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(key)) for mode, name, key in entries
        )
        return self.object("tree", data)

    def commit(self, tree: str, *, branch: str = "main", parent: str = "") -> str:
        made = self.run("commit-tree", tree, "-m", "x", *(["-p", parent] if parent else []))
        self.run("update-ref", f"refs/heads/{branch}", made)
        return made

    def ref(self, name: str, key: str) -> None:
        self.run("update-ref", name, key)

    def files(
        self, files: Mapping[str, bytes], *, branch: str = "main", modes: Mapping[str, str] = {}
    ) -> str:
        """A commit of these files on a branch; ``modes`` where they are not plain files."""
        stream = [
            b"commit refs/heads/%s\ncommitter A <a@example.test> 1767603600 +0000\ndata 1\nx\n"
            % branch.encode()
        ]
        stream += [b"deleteall\n"]
        for path, data in files.items():
            head = f"M {modes.get(path, '100644')} inline {path}\n"
            stream.append(head.encode() + b"data %d\n%s\n" % (len(data), data))
        self.run("fast-import", "--quiet", "--force", stdin=b"".join(stream))
        return self.run("rev-parse", f"refs/heads/{branch}")

    def append(self, files: Mapping[str, bytes], *, branch: str) -> str:
        """One commit more on a branch."""
        before = self.run("rev-parse", f"refs/heads/{branch}")
        tree = self.run("rev-parse", f"{self.files(files, branch=branch)}^{{tree}}")
        return self.commit(tree, branch=branch, parent=before)

    def serve(self, seen: Seen) -> Reply:
        """The answer of `git http-backend`."""
        parts = urlsplit(seen.path)
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": parts.path[parts.path.index(".git/") + 4 :],
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": seen.method,
            "CONTENT_TYPE": seen.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": seen.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": seen.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(seen.body)),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environment, input=seen.body, capture_output=True, check=False
        )
        head, _end, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return Reply(status=int(headers.pop("Status", "200")[:3]), headers=headers, body=body)


def fetched(
    server: Server, folder: Path, *, ref: str = "", subdirectory: str = "", seconds: float = 20,
    limits: ContentLimits = LIMITS, anonymous: bool = False,
) -> GitContent:  # fmt: skip
    """What the product fetches from a server."""
    return fetch(
        remote_at(server),
        login=None if anonymous else login(),
        ref=ref,
        subdirectory=subdirectory,
        folder=folder,
        limits=limits,
        timeout_seconds=seconds,
        progress=NO_PROGRESS,
    )


def texts(content: GitContent) -> dict[str, bytes]:
    return {file.path: b"".join(blocks) for file, blocks in content.read()}


def refused(server: Server, folder: Path, **options: str) -> ForgekeyError:
    """The error of a fetch that fails, after which no file and no process is left."""
    with pytest.raises(ForgekeyError) as caught:
        fetched(server, folder, **options)  # type: ignore[arg-type]  # refs and folders, which are texts
    assert list(folder.iterdir()) == []
    assert processes_with(server.url) == {}
    shown = repr([caught.value, caught.value.args, vars(caught.value)])
    assert TOKEN not in shown
    assert "\\x1b" not in shown
    return caught.value


# --- Packs by hand ------------------------------------------------------------------------------------

COMMIT_TYPE, TREE_TYPE, BLOB_TYPE, OFFSET_DELTA, REFERENCE_DELTA = 1, 2, 3, 6, 7
KINDS = {COMMIT_TYPE: b"commit", TREE_TYPE: b"tree", BLOB_TYPE: b"blob"}


def name_of(kind: int, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0%s" % (KINDS[kind], len(data), data)).hexdigest()  # noqa: S324  # Git's own


def entry(kind: int, size: int, deflated: bytes) -> bytes:
    """One object of a pack, whatever its size is said to be (gitformat-pack)."""
    head, size = [kind << 4 | size & 15], size >> 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head) + deflated


def plain(kind: int, data: bytes) -> bytes:
    return entry(kind, len(data), zlib.compress(data))


def pack(entries: Iterable[bytes], *, count: int | None = None) -> bytes:
    listed = list(entries)
    body = b"PACK" + struct.pack(">II", 2, len(listed) if count is None else count) + b"".join(listed)
    return body + hashlib.sha1(body).digest()  # noqa: S324  # Git's own


def zeros(size: int) -> bytes:
    """``size`` zero bytes (whole MiB), deflated without anybody having to deflate so much."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    checksum = (size % 65521) << 16 | 1
    return b"\x78\x9c" + block * (size >> 20) + b"\x03\x00" + struct.pack(">I", checksum)


def tree_of(entries: Iterable[tuple[bytes, bytes, str]]) -> bytes:
    return b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(key)) for mode, name, key in entries)


def commit_of(tree: str) -> bytes:
    who = b"A <a@example.test> 1767603600 +0000"
    return b"tree %s\nauthor %s\ncommitter %s\n\nx\n" % (tree.encode(), who, who)


def small_commit(files: Mapping[bytes, str]) -> tuple[str, list[bytes]]:
    """The id of a commit of one folder whose files have these ids, and the entries of commit and tree."""
    listed = tree_of((b"100644", name, key) for name, key in sorted(files.items()))
    commit = commit_of(name_of(TREE_TYPE, listed))
    return name_of(COMMIT_TYPE, commit), [plain(COMMIT_TYPE, commit), plain(TREE_TYPE, listed)]


def sideband(data: bytes, band: int = 1) -> bytes:
    blocks = [data[start : start + 65_000] for start in range(0, len(data), 65_000)]
    return b"".join(pkt(bytes([band]) + block) for block in blocks)


def refs_of(commit: str) -> Reply:
    lines = [f"{commit} HEAD symref-target:refs/heads/main\n", f"{commit} refs/heads/main\n"]
    return Reply(
        headers={"Content-Type": RESULT}, body=b"".join(pkt(line.encode()) for line in lines) + FLUSH
    )


def answer_of(commit: str, data: bytes) -> Reply:
    """The answer to a fetch of protocol version 2: one commit without parents, and ``data`` for its pack."""
    head = pkt(b"shallow-info\n") + pkt(f"shallow {commit}".encode()) + DELIMITER + pkt(b"packfile\n")
    return Reply(headers={"Content-Type": RESULT}, body=head + data + FLUSH)


def handmade(commit: str, data: bytes) -> Script:
    """A host with one branch that sends ``data``, framed already, for a pack."""

    def script(seen: Seen) -> Reply:
        if seen.method == "GET":
            return v2_advertisement()
        return answer_of(commit, data) if b"command=fetch" in seen.body else refs_of(commit)

    return script
