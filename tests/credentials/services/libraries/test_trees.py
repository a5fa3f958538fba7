"""Content is kept once, and comes and goes without leaving anything half-done."""

from __future__ import annotations

import os
import shutil
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from credentials.errors import Conflict, QuotaExceeded, StorageUnavailable
from credentials.models import Import, StoredTree
from credentials.services.libraries import snapshots, trees
from tests import builders, storages

pytestmark = pytest.mark.django_db(transaction=True)
FILES = {"a.md": "first"}


def test_what_is_there_is_not_brought_again(alice: User, storage: Path, tmp_path: Path) -> None:
    first = storages.put(tmp_path, FILES)
    storages.add(storages.library(alice), first)
    second = storages.put(tmp_path, FILES)
    assert (first.is_new, second.is_new, second.archive) == (True, False, first.archive)
    assert storages.stored(storage) == [first.archive]


def test_the_name_is_told_before_a_byte_is_written(storage: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"z")
    seen: list[tuple[str, list[str]]] = []
    brought = trees.put(
        manifest=storages.manifest(FILES),
        archive=archive,
        token="1",
        intend=lambda name: seen.append((name, storages.stored(storage))),
    )
    assert seen == [(brought.archive, [])]
    assert not archive.exists()


def test_nobody_else_on_the_machine_reads_an_archive(storage: Path, tmp_path: Path) -> None:
    brought = storages.put(tmp_path, FILES)
    assert stat.S_IMODE(os.stat(storage / brought.archive).st_mode) == 0o600


def test_a_storage_that_takes_nothing_leaves_nothing(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.mkdir()
    (storage / "snapshots").write_text("a file where a folder should be")
    with pytest.raises(StorageUnavailable):
        storages.put(tmp_path, FILES)
    assert storages.stored(storage) == ["snapshots"]


def test_all_archives_together_have_a_limit(alice: User, tmp_path: Path, settings: Any) -> None:
    settings.CREDENTIALS_STORED_BYTES = 1 << 20
    storages.add(storages.library(alice), storages.put(tmp_path, FILES, size=1 << 19))
    with pytest.raises(QuotaExceeded) as refused:
        storages.put(tmp_path, {"b": "other"}, size=(1 << 19) + 1)
    assert (refused.value.whose, refused.value.limit) == ("everybody", 1 << 20)


def test_room_that_others_took_meanwhile_is_missed_before_the_row_is_made(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.CREDENTIALS_STORED_BYTES = 1 << 20
    one, other = (storages.put(tmp_path, {name: name}, size=600_000) for name in ("a", "b"))
    storages.add(storages.library(alice), one)
    with pytest.raises(QuotaExceeded):
        storages.add(storages.library(alice), other)
    assert StoredTree.objects.get().archive == one.archive


def test_a_disk_that_is_nearly_full_takes_nothing(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(trees, "LEAST_FREE", free + (1 << 30))
    with pytest.raises(StorageUnavailable, match="full"):
        storages.put(tmp_path, FILES)
    assert storages.stored(storage) == []


def test_an_archive_that_the_storage_lost_is_mended_by_importing_again(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    library = storages.library(alice)
    made = storages.snapshot(library, tmp_path, FILES)
    (storage / made.tree.archive).unlink()
    brought = storages.put(tmp_path, FILES)
    assert storages.add(library, brought).is_unchanged
    assert storages.stored(storage) == [brought.archive] == [StoredTree.objects.get().archive]
    with snapshots.open_archive(actor=builders.SYSTEM, snapshot=snapshots.get(alice, made.pk)) as opened:
        assert opened.read() == b"z" * 100


def test_a_killed_copy_to_another_disk_leaves_no_row_and_its_name_is_known(
    storage: Path, tmp_path: Path
) -> None:
    """The file grows under the name of its attempt; nobody reads it before its row says that it is whole."""
    told: list[str] = []

    def killed(name: str) -> None:
        told.append(name)
        place = storage / name
        place.parent.mkdir(parents=True)
        place.write_bytes(b"the first half")
        raise KeyboardInterrupt

    archive = tmp_path / "a.zip"
    archive.write_bytes(b"z")
    with pytest.raises(KeyboardInterrupt):
        trees.put(manifest=storages.manifest(FILES), archive=archive, token="1", intend=killed)
    assert not StoredTree.objects.exists()
    trees.discard(told[0])
    assert storages.stored(storage) == []


def test_content_that_was_dropped_meanwhile_is_asked_for_again(alice: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, FILES)
    known = storages.put(tmp_path, FILES)
    made.delete()
    assert trees.drop_unused(now=timezone.now()) == 1
    with pytest.raises(Conflict), transaction.atomic():
        trees.adopt(known, now=timezone.now())


def test_of_two_who_bring_the_same_the_second_takes_the_firsts(
    alice: User, bob: User, tmp_path: Path
) -> None:
    one, other = (storages.put(tmp_path, FILES) for _ in range(2))
    assert one.is_new
    assert other.is_new
    for owner, brought in ((alice, one), (bob, other)):
        storages.add(storages.library(owner), brought)
    assert StoredTree.objects.get().archive == one.archive
    trees.discard(one.archive)
    trees.discard(other.archive)
    assert default_storage.exists(one.archive)
    assert not default_storage.exists(other.archive)


def test_what_no_snapshot_needs_goes_with_its_file(alice: User, storage: Path, tmp_path: Path) -> None:
    kept = storages.snapshot(storages.library(alice), tmp_path, FILES)
    gone = storages.snapshot(storages.library(alice, "Other"), tmp_path, {"b": "other"})
    gone.library.delete()
    assert trees.drop_unused(now=timezone.now()) == 1
    assert storages.stored(storage) == [kept.tree.archive]
    assert trees.drop_unused(now=timezone.now()) == 0


def test_a_person_who_is_deleted_leaves_no_file(alice: User, storage: Path, tmp_path: Path) -> None:
    storages.snapshot(storages.library(alice), tmp_path, FILES)
    alice.delete()
    trees.drop_unused(now=timezone.now())
    assert storages.stored(storage) == []


def test_a_file_that_a_killed_process_left_is_found_after_a_day(storage: Path, tmp_path: Path) -> None:
    storages.put(tmp_path, FILES)
    assert trees.sweep(now=timezone.now()) == 0
    later = timezone.now() + trees.LEFT_BEHIND + timedelta(minutes=1)
    assert trees.sweep(now=later) == 1
    assert storages.stored(storage) == []


def test_what_a_tree_or_a_running_import_names_is_never_taken_for_left_behind(
    alice: User, storage: Path, tmp_path: Path
) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, FILES)
    brought, later = storages.put(tmp_path, {"b": "other"}), timezone.now() + timedelta(days=9)
    job = Import.objects.create(
        library=made.library, source="zip", state="running", archive=brought.archive,
        created_at=later, queued_at=later, actor_kind="user",
    )  # fmt: skip
    assert trees.sweep(now=later) == 0
    job.delete()
    assert trees.sweep(now=later) == 1
    assert storages.stored(storage) == [made.tree.archive]


def test_a_manifest_that_was_altered_is_not_believed(alice: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, FILES)
    other = storages.snapshot(storages.library(alice), tmp_path, {"b": "other"})
    StoredTree.objects.filter(pk=made.tree_id).update(manifest=other.tree.manifest)
    with pytest.raises(StorageUnavailable):
        trees.manifest_of(StoredTree.objects.get(pk=made.tree_id))
    StoredTree.objects.filter(pk=made.tree_id).update(manifest=b"no zlib")
    with pytest.raises(StorageUnavailable):
        trees.manifest_of(StoredTree.objects.get(pk=made.tree_id))


def test_the_duty_does_not_take_what_an_import_is_about_to_name(
    alice: User, tmp_path: Path, storage: Path
) -> None:
    """On both sides the tree's row is locked first, so one of the two sees what the other did."""
    made = storages.snapshot(storages.library(alice), tmp_path, FILES)
    library, brought = made.library, storages.put(tmp_path, FILES)
    made.delete()
    storages.add(library, brought)
    assert trees.drop_unused(now=timezone.now()) == 0
    assert storages.stored(storage) == [brought.archive]
