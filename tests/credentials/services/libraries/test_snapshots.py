"""Libraries hold snapshots: numbered, never changed, as many as are wanted, as much as is allowed."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from credentials.errors import NotFound, QuotaExceeded, StorageUnavailable
from credentials.models import AuditEvent, Snapshot
from credentials.services.libraries import snapshots
from credentials.sources.content import Remarked
from credentials.verdicts.refusals import Remark
from tests import builders, storages

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_snapshot_says_where_it_came_from(alice: User, tmp_path: Path) -> None:
    remarks = (Remarked(path="link", remark=Remark.SYMLINK),)
    made = storages.snapshot(
        storages.library(alice),
        tmp_path,
        {"a": "1"},
        source="git",
        repository_url="https://git.example.org/acme/cases",
        ref="refs/heads/main",
        commit="a" * 40,
        subdirectory="docs",
        remarks=remarks,
    )
    kept = Snapshot.objects.get()
    assert kept == made
    assert (kept.number, kept.ref, kept.commit, kept.subdirectory) == (1, "refs/heads/main", "a" * 40, "docs")
    assert (kept.remarks, kept.remarks_total) == ([{"path": "link", "reason": "symlink"}], 1)


def test_the_newest_content_once_more_makes_no_snapshot_and_older_content_does(
    alice: User, tmp_path: Path
) -> None:
    library = storages.library(alice)
    first, second = {"a": "1"}, {"a": "2"}
    added = [storages.add(library, storages.put(tmp_path, files)) for files in (first, second, second, first)]
    assert [(one.snapshot.number, one.is_unchanged) for one in added] == [
        (1, False),
        (2, False),
        (2, True),
        (3, False),
    ]


def test_only_so_many_snapshots_are_kept_and_the_numbers_go_on(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.CREDENTIALS_SNAPSHOTS_KEPT = 2
    library = storages.library(alice)
    for number in range(4):
        storages.snapshot(library, tmp_path, {"a": str(number)})
    assert list(library.snapshots.order_by("number").values_list("number", flat=True)) == [3, 4]
    removed = AuditEvent.objects.filter(action="snapshot.removed").order_by("seq")
    assert [event.data["snapshot"] for event in removed] == [1, 2]


def test_a_persons_trees_have_a_limit_and_each_counts_once(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.CREDENTIALS_STORED_BYTES_PER_USER = 1 << 20
    big = storages.put(tmp_path, {"a": "1"}, size=1 << 19)
    storages.add(storages.library(alice), big)
    storages.add(storages.library(alice, "Again"), storages.put(tmp_path, {"a": "1"}))
    assert snapshots.stored_bytes_of(alice.pk) == 1 << 19
    with pytest.raises(QuotaExceeded) as refused:
        storages.add(storages.library(alice), storages.put(tmp_path, {"a": "2"}, size=(1 << 19) + 1))
    assert (refused.value.whose, Snapshot.objects.count()) == ("user", 2)


def test_an_archive_is_opened_after_an_event_that_says_so(alice: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {"a": "1"})
    with snapshots.open_archive(actor=builders.SYSTEM, snapshot=made) as opened:
        assert opened.read() == b"z" * 100
    event = AuditEvent.objects.get(action="snapshot.downloaded")
    assert (event.owner_name, event.data["digest"]) == ("alice", made.tree.digest)


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_an_archive_that_is_not_whole_is_not_given(
    damage: str, alice: User, tmp_path: Path, storage: Path
) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {"a": "1"})
    place = storage / made.tree.archive
    place.unlink() if damage == "gone" else place.write_bytes(b"z")
    with pytest.raises(StorageUnavailable):
        snapshots.open_archive(actor=builders.SYSTEM, snapshot=made)
    assert not AuditEvent.objects.filter(action="snapshot.downloaded").exists()


def test_another_persons_snapshot_is_not_found(alice: User, bob: User, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {"a": "1"})
    assert snapshots.get(alice, made.pk) == made
    for owner, identity in ((bob, made.pk), (alice, uuid4())):
        with pytest.raises(NotFound):
            snapshots.get(owner, identity)
    with pytest.raises(NotFound):
        snapshots.numbered(made.library, 7)


def test_a_difference_is_made_of_the_stored_manifests(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    one = storages.snapshot(library, tmp_path, {"a": "1", "b": "2"})
    other = storages.snapshot(library, tmp_path, {"a": "1", "c": "3"})
    found = snapshots.difference_of(one, other)
    assert ([file.path for file in found.added], [file.path for file in found.removed]) == (["c"], ["b"])
    assert zlib.decompress(one.tree.manifest).startswith(b"forgekey-tree-v1\n")
