"""Asking for an import, watching it, stopping it: for one's own, by those who may."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.crypto.secret import Secret
from credentials.models import Import, ImportState, Library, Scope, Source
from tests import builders
from tests.credentials.api import shelf
from tests.credentials.api.conftest import Call
from tests.storages import use_folder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("waiting")]

GIT = {"user": "alice", "library": "cases", "repository_url": shelf.REPOSITORY}
ZIP = {"user": "alice", "library": "cases"}
CONTENT = shelf.zip_of(shelf.FILES)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    use_folder(settings, tmp_path / "storage")
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def key(alice: User) -> Secret:
    builders.credential(alice, builders.host())
    return builders.client()[1]


def upload(
    key: Secret,
    fields: Mapping[str, str] = ZIP,
    content: bytes | None = CONTENT,
    *,
    file_name: str = "cases.zip",
    again: str = "",
) -> Any:
    """A ZIP sent by a program; with ``again``, under this idempotency key."""
    headers = {"Authorization": f"Bearer {key.reveal()}", **({"Idempotency-Key": again} if again else {})}
    return Client(raise_request_exception=False).generic(
        "POST",
        "/api/v1/imports/",
        shelf.form(fields, content, file_name=file_name),
        content_type=shelf.FORM,
        headers=headers,
    )


def test_an_import_by_git_is_accepted_and_found_where_the_answer_says(call: Call, key: Secret) -> None:
    wanted = {**GIT, "source": "git", "ref": "dev", "subdirectory": "a", "reference": "release 7"}
    answer = call(key, "POST", "/imports/", wanted)
    assert answer.status_code == 202
    body = answer.json()
    assert answer["Location"] == f"/api/v1/imports/{body['id']}/"
    assert (body["state"], body["source"], body["user"]) == ("queued", "git", "alice")
    assert (body["repository_url"], body["ref"], body["subdirectory"]) == (shelf.REPOSITORY, "dev", "a")
    assert (body["reference"], body["requested_by"]) == ("release 7", "backend")
    assert body["progress"] == {"done": 0, "total": None, "unit": None}
    assert (body["snapshot"], body["verdict"], body["error"]) == (None, None, None)
    assert call(key, "GET", f"/imports/{body['id']}/").json() == body


def test_an_import_by_zip_is_accepted(key: Secret, folder: Path) -> None:
    answer = upload(key, {**ZIP, "source": "zip", "unwrap": "false", "subdirectory": "a"})
    assert answer.status_code == 202, answer.content
    job = Import.objects.get()
    assert (job.source, job.file_name, job.upload_bytes) == (Source.ZIP, "cases.zip", len(CONTENT))
    assert (job.unwrap, job.subdirectory) == (False, "a")
    assert answer.json()["file_name"] == "cases.zip"
    assert list(folder.iterdir()) == []


def test_a_library_is_named_by_its_name_or_its_id(call: Call, key: Secret, alice: User, bob: User) -> None:
    mine, theirs = shelf.library(alice), shelf.library(bob)
    assert call(key, "POST", "/imports/", {**GIT, "library": "CASES"}).json()["library"]["id"] == str(mine.pk)
    assert call(key, "POST", "/imports/", {**GIT, "library": str(mine.pk)}).status_code == 202
    assert call(key, "POST", "/imports/", {**GIT, "library": str(theirs.pk)}).status_code == 404
    assert call(key, "POST", "/imports/", {**GIT, "library": "new"}).json()["library"]["name"] == "new"
    assert Library.objects.filter(owner=bob).count() == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"repositoryurl": "x"}, ""),
        ({"file": "x"}, ""),
        ({"unwrap": True}, ""),
        ({"source": "zip"}, "source"),
        ({"library": ""}, "library"),
        ({"library": "x" * 101}, "library"),
        ({"library": "ghp_" + "a" * 36}, "library"),
        ({"ref": ["main"]}, "ref"),
        ({"repository_url": ""}, "repository_url"),
        ({"repository_url": "nowhere"}, "repository_url"),
        ({"user": ""}, "user"),
    ],
    ids=str,
)
def test_a_mistake_is_named_and_nothing_is_begun(
    call: Call, key: Secret, wrong: dict[str, Any], field: str
) -> None:
    answer = call(key, "POST", "/imports/", {**GIT, **wrong})
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert not Import.objects.exists()


@pytest.mark.parametrize(
    ("fields", "content", "field"),
    [
        (ZIP, None, "file"),
        (ZIP, b"", "file"),
        ({**ZIP, "source": "git"}, CONTENT, "source"),
        ({**ZIP, "repository_url": shelf.REPOSITORY}, CONTENT, ""),
        ({**ZIP, "file": "x"}, None, "file"),
        ({"user": "alice"}, CONTENT, "library"),
        ({**ZIP, "unwrap": "perhaps"}, CONTENT, "unwrap"),
        ({**ZIP, "library": "a\x00b"}, CONTENT, "library"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_in_a_form_is_named_and_nothing_is_begun(
    key: Secret, folder: Path, fields: dict[str, str], content: bytes | None, field: str
) -> None:
    answer = upload(key, fields, content)
    assert answer.status_code == 400, answer.content
    assert answer.json()["field"] == field
    assert not Import.objects.exists()
    assert not Library.objects.exists()


def test_a_file_that_is_too_large_is_413(key: Secret, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 1024
    answer = upload(key, content=bytes(1025))
    assert answer.status_code == 413
    assert (answer.json()["code"], answer.json()["field"]) == ("upload_too_large", "file")


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        shelf.form({"user": "alice"}, CONTENT)[:-100],
        shelf.form({"library": "a"}, None)[: -len(shelf.BOUNDARY) - 6]
        + shelf.form({"library": "b"}, CONTENT),
        shelf.form({f"field {number}": "" for number in range(600)}, None),
    ],
    ids=["no form", "cut off", "twice", "many"],
)
def test_a_form_that_cannot_be_read_is_a_problem(key: Secret, body: bytes) -> None:
    answer = Client(raise_request_exception=False).generic(
        "POST",
        "/api/v1/imports/",
        body,
        content_type=shelf.FORM,
        headers={"Authorization": f"Bearer {key.reveal()}"},
    )
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert not Import.objects.exists()


def test_fields_that_are_too_long_together_are_413(key: Secret) -> None:
    assert upload(key, {**ZIP, "reference": "x" * 2_000_000}).status_code == 413


# --- Whose, and who may -------------------------------------------------------------------------------


def test_a_person_imports_for_themselves_by_session(alice: User, bob: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    browser.cookies["csrftoken"] = "a" * 32
    sent = {"library": "cases", "csrfmiddlewaretoken": "a" * 32}

    assert browser.post("/api/v1/imports/", {**sent, "file": io.BytesIO(CONTENT)}).status_code == 202
    assert (
        browser.post("/api/v1/imports/", {**sent, "file": io.BytesIO(CONTENT), "user": "bob"}).status_code
        == 403
    )
    without = {"library": "cases", "file": io.BytesIO(CONTENT)}
    assert browser.post("/api/v1/imports/", without).status_code == 403
    with_header = browser.post(
        "/api/v1/imports/",
        {"library": "cases", "file": io.BytesIO(CONTENT)},
        headers={"X-CSRFToken": "a" * 32},
    )
    assert with_header.status_code == 202
    assert {job.library.owner for job in Import.objects.all()} == {alice}


def test_another_persons_import_is_not_there(alice: User, bob: User) -> None:
    job = shelf.job(shelf.library(alice))
    browser = Client()
    browser.force_login(bob)
    address = f"/api/v1/imports/{job.pk}/"
    assert browser.get(address).status_code == 404
    assert browser.post(f"{address}cancel/").status_code == 404
    assert browser.post(f"{address}retry/").status_code == 404
    assert browser.get("/api/v1/imports/").json()["results"] == []
    job.refresh_from_db()
    assert job.state == ImportState.QUEUED


def test_a_key_of_another_host_imports_nothing_from_this_one_and_sees_nothing_of_it(
    call: Call, key: Secret, alice: User
) -> None:
    builders.host("gitlab")
    elsewhere = builders.client("elsewhere", hosts=["gitlab"])[1]
    github = shelf.job(shelf.library(alice, "of github"))
    zipped = shelf.job(shelf.library(alice, "zipped"), source=Source.ZIP, repository_url="", host="")
    gitlab = shelf.job(shelf.library(alice, "of gitlab"), host="gitlab")
    unknown_host = shelf.job(shelf.library(alice, "public"), host="")

    def told(by: Secret) -> set[str]:
        return {one["id"] for one in call(by, "GET", "/imports/").json()["results"]}

    assert told(elsewhere) == {str(zipped.pk), str(gitlab.pk)}
    assert told(builders.client("here", hosts=["github"])[1]) == {*(str(job.pk) for job in (zipped, github))}
    assert told(key) == {str(job.pk) for job in (zipped, github, gitlab, unknown_host)}
    assert call(elsewhere, "GET", f"/imports/{github.pk}/").status_code == 404
    assert call(elsewhere, "POST", "/imports/", GIT).status_code == 403
    unknown = {**GIT, "repository_url": "https://git.example.org/acme/cases"}
    assert call(elsewhere, "POST", "/imports/", unknown).status_code == 403
    assert upload(elsewhere).status_code == 202


def test_a_key_without_the_scope_imports_nothing(call: Call, alice: User) -> None:
    reading = builders.client("reading", scopes=[Scope.IMPORTS_READ])[1]
    assert call(reading, "GET", "/imports/").status_code == 200
    assert call(reading, "POST", "/imports/", GIT).status_code == 403
    assert upload(reading).status_code == 403


# --- Lists, stopping, trying again --------------------------------------------------------------------


def test_imports_are_listed_newest_first_and_narrowed(
    call: Call, key: Secret, alice: User, bob: User
) -> None:
    cases, other = shelf.library(alice), shelf.library(alice, "other")
    first, second = shelf.job(cases), shelf.job(cases, state=ImportState.FAILED)
    third, theirs = shelf.job(other), shelf.job(shelf.library(bob))

    def told(query: str = "") -> list[str]:
        return [one["id"] for one in call(key, "GET", f"/imports/{query}").json()["results"]]

    assert told() == [str(job.pk) for job in (theirs, third, second, first)]
    assert told("?user=alice") == [str(job.pk) for job in (third, second, first)]
    assert told(f"?library={cases.pk}") == [str(second.pk), str(first.pk)]
    assert told("?library=CASES&user=alice") == [str(second.pk), str(first.pk)]
    assert told("?state=failed") == [str(second.pk)]
    assert call(key, "GET", "/imports/?state=nonsense").status_code == 400


def test_an_import_is_stopped_and_tried_again(call: Call, key: Secret, alice: User) -> None:
    address = f"/imports/{shelf.job(shelf.library(alice)).pk}/"
    assert call(key, "POST", f"{address}retry/").status_code == 409
    assert call(key, "POST", f"{address}cancel/").json()["state"] == "canceled"
    assert call(key, "POST", f"{address}cancel/").status_code == 409
    again = call(key, "POST", f"{address}retry/")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert again["Location"] == f"/api/v1{address}"


def test_a_failed_import_says_why(call: Call, key: Secret, alice: User) -> None:
    stored = {
        **{"code": "content_refused", "reason": "path_traversal", "entry": "../x"},
        **{"limit": None, "retryable": False},
    }
    job = shelf.job(shelf.library(alice), state=ImportState.FAILED, error=stored)
    error = call(key, "GET", f"/imports/{job.pk}/").json()["error"]
    assert (error["code"], error["reason"], error["entry"]) == ("content_refused", "path_traversal", "../x")
    assert (error["type"], error["retryable"]) == ("/help/content-refused/", False)
    assert error["title"]
    assert error["detail"]


# --- Asked twice --------------------------------------------------------------------------------------


def test_the_same_request_with_the_same_key_creates_one_import(call: Call, key: Secret) -> None:
    repeated = {"Idempotency-Key": "job-7"}
    first = call(key, "POST", "/imports/", GIT, **repeated)
    again = call(key, "POST", "/imports/", GIT, **repeated)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert call(key, "POST", "/imports/", {**GIT, "ref": "dev"}, **repeated).status_code == 409
    assert Import.objects.count() == 1


def test_the_same_file_with_the_same_key_creates_one_import_and_another_file_is_another_request(
    key: Secret,
) -> None:
    first = upload(key, again="job-8")
    assert upload(key, again="job-8").json()["id"] == first.json()["id"]
    assert upload(key, content=CONTENT + b"1", again="job-8").json()["code"] == "idempotency_key_reused"
    assert upload(key, {**ZIP, "unwrap": "false"}, again="job-8").status_code == 409
    assert Import.objects.count() == 1


@pytest.mark.parametrize("file_name", ["ghp_" + "a" * 36 + ".zip", "../../x/ghp_" + "a" * 36])
def test_a_token_in_the_name_of_a_file_is_not_kept(key: Secret, file_name: str) -> None:
    answer = upload(key, file_name=file_name)
    assert answer.json()["file_name"] == "upload.zip"
    assert "ghp_" not in str(Import.objects.values())
