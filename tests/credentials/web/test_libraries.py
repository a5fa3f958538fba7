"""The pages of libraries: versions, files, differences, and what can be done with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credentials.models import AuditEvent, Import, Library
from credentials.web.libraries import PER_PAGE, disposition
from tests import storages
from tests.credentials.web.visitor import visit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


def words(client: Client, name: str, *args: object, **query: Any) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_without_a_library_there_is_one_thing_to_do(alice: User) -> None:
    html = visit(alice).get(reverse("libraries")).content.decode()
    assert html.count("button primary") == 1
    assert reverse("import_start") in html


def test_the_list_says_how_many_versions_and_where_they_came_from(
    alice: User, bob: User, tmp_path: Path
) -> None:
    library = storages.library(alice, "Use cases")
    for number in range(2):
        storages.snapshot(library, tmp_path, {"a": str(number)}, file_name="cases.zip")
    storages.library(bob, "Secret plans")
    text = words(visit(alice), "libraries")
    assert "Use cases 2 versions · now · cases.zip" in text
    assert "Secret plans" not in text


def test_nobody_sees_or_touches_anothers_library(alice: User, bob: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(library, tmp_path, {"a": "1"})
    client = visit(bob)
    for name, args in (
        ("library", ()),
        ("library_compare", ()),
        ("snapshot", (1,)),
        ("snapshot_archive", (1,)),
    ):
        assert client.get(reverse(name, args=[library.pk, *args])).status_code == 404, name
    for name in ("library_update", "library_rename", "library_remove"):
        assert client.post(reverse(name, args=[library.pk]), {"name": "x"}).status_code == 404, name
    assert Library.objects.get().name == "Cases"


def test_a_version_shows_its_files_folder_by_folder(alice: User, tmp_path: Path) -> None:
    files = {"README.md": "1", "docs/one.md": "22", "docs/deep/two.md": "333", "docsy": "4"}
    made = storages.snapshot(storages.library(alice), tmp_path, files)
    client = visit(alice)
    top = words(client, "snapshot", made.library_id, 1)
    assert "docs/ 2 files README.md 1 byte docsy 1 byte" in top
    assert "one.md" not in top
    inner = words(client, "snapshot", made.library_id, 1, folder="docs")
    assert "deep/ 1 file one.md" in inner
    assert "README.md" not in inner
    for folder in ("nope", "../..", "README.md"):
        response = client.get(reverse("snapshot", args=[made.library_id, 1]), {"folder": folder})
        assert response.status_code == 404, folder


def test_thousands_of_files_come_in_pages(alice: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {f"{n:05}": "x" for n in range(PER_PAGE + 1)})
    client = visit(alice)
    assert "Page 1 of 2" in words(client, "snapshot", made.library_id, 1)
    assert f"{PER_PAGE:05}" in words(client, "snapshot", made.library_id, 1, page=2)


def test_the_archive_is_given_under_the_librarys_name(alice: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice, "Fälle für uns"), tmp_path, {"a": "1"})
    answer = visit(alice).get(reverse("snapshot_archive", args=[made.library_id, 1]))
    assert b"".join(answer.streaming_content) == b"z" * 100  # type: ignore[attr-defined]  # a file's answer
    assert answer["Content-Disposition"] == (
        "attachment; filename=\"falle-fur-uns-1.zip\"; filename*=UTF-8''F%C3%A4lle%20f%C3%BCr%20uns-1.zip"
    )
    assert AuditEvent.objects.get(action="snapshot.downloaded").actor_name == "alice"


@pytest.mark.parametrize("name", ['a"b', "a\\b", "例", "..", "a;b"])
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    assert re.fullmatch(
        r"attachment; filename=\"[a-z0-9-]+\.zip\"; filename\*=UTF-8''[\w%.~-]+", disposition(name, 1)
    )


def test_a_difference_is_told_between_any_two_versions(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(library, tmp_path, {"same": "1", "gone": "22", "old": "333", "changed": "4"})
    storages.snapshot(library, tmp_path, {"same": "1", "come": "55555", "new": "333", "changed": "44"})
    client = visit(alice)
    text = words(client, "library_compare", library.pk)
    for part in (
        "1 file added come",
        "1 file removed gone",
        "1 file changed changed",
        "1 file moved old → new",
    ):
        assert part in text
    assert "Both versions hold the same files" in words(
        client, "library_compare", library.pk, **{"from": 1, "to": 1}
    )
    response = client.get(reverse("library_compare", args=[library.pk]), {"from": "7"})
    assert response.status_code == 404
    assert "1 file added" in words(client, "library_compare", library.pk, **{"from": "x", "to": "9" * 30})


def test_a_library_is_renamed_and_a_name_in_use_is_refused(alice: User) -> None:
    one, _other = storages.library(alice, "One"), storages.library(alice, "Other")
    client = visit(alice)
    client.post(reverse("library_rename", args=[one.pk]), {"name": "First"})
    assert Library.objects.get(pk=one.pk).name == "First"
    answer = client.post(reverse("library_rename", args=[one.pk]), {"name": "other"})
    assert (answer.status_code, "another library of this name" in answer.content.decode()) == (422, True)


def test_a_library_is_removed_after_a_question(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(library, tmp_path, {"a": "1"})
    client = visit(alice)
    assert "Its 1 version goes" in words(client, "library_remove", library.pk)
    assert Library.objects.exists()
    client.post(reverse("library_remove", args=[library.pk]))
    assert not Library.objects.exists()


def test_one_that_came_from_git_is_updated_by_a_button(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(
        library,
        tmp_path,
        {"a": "1"},
        source="git",
        repository_url="https://git.example.org/acme/cases",
        ref="refs/heads/dev",
    )
    client = visit(alice)
    assert "Update from Git" in words(client, "library", library.pk)
    client.post(reverse("library_update", args=[library.pk]))
    job = Import.objects.get()
    assert (job.repository_url, job.ref) == ("https://git.example.org/acme/cases", "refs/heads/dev")


def test_one_that_was_uploaded_asks_for_a_newer_file(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(library, tmp_path, {"a": "1"})
    client = visit(alice)
    assert "Upload a newer ZIP" in words(client, "library", library.pk)
    answer = client.post(reverse("library_update", args=[library.pk]), follow=True)
    assert "did not come from Git" in answer.content.decode()


@pytest.mark.parametrize("name", ["libraries", "library"])
def test_a_page_takes_as_many_statements_for_many_as_for_one(name: str, alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    client, counts = visit(alice), []
    for number in range(5):
        storages.snapshot(library, tmp_path, {"a": str(number)})
        storages.snapshot(storages.library(alice, f"Library {number}"), tmp_path, {"b": str(number)})
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse(name, args=[] if name == "libraries" else [library.pk]))
        counts.append(len(seen))
    assert len(set(counts[1:])) == 1, counts
