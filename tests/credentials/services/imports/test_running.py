"""A whole import, carried out where the test is: by ZIP, and by Git from the sandbox."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from credentials.models import Import, ImportState, Snapshot, StoredTree
from credentials.services.imports import canceling, requests, retrying, running
from credentials.services.imports.outcomes import problem_of
from credentials.services.libraries import snapshots
from tests import builders

pytestmark = pytest.mark.django_db(transaction=True)


def packed(files: dict[str, bytes], *, folder: str = "") -> ContentFile[bytes]:
    """A ZIP as people make it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{folder}{name}", data)
    return ContentFile(made.getvalue())


def uploaded(owner: User, files: dict[str, bytes], library: str = "Cases", **options: Any) -> Import:
    return requests.request_zip(
        actor=builders.SYSTEM,
        owner=owner,
        library=library,
        upload=packed(files),
        file_name="cases.zip",
        now=timezone.now(),
        **options,
    )


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    place = tmp_path / "storage"
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(place)}}
    settings.STORAGES = {**settings.STORAGES, "default": files}
    queues = ["default", "imports"]
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": queues}}
    return place


def stored_files(storage: Path) -> list[str]:
    return sorted(str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file())


FILES = {"README.md": b"# Cases\n", "cases/first.yaml": b"id: first\n", "cases/empty": b""}


def test_a_zip_becomes_a_snapshot_and_nothing_else_is_left(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    job = uploaded(alice, FILES)
    running.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error, job.verdict) == (ImportState.SUCCEEDED, None, None)
    snapshot = Snapshot.objects.get()
    assert [(entry.path, entry.size) for entry in snapshots.manifest_of(snapshot).entries] == [
        ("README.md", 8),
        ("cases/empty", 0),
        ("cases/first.yaml", 10),
    ]
    assert stored_files(storage) == [snapshot.tree.archive]
    assert [path for path in (tmp_path / "imports").rglob("*") if path.is_file()] == []
    with default_storage.open(snapshot.tree.archive) as opened, zipfile.ZipFile(opened) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_the_same_content_again_stores_nothing_new(alice: User, bob: User, storage: Path) -> None:
    for owner in (alice, alice, bob):
        job = uploaded(owner, FILES)
        running.run(job.pk)
    assert list(Import.objects.order_by("created_at").values_list("state", "is_unchanged")) == [
        ("succeeded", False),
        ("succeeded", True),
        ("succeeded", False),
    ]
    assert (Snapshot.objects.count(), StoredTree.objects.count()) == (2, 1)
    assert len(stored_files(storage)) == 1


def test_a_refused_archive_says_which_entry_and_why_and_is_not_kept(alice: User, storage: Path) -> None:
    job = uploaded(alice, {"../evil": b"x", "a": b"y"})
    running.run(job.pk)
    job.refresh_from_db()
    problem = problem_of(job)
    assert problem is not None
    assert (job.state, problem.code, problem.reason, problem.entry) == (
        ImportState.FAILED,
        "content_refused",
        "path_traversal",
        "../evil",
    )
    assert stored_files(storage) == []


def test_what_was_canceled_while_it_waited_is_not_begun_and_can_be_begun_anew(
    alice: User, storage: Path
) -> None:
    job = uploaded(alice, FILES)
    canceling.cancel(actor=builders.SYSTEM, job=job, now=timezone.now())
    running.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == (ImportState.CANCELED, 0)
    retrying.retry(actor=builders.SYSTEM, job=job, now=timezone.now())
    running.run(job.pk)
    job.refresh_from_db()
    assert job.state == ImportState.SUCCEEDED
