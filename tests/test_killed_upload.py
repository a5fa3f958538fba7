"""Uploads over real HTTP that end before their time: whoever ends them, nothing stays on the disk."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import Import
from credentials.uploads import AT_ONCE
from tests import builders
from tests.credentials.api import shelf
from tests.processes import free_ports
from tests.web_process import Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

MOST = 4_000_000
FIELDS = {"user": "alice", "library": "cases"}
SECONDS = 30


@pytest.fixture
def web(tmp_path: Path, key_file: Path, db: None) -> Iterator[Web]:
    limit = {"CREDENTIALS_IMPORT_UPLOAD_BYTES": str(MOST)}
    running = Web(port=free_ports(1), data_dir=tmp_path, key_file=key_file, **limit)
    wait_until(lambda: answers(running))
    yield running
    with suppress(ProcessLookupError):
        running.kill()


@pytest.fixture
def key(alice: User) -> Secret:
    return builders.client()[1]


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not fact():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def answers(web: Web) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"http://127.0.0.1:{web.port}/livez", timeout=10).ok
    return False


def open_uploads(web: Web, folder: Path) -> int:
    """How many uploads the web process and its children have on the disk; they have no names there."""
    found = 0
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getpgid(int(process.name)) == web.process.pid:
                targets = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
                found += sum(target.startswith(str(folder)) for target in targets)
    return found


def half_an_upload(web: Web, key: Secret) -> socket.socket:
    """A client in the middle of sending."""
    body = shelf.form(FIELDS, os.urandom(3_000_000))
    head = (
        "POST /api/v1/imports/ HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{web.port}\r\n"
        f"Authorization: Bearer {key.reveal()}\r\n"
        f"Content-Type: {shelf.FORM}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=SECONDS)
    connection.sendall(head.encode() + body[: len(body) // 2])
    return connection


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(web: Web, key: Secret, tmp_path: Path) -> None:
    folder = tmp_path / "imports" / "uploads"
    connection = half_an_upload(web, key)
    wait_until(lambda: open_uploads(web, folder) == 1)
    assert list(folder.iterdir()) == []
    connection.close()
    wait_until(lambda: open_uploads(web, folder) == 0)
    assert answers(web)
    assert not Import.objects.exists()


def test_a_web_process_that_is_killed_in_the_middle_leaves_nothing(
    web: Web, key: Secret, tmp_path: Path
) -> None:
    folder = tmp_path / "imports" / "uploads"
    with half_an_upload(web, key):
        wait_until(lambda: open_uploads(web, folder) == 1)
        web.kill()
    assert list(folder.iterdir()) == []
    wait_until(lambda: open_uploads(web, folder) == 0)


def test_slow_clients_never_keep_every_thread_busy(web: Web, key: Secret, tmp_path: Path) -> None:
    folder = tmp_path / "imports" / "uploads"
    with ExitStack() as clients:
        for _slow in range(AT_ONCE):
            clients.enter_context(half_an_upload(web, key))
        wait_until(lambda: open_uploads(web, folder) == AT_ONCE)
        for _further in range(4):
            connection = clients.enter_context(half_an_upload(web, key))
            refused = connection.recv(65_536)
            assert refused.startswith(b"HTTP/1.1 429")
            assert b"retry-after: 30" in refused
        assert answers(web)
    wait_until(lambda: open_uploads(web, folder) == 0)
    with half_an_upload(web, key):
        wait_until(lambda: open_uploads(web, folder) == 1)


@pytest.mark.parametrize("size", [MOST + 1, 3 * MOST])
def test_who_sends_too_much_reads_why(web: Web, key: Secret, tmp_path: Path, size: int) -> None:
    answer = requests.post(
        f"http://127.0.0.1:{web.port}/api/v1/imports/",
        data=FIELDS,
        files={"file": ("cases.zip", bytes(size))},
        headers={"Authorization": f"Bearer {key.reveal()}"},
        timeout=SECONDS,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert open_uploads(web, tmp_path / "imports" / "uploads") == 0


def test_a_stranger_is_refused_before_the_body_is_read(web: Web, alice: User, tmp_path: Path) -> None:
    stranger = builders.client("deleted")
    stranger[0].delete()
    with half_an_upload(web, stranger[1]) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401")
    assert open_uploads(web, tmp_path / "imports" / "uploads") == 0
