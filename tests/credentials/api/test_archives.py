"""An archive is sent in part where a part is asked for, and its file is closed whether it was sent or not."""

from __future__ import annotations

import io

import pytest
from django.http import StreamingHttpResponse

from credentials.api.archives import archive_response
from credentials.models import Library, Snapshot, StoredTree

# Django looks after its connections whenever an answer is closed.
pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)
SNAPSHOT = Snapshot(
    number=3,
    library=Library(name="cases"),
    tree=StoredTree(digest="d" * 64, archive_bytes=SIZE),
)


def ask(**headers: str) -> tuple[int, bytes, dict[str, str], io.BytesIO]:
    """Status, body, headers, and the file that was opened for it."""
    file = io.BytesIO(CONTENT)
    meta = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    answer = archive_response(meta, SNAPSHOT, opening=lambda: file, with_body=True)
    body = b""
    if isinstance(answer, StreamingHttpResponse):
        body = b"".join(answer)
    answer.close()
    return answer.status_code, body, dict(answer.items()), file


@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        ("bytes=-99999", 0, SIZE),
        ("bytes=1000-99999", 1000, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes= 7-8", 7, 9),
    ],
)
def test_one_range_is_sent_alone(asked: str, first: int, stop: int) -> None:
    status, body, headers, file = ask(range=asked)
    assert (status, body) == (206, CONTENT[first:stop])
    assert headers["Content-Range"] == f"bytes {first}-{stop - 1}/{SIZE}"
    assert headers["Content-Length"] == str(stop - first)
    assert file.closed


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(asked: str) -> None:
    status, body, headers, file = ask(range=asked)
    assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{SIZE}")
    assert not file.closed  # it was never opened


@pytest.mark.parametrize(
    "asked",
    ["", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=" + "9" * 99],
)
def test_what_is_no_range_is_answered_with_everything(asked: str) -> None:
    status, body, headers, _file = ask(range=asked)
    assert (status, body) == (200, CONTENT)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"] == 'attachment; filename="cases-3.zip"'


def test_a_range_of_another_archive_is_answered_with_everything() -> None:
    assert ask(range="bytes=0-9", if_range='"another"')[0] == 200
    assert ask(range="bytes=0-9", if_range=f'"{"d" * 64}"')[0] == 206


def test_a_file_is_closed_though_nobody_reads_it() -> None:
    file = io.BytesIO(CONTENT)
    archive_response({}, SNAPSHOT, opening=lambda: file, with_body=True).close()
    assert file.closed


@pytest.mark.parametrize("name", ["", "...", "///", "\u202e"])
def test_a_library_without_a_name_for_files_has_one_all_the_same(name: str) -> None:
    odd = Snapshot(number=1, library=Library(name=name), tree=SNAPSHOT.tree)
    answer = archive_response({}, odd, opening=io.BytesIO, with_body=False)
    assert answer["Content-Disposition"] == 'attachment; filename="library-1.zip"'
