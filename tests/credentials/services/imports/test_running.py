"""A whole import, carried out where the test is: what is stored, what is said, and that nothing else is left."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from credentials.errors import StorageUnavailable
from credentials.models import AuditEvent, Import, ImportState, Snapshot, StoredTree
from credentials.services import processes
from credentials.services.imports import canceling, running
from credentials.services.libraries import snapshots, trees
from credentials.sources.stored_zip import write_archive
from tests import builders, storages
from tests.credentials.services.imports.asked import FILES, again, by_zip, ran

pytestmark = pytest.mark.django_db(transaction=True)


def left_behind(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "imports").rglob("*") if path.is_file()]


def test_a_zip_becomes_a_snapshot_and_nothing_else_is_left(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    job = ran(by_zip(alice))
    assert (job.state, job.error, job.verdict) == (ImportState.SUCCEEDED, None, None)
    snapshot = Snapshot.objects.get()
    assert [(entry.path, entry.size) for entry in snapshots.manifest_of(snapshot).entries] == [
        ("README.md", 8),
        ("cases/empty", 0),
        ("cases/first.yaml", 10),
    ]
    assert storages.stored(storage) == [snapshot.tree.archive]
    assert left_behind(tmp_path) == []
    with default_storage.open(snapshot.tree.archive) as opened, zipfile.ZipFile(opened) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_the_trail_tells_the_whole_story(alice: User) -> None:
    job = ran(by_zip(alice))
    events = AuditEvent.objects.filter(reference=str(job.pk)).order_by("seq")
    assert [event.action for event in events] == ["import.requested", "import.started", "import.succeeded"]
    last = events.last()
    assert last is not None
    assert (last.owner_name, last.subject_name, last.purpose) == ("alice", "Cases", "import")
    assert (last.data["files"], last.data["bytes"], last.data["snapshot"]) == (3, 18, 1)


def test_the_same_content_again_stores_nothing_new(alice: User, bob: User, storage: Path) -> None:
    jobs = [ran(by_zip(owner)) for owner in (alice, alice, bob)]
    assert [(job.state, job.is_unchanged) for job in jobs] == [
        ("succeeded", False),
        ("succeeded", True),
        ("succeeded", False),
    ]
    assert (Snapshot.objects.count(), StoredTree.objects.count()) == (2, 1)
    assert len(storages.stored(storage)) == 1


def test_a_refused_archive_says_which_entry_and_why_and_is_not_kept(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    job = ran(by_zip(alice, {"../evil": b"x", "a": b"y"}))
    assert job.state == ImportState.FAILED
    assert job.error == {
        "code": "content_refused",
        "retryable": False,
        "reason": "path_traversal",
        "entry": "../evil",
        "limit": None,
    }
    assert storages.stored(storage) == []
    assert left_behind(tmp_path) == []


def test_a_folder_around_everything_is_left_out_unless_it_is_wanted(alice: User) -> None:
    wrapped = {f"cases-main/{name}": data for name, data in FILES.items()}
    plain, unwrapped = ran(by_zip(alice, FILES)), ran(by_zip(alice, wrapped))
    kept = ran(by_zip(alice, wrapped, unwrap=False))
    assert unwrapped.is_unchanged
    assert plain.snapshot == unwrapped.snapshot
    assert kept.snapshot is not None
    assert snapshots.manifest_of(kept.snapshot).entries[0].path == "cases-main/README.md"


def test_limits_end_an_import_with_the_limit_named(alice: User, settings: Any, storage: Path) -> None:
    settings.CREDENTIALS_IMPORT_FILES = 2
    job = ran(by_zip(alice))
    assert job.error is not None
    assert (job.error["reason"], job.error["limit"]) == ("too_many_files", 2)
    assert storages.stored(storage) == []


def test_a_persons_quota_ends_an_import_and_nothing_of_it_is_kept(
    alice: User, settings: Any, storage: Path
) -> None:
    settings.CREDENTIALS_STORED_BYTES_PER_USER = 1 << 20
    settings.CREDENTIALS_IMPORT_FILE_BYTES = 1 << 22
    job = ran(by_zip(alice, {"a": b"1" * ((1 << 20) + 1)}))
    assert job.error is not None
    assert (job.state, job.error["code"], job.error["reason"]) == ("failed", "quota_exceeded", "user")
    assert [name for name in storages.stored(storage) if name.startswith("snapshots")] == []


def test_time_that_is_up_ends_an_import(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_SECONDS = 10
    job, readings = by_zip(alice), itertools.count(step=4)
    running.run(job.pk, monotonic=lambda: float(next(readings)))
    assert again(job).error == {"code": "time_exceeded", "retryable": False, "limit": 10}


def test_one_that_is_asked_to_stop_while_it_reads_stops_and_leaves_nothing(
    alice: User, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_zip(alice)
    write = write_archive

    def asked_meanwhile(*given: Any, **named: Any) -> Any:
        canceling.cancel(actor=builders.SYSTEM, job=job, now=timezone.now())
        return write(*given, **named)

    monkeypatch.setattr(running, "write_archive", asked_meanwhile)
    assert ran(job).state == ImportState.CANCELED
    assert left_behind(tmp_path) == []
    assert [name for name in storages.stored(storage) if name.startswith("snapshots")] == []
    assert not StoredTree.objects.exists()


def test_one_whose_person_left_meanwhile_ends_as_canceled(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_zip(alice)
    put = trees.put

    def leaves_meanwhile(**named: Any) -> Any:
        User.objects.filter(pk=alice.pk).update(is_active=False)
        return put(**named)

    monkeypatch.setattr(trees, "put", leaves_meanwhile)
    assert ran(job).state == ImportState.CANCELED
    assert not Snapshot.objects.exists()


def test_whoever_has_lost_an_import_writes_nothing(
    alice: User, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_zip(alice)
    put = trees.put

    def is_taken_meanwhile(**named: Any) -> Any:
        Import.objects.filter(pk=job.pk).update(holder="another")
        return put(**named)

    monkeypatch.setattr(trees, "put", is_taken_meanwhile)
    assert (ran(job).state, again(job).holder) == (ImportState.RUNNING, "another")
    assert not StoredTree.objects.exists()
    assert [name for name in storages.stored(storage) if name.startswith("snapshots")] == []


def test_a_storage_that_is_out_is_tried_again_and_given_up_after_three_attempts(
    alice: User, monkeypatch: pytest.MonkeyPatch, storage: Path
) -> None:
    def out(**_named: Any) -> Any:
        raise StorageUnavailable

    job = by_zip(alice)
    monkeypatch.setattr(trees, "put", out)
    assert [ran(job).attempts, ran(job).attempts] == [1, 1], "it is left alone for a while"
    states = [(ran(job, later=hours).state, again(job).attempts) for hours in range(1, 4)]
    assert states == [("queued", 2), ("failed", 3), ("failed", 3)]
    assert (again(job).error or {})["code"] == "storage_unavailable"
    assert storages.stored(storage) == [job.upload], "so that it can be begun anew"


def test_an_attempt_removes_what_a_killed_one_has_brought_and_the_folders_of_the_dead(
    alice: User, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_zip(alice)
    vain = default_storage.save("snapshots/aa/vain.zip", ContentFile(b"x"))
    Import.objects.update(archive=vain)
    place, pid, started = processes.identity().split(":")
    left = tmp_path / "imports" / "work" / f"{place}:{pid}:{int(started) + 1}_3"
    left.mkdir(parents=True)
    put = trees.put

    def seen_before(**named: Any) -> Any:
        assert not default_storage.exists(vain)
        assert not left.exists()
        return put(**named)

    monkeypatch.setattr(trees, "put", seen_before)
    done = ran(job)
    assert done.snapshot is not None
    assert storages.stored(storage) == [done.snapshot.tree.archive]
    assert (done.archive, done.upload) == ("", "")


def test_what_is_put_for_an_import_whose_time_is_up_goes_again(
    alice: User, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, put = by_zip(alice), trees.put
    late = [False]

    def slowly(**named: Any) -> Any:
        brought = put(**named)
        late[0] = True
        return brought

    monkeypatch.setattr(trees, "put", slowly)
    running.run(job.pk, monotonic=lambda: 1e9 if late[0] else 0.0)
    assert (again(job).error or {})["code"] == "time_exceeded"
    assert not StoredTree.objects.exists()
    assert storages.stored(storage) == []


def test_an_upload_that_is_gone_is_said(alice: User, storage: Path) -> None:
    job = by_zip(alice)
    (storage / job.upload).unlink()
    done = ran(job)
    assert (done.state, done.error) == ("failed", {"code": "upload_gone", "retryable": False})


def test_a_disk_that_takes_nothing_is_tried_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: Any, **_named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running, "write_archive", full)
    job = ran(by_zip(alice))
    assert (job.state, (job.error or {})["code"]) == ("queued", "storage_unavailable")


def test_what_nobody_has_foreseen_is_told_without_its_words(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_given: Any, **_named: Any) -> Any:
        raise RuntimeError("ghp_secret")

    monkeypatch.setattr(running, "write_archive", broken)
    job = ran(by_zip(alice))
    assert job.error == {"code": "unexpected", "retryable": True}
    assert "RuntimeError" in caplog.text
    assert "ghp_secret" not in caplog.text


def test_content_that_is_dropped_at_the_last_moment_is_stored_once_more(
    alice: User, monkeypatch: pytest.MonkeyPatch, storage: Path
) -> None:
    old = ran(by_zip(alice, library="Old"))
    job = by_zip(alice)
    put, turns = trees.put, iter([True, False])

    def drop_after(**named: Any) -> Any:
        brought = put(**named)
        if next(turns):
            old.library.delete()
            assert trees.drop_unused(now=timezone.now()) == 1
        return brought

    monkeypatch.setattr(trees, "put", drop_after)
    done = ran(job)
    assert done.state == ImportState.SUCCEEDED
    assert done.snapshot is not None
    assert storages.stored(storage) == [done.snapshot.tree.archive]


def test_no_two_attempts_ever_write_the_same_file_however_they_are_counted(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs in a slow storage may wake up while another writes, and removes what it has brought."""
    tokens: list[str] = []

    def out(*, token: str, **_named: Any) -> Any:
        tokens.append(token)
        raise StorageUnavailable

    job = by_zip(alice)
    monkeypatch.setattr(trees, "put", out)
    for _ in range(2):
        Import.objects.filter(pk=job.pk).update(attempts=0, queued_at=job.created_at)
        ran(job)
    assert len(set(tokens)) == 2
