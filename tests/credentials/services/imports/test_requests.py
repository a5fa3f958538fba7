"""What is asked for is written down with its event and its entry in the queue, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.errors import (
    AddressInvalid,
    Conflict,
    InputInvalid,
    NotFound,
    QuotaExceeded,
    StorageUnavailable,
    TooManyRequests,
)
from credentials.models import AuditEvent, Import, ImportState, Library
from credentials.services.imports import queueing, requests
from credentials.services.libraries import libraries, snapshots, trees
from tests import builders, storages
from tests.credentials.services.imports.asked import by_git, by_zip

pytestmark = pytest.mark.django_db

ADDRESS = "https://git.example.org/acme/cases"
TOKEN = "ghp_" + "a" * 36


def unread(content: bytes = b"") -> ContentFile[bytes]:
    """A file that nobody may read."""
    file = ContentFile(content)

    def chunks(_size: object = None) -> Iterator[bytes]:
        raise AssertionError("it was read")

    file.chunks = chunks  # type: ignore[method-assign,assignment]  # for this one file
    return file


def test_row_event_and_entry_in_the_queue_are_there_together(alice: User) -> None:
    job = by_git(alice, f"{ADDRESS}.git?tab=1", ref="main", subdirectory="/docs/cases/", reference=" 7 ")
    assert (job.repository_url, job.ref, job.subdirectory, job.reference) == (
        *(ADDRESS, "main", "docs/cases", "7"),
    )
    assert (job.state, job.attempts, job.library.name) == (ImportState.QUEUED, 0, "Cases")
    event = AuditEvent.objects.get(action="import.requested")
    assert (event.reference, event.owner_name, event.data) == (
        *(str(job.pk), "alice"),
        {"source": "git", "ref": "main", "subdirectory": "docs/cases"},
    )
    entry = DBTaskResult.objects.get()
    assert (entry.queue_name, entry.args_kwargs["args"]) == ("imports", [str(job.pk)])


@pytest.mark.parametrize(
    ("field", "given", "error"),
    [
        ("repository_url", "https://git.example.org", AddressInvalid),
        ("repository_url", "file:///etc", AddressInvalid),
        ("repository_url", "--upload-pack=x", AddressInvalid),
        ("repository_url", "https://me:secret@git.example.org/acme/cases", AddressInvalid),
        ("repository_url", f"{ADDRESS}?private_token={TOKEN}", AddressInvalid),
        ("repository_url", "https://git.example.org/" + "a/" * 600 + "b", AddressInvalid),
        ("ref", "-x", InputInvalid),
        ("ref", "a..b", InputInvalid),
        ("ref", "a b", InputInvalid),
        ("ref", "refs/heads/" + "a" * 1000, InputInvalid),
        ("ref", TOKEN, InputInvalid),
        ("subdirectory", "../etc", InputInvalid),
        ("subdirectory", "c:/x", InputInvalid),
        ("subdirectory", f"docs/{TOKEN}", InputInvalid),
        ("reference", f"job {TOKEN}", InputInvalid),
        ("reference", "a" * 201, InputInvalid),
        ("reference", "a\nb", InputInvalid),
        ("library", TOKEN, InputInvalid),
        ("library", "00000000-0000-4000-8000-000000000000", NotFound),
    ],
)
def test_what_is_not_proper_is_refused_and_leaves_nothing(
    field: str, given: str, error: type[Exception], alice: User
) -> None:
    with pytest.raises(error) as caught:
        by_git(alice, **{"repository_url": ADDRESS, field: given})
    assert TOKEN not in str(caught.value)
    assert not Import.objects.exists()
    assert not Library.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="import").exists()


def test_an_upload_lies_in_the_storage_under_the_name_of_its_import(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    job = by_zip(alice, file_name=r"C:\Users\me\cases.zip")
    assert storages.stored(storage) == [f"uploads/{job.pk}.zip"] == [job.upload]
    assert (job.file_name, job.upload_bytes) == ("cases.zip", (storage / job.upload).stat().st_size)
    assert [path for path in (tmp_path / "imports").rglob("*") if path.is_file()] == []


def test_a_file_whose_name_holds_a_token_gets_another_name(alice: User) -> None:
    assert by_zip(alice, file_name=f"{TOKEN}.zip").file_name == "archive.zip"


def test_nobody_imports_for_somebody_who_is_not_active(alice: User, storage: Path) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    asks: list[Callable[[], Import]] = [lambda: by_git(alice, ADDRESS), lambda: by_zip(alice)]
    for ask in asks:
        with pytest.raises(Conflict):
            ask()
    assert not Library.objects.exists()
    assert storages.stored(storage) == []


def test_so_many_imports_of_a_person_wait_or_run_and_no_more(alice: User, bob: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORTS_QUEUED_PER_USER = 2
    first = by_git(alice, ADDRESS)
    by_git(alice, ADDRESS, "Others")
    asks: list[Callable[[], Import]] = [
        lambda: by_git(alice, ADDRESS),
        lambda: by_zip(alice, unread()),
    ]
    for ask in asks:
        with pytest.raises(TooManyRequests):
            ask()
    by_git(bob, ADDRESS)
    Import.objects.filter(pk=first.pk).update(state=ImportState.FAILED)
    assert by_git(alice, ADDRESS).state == ImportState.QUEUED


def test_what_may_not_be_stored_is_refused_before_it_is_read(
    alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 1024
    with pytest.raises(InputInvalid):
        by_zip(alice, unread(b"x" * 1025))
    monkeypatch.setattr(snapshots, "stored_bytes_of", lambda owner: 5 << 40)
    with pytest.raises(QuotaExceeded):
        by_zip(alice, unread())


def test_a_storage_that_takes_nothing_is_said_and_nothing_is_written_down(
    alice: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(name: str, file: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trees, "save", full)
    with pytest.raises(StorageUnavailable):
        by_zip(alice)
    assert not Import.objects.exists()
    assert [path for path in (tmp_path / "imports").rglob("*") if path.is_file()] == []


def test_an_upload_whose_row_cannot_be_written_leaves_the_storage(
    alice: User, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any, **_named: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(queueing, "enqueue", broken)
    with pytest.raises(RuntimeError):
        by_zip(alice)
    assert storages.stored(storage) == []
    assert not Library.objects.exists()


def test_an_import_goes_into_the_library_that_is_meant(alice: User, bob: User) -> None:
    made = [by_git(alice, ADDRESS, name).library for name in ("Cases", "CASES")]
    by_id = by_git(alice, ADDRESS, str(made[0].pk)).library
    assert made[0] == made[1] == by_id
    with pytest.raises(NotFound):
        by_git(bob, ADDRESS, str(made[0].pk))


def test_a_library_that_never_came_from_git_has_nowhere_to_be_updated_from(alice: User) -> None:
    library = libraries.named(actor=builders.SYSTEM, owner=alice, library="Cases", now=timezone.now())
    with pytest.raises(Conflict):
        requests.update(actor=builders.SYSTEM, library=library, now=timezone.now())
