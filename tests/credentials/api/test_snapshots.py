"""One version of a library: what it holds, file by file, and as one ZIP."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Scope, Snapshot
from credentials.sources.snapshot import Entry, Manifest
from tests import builders
from tests.credentials.api import shelf
from tests.credentials.api.conftest import Call

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(alice: User) -> Secret:
    builders.host()
    return builders.client()[1]


@pytest.fixture
def snapshot(alice: User) -> Snapshot:
    return shelf.snapshot(shelf.library(alice))


def sent(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_a_snapshot_says_what_it_holds_where_it_came_from_and_what_was_left_out(
    call: Call, key: Secret, snapshot: Snapshot
) -> None:
    body = call(key, "GET", f"/snapshots/{snapshot.pk}/").json()
    assert (body["number"], body["digest"], body["files"]) == (1, snapshot.tree.digest, 3)
    assert (body["repository_url"], body["ref"], body["commit"]) == (
        shelf.REPOSITORY,
        "refs/heads/main",
        "a" * 40,
    )
    assert body["library"] == {"id": str(snapshot.library_id), "name": "cases"}
    [remark] = body["remarks"]
    assert (remark["path"], remark["reason"]) == ("link", "symlink")
    assert remark["text"]
    assert "tree" not in body


def test_another_persons_snapshot_is_not_there(alice: User, bob: User, snapshot: Snapshot) -> None:
    browser = Client()
    for person, status in ((bob, 404), (alice, 200)):
        browser.force_login(person)
        for address in ("", "files/", "archive/"):
            assert browser.get(f"/api/v1/snapshots/{snapshot.pk}/{address}").status_code == status
    assert [event.actor_name for event in AuditEvent.objects.filter(action="snapshot.downloaded")] == [
        "alice"
    ]


def test_a_key_of_another_host_does_not_see_it_but_what_came_by_zip(
    call: Call, alice: User, snapshot: Snapshot
) -> None:
    builders.host(), builders.host("gitlab")
    elsewhere = builders.client("elsewhere", hosts=["gitlab"])[1]
    zipped = shelf.by_zip(snapshot.library)
    for address in ("", "files/", "archive/"):
        assert call(elsewhere, "GET", f"/snapshots/{snapshot.pk}/{address}").status_code == 404
        assert call(elsewhere, "GET", f"/snapshots/{zipped.pk}/{address}").status_code == 200
    nothing = builders.client("nothing", scopes=[Scope.IMPORTS_WRITE])[1]
    assert call(nothing, "GET", f"/snapshots/{zipped.pk}/archive/").status_code == 403


# --- Files --------------------------------------------------------------------------------------------

MANY = {f"{folder}/{number:03d}": b"%d" % number for folder in ("a", "ab", "b", "é") for number in range(5)}


def pages(call: Call, key: Secret, address: str) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    found, following = [], address
    while following:
        answer = call(key, "GET", following)
        assert answer.status_code == 200, answer.content
        assert answer.json()["previous"] is None
        found.append(answer.json()["results"])
        link = urlsplit(answer.json()["next"] or "")
        following = f"{link.path.removeprefix('/api/v1')}?{link.query}" if link.path else ""
    return found


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 21])
def test_all_pages_together_are_the_manifest_and_have_its_digest(
    call: Call, key: Secret, alice: User, limit: int
) -> None:
    made = shelf.snapshot(shelf.library(alice), MANY)
    found = pages(call, key, f"/snapshots/{made.pk}/files/?limit={limit}")
    assert {len(page) for page in found[:-1]} <= {limit}
    entries = [
        Entry(
            path=one["path"],
            size=one["size"],
            sha256=one["sha256"],
            executable=one["mode"] == "100755",
        )
        for page in found
        for one in page
    ]
    assert Manifest(tuple(entries)).digest == made.tree.digest


def test_files_are_narrowed_to_a_folder(call: Call, key: Secret, alice: User) -> None:
    made = shelf.snapshot(shelf.library(alice), MANY)
    found = pages(call, key, f"/snapshots/{made.pk}/files/?prefix=a/&limit=2")
    assert [one["path"] for page in found for one in page] == [f"a/{number:03d}" for number in range(5)]
    assert pages(call, key, f"/snapshots/{made.pk}/files/?prefix=none") == [[]]


@pytest.mark.parametrize(
    "query", ["cursor=%20%20x", "cursor=a", "cursor=é", "limit=0", "limit=x", "limit=1001"]
)
def test_a_query_that_makes_no_sense_is_a_mistake(
    call: Call, key: Secret, snapshot: Snapshot, query: str
) -> None:
    answer = call(key, "GET", f"/snapshots/{snapshot.pk}/files/?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "input_invalid")


# --- The archive --------------------------------------------------------------------------------------


def test_the_archive_is_sent_as_a_file_of_the_librarys_name(call: Call, key: Secret, alice: User) -> None:
    made = shelf.snapshot(shelf.library(alice, "Fälle: a/b “1”"))
    answer = call(key, "GET", f"/snapshots/{made.pk}/archive/")
    content = sent(answer)
    assert answer.status_code == 200
    assert hashlib.sha256(content).digest() == hashlib.sha256(shelf.zip_of(shelf.FILES)).digest()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == shelf.FILES
    assert answer["Content-Type"] == "application/zip"
    assert int(answer["Content-Length"]) == len(content)
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''F%C3%A4lle-%20a-b%20-1-1.zip"
    assert answer["ETag"] == f'"{made.tree.digest}"'
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer.has_header("Pragma")
    [event] = AuditEvent.objects.filter(action="snapshot.downloaded")
    assert (event.actor_name, event.reference) == ("backend", str(made.pk))


def test_an_archive_that_is_known_already_is_not_sent_nor_recorded(
    call: Call, key: Secret, snapshot: Snapshot
) -> None:
    address, tag = f"/snapshots/{snapshot.pk}/archive/", f'"{snapshot.tree.digest}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = call(key, "GET", address, **{"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer["ETag"] == tag
        assert answer["Cache-Control"] == "private, no-cache"
    assert call(key, "GET", address, **{"If-None-Match": '"other"'}).status_code == 200
    assert AuditEvent.objects.filter(action="snapshot.downloaded").count() == 1


def test_asking_for_the_headers_sends_and_records_nothing(
    call: Call, key: Secret, snapshot: Snapshot
) -> None:
    answer = call(key, "HEAD", f"/snapshots/{snapshot.pk}/archive/")
    assert answer.status_code == 200
    assert int(answer["Content-Length"]) == snapshot.tree.archive_bytes
    assert sent(answer) == b""
    assert not AuditEvent.objects.filter(action="snapshot.downloaded").exists()


def test_problems_of_the_archive_are_stored_nowhere(call: Call, key: Secret) -> None:
    answer = call(key, "GET", "/snapshots/00000000-0000-4000-8000-000000000000/archive/")
    assert (answer.status_code, answer["Cache-Control"]) == (404, "no-store")
