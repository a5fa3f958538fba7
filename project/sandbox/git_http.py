"""Git over smart HTTP: `git http-backend` run as CGI on a real bare repository, streamed both ways."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from project.sandbox.repositories import git_environment
from project.sandbox.wire import Request, Response, text_response

BLOCK = 64 * 1024
NAME_AND_SERVICE = r"(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)"
PATH = re.compile(rf"/(?P<owner>[^/]+)/{NAME_AND_SERVICE}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GitCall:
    """A request of a git client, taken apart; `is_push` whether it is about to write."""

    owner: str
    name: str
    service: str
    is_push: bool


def git_call(request: Request, path: re.Pattern[str] = PATH) -> GitCall | None:
    """The git call in a request, or None if it is none. The dumb protocol is not offered.

    `path` has the groups `owner`, `name` and `service`.
    """
    match = path.fullmatch(request.path)
    if match is None:
        return None
    service = match["service"]
    wanted = request.query.get("service", "") if service == "info/refs" else service
    method = "GET" if service == "info/refs" else "POST"
    if wanted not in {"git-upload-pack", "git-receive-pack"} or request.method not in {method, "HEAD"}:
        return None
    return GitCall(
        owner=match["owner"], name=match["name"], service=service, is_push=wanted == "git-receive-pack"
    )


def _environment(request: Request, call: GitCall, repository: Path) -> dict[str, str]:
    environment = git_environment(repository) | {
        "REQUEST_METHOD": request.method,
        "GIT_PROJECT_ROOT": str(repository),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{call.service}",
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.header("Content-Type"),
        "HTTP_CONTENT_ENCODING": request.header("Content-Encoding"),
        "GIT_PROTOCOL": request.header("Git-Protocol"),
        "REMOTE_ADDR": "127.0.0.1",
    }
    length = request.header("Content-Length")
    return environment | ({"CONTENT_LENGTH": length} if length else {})


def _feed(request: Request, pipe: IO[bytes]) -> None:
    # The child may stop reading, and the client may go away: both end here, in silence.
    with contextlib.suppress(OSError), pipe:
        while block := request.stream.read(BLOCK):
            pipe.write(block)


def _head(pipe: IO[bytes]) -> tuple[int, list[tuple[str, str]]]:
    status, headers = 200, []
    while line := pipe.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    return status, headers


class ChildOutput:
    """The output of a child process as blocks; `close` ends the child, read to the end or not."""

    def __init__(self, child: subprocess.Popen[bytes], feeder: threading.Thread, pipe: IO[bytes]) -> None:
        self._child = child
        self._feeder = feeder
        self._pipe = pipe

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = os.read(self._pipe.fileno(), BLOCK)
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        self._pipe.close()
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._feeder.join()


def serve(request: Request, call: GitCall, repository: Path) -> Response:
    """Answer a call that was found to be allowed."""
    child = subprocess.Popen(
        ["git", "http-backend"],  # noqa: S607  the git of the PATH, as everywhere
        env=_environment(request, call, repository),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    feeder = threading.Thread(target=_feed, args=(request, child.stdin), daemon=True)
    feeder.start()
    status, headers = _head(child.stdout)
    output = ChildOutput(child, feeder, child.stdout)
    if not headers:
        output.close()
        return text_response("The repository cannot be read.", status=500)
    return Response(status=status, headers=tuple(headers), body=output)
