"""A build machine with Git, a Git host with a private repository, and a watch over all processes."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.credentials.lease_api import KEY, LeaseApi, lease_api

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One build machine: its environment, its home, and the API it talks to."""

    api: LeaseApi
    home: Path
    environ: dict[str, str] = field(repr=False)

    @property
    def leases(self) -> Path:
        return self.home / "cache" / "forgekey" / "leases"

    def script(self, *words: str, text: bytes = b"", **changes: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "credentials.git_credential_forgekey", *words],
            input=text,
            env=self.environ | changes,
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def git(self, *words: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", "-c", "credential.helper=", "-c", "credential.helper=forgekey", *words],
            input=text,
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            check=False,
            timeout=60,
        )


@contextmanager
def build_machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with ``tmp_path`` as home, the program on its PATH, and a running API."""
    (tmp_path / "cache").mkdir()
    key_file = tmp_path / "service.key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    script = tmp_path / "git-credential-forgekey"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m credentials.git_credential_forgekey "$@"\n')
    script.chmod(0o700)
    with lease_api() as api:
        environ = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "FORGEKEY_URL": api.url,
            "FORGEKEY_KEY_FILE": str(key_file),
            "FORGEKEY_USER": "alice",
            "FORGEKEY_PURPOSE": "nightly build",
        }
        yield Machine(api=api, home=tmp_path, environ=environ)


class GitHost(ThreadingHTTPServer):
    """A Git host on loopback: one private repository over smart HTTP, behind Basic authentication."""

    def __init__(self, projects: Path, password: str) -> None:
        super().__init__(("127.0.0.1", 0), GitHandler)
        self.projects = projects
        self.expected = "Basic " + base64.b64encode(f"x-access-token:{password}".encode()).decode()
        self.refused: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class GitHandler(BaseHTTPRequestHandler):
    server: GitHost

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        if given != self.server.expected:
            self.server.refused.append(given or "")
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        # Long enough for the process list to be read while Git holds the secret.
        time.sleep(0.3)
        headers, _, body = self._backend().partition(b"\r\n\r\n")
        self.send_response(200)
        for line in headers.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def _backend(self) -> bytes:
        address = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.projects),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.server.projects),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": length,
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "x-access-token",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=self.rfile.read(int(length)),
            env=environ,
            capture_output=True,
            check=True,
        )
        return done.stdout

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


def bare_projects(tmp_path: Path) -> Path:
    """A bare repository ``acme/cases.git`` with one commit."""
    work, bare = tmp_path / "work", tmp_path / "projects" / "acme" / "cases.git"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "alice@example"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    for words in (
        ["init", "--quiet", "--initial-branch=main", str(work)],
        ["-C", str(work), "commit", "--quiet", "--allow-empty", "--message=First"],
        ["clone", "--quiet", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *words], env=environ, check=True, capture_output=True)
    return tmp_path / "projects"


class ProcessWatch(threading.Thread):
    """Reads every process's command line and environment again and again, looking for some strings."""

    def __init__(self, *strings: str) -> None:
        super().__init__()
        self.strings = [string.encode() for string in strings]
        self.found: dict[bytes, set[str]] = {string: set() for string in self.strings}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            for place in ("cmdline", "environ"):
                for path in Path("/proc").glob(f"[0-9]*/{place}"):
                    try:
                        text = path.read_bytes()
                    except OSError:
                        continue
                    for string in self.strings:
                        if string in text:
                            self.found[string].add(place)

    def __enter__(self) -> ProcessWatch:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.join()
