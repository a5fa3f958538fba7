"""Adds snapshots to libraries, keeps as many as are wanted, and reads them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import Max, Sum

from credentials.conf import conf
from credentials.errors import NotFound, QuotaExceeded, StorageUnavailable
from credentials.models import Library, Snapshot, StoredTree
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.libraries import trees
from credentials.services.libraries.libraries import subject_of
from credentials.services.libraries.trees import PutTree
from credentials.sources import snapshot as canonical
from credentials.sources.content import Remarked
from credentials.sources.snapshot import Difference, Manifest

MOST_REMARKS = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a snapshot came from; what does not apply is empty."""

    source: str
    brought_by: str
    repository_url: str = ""
    host: str = ""
    ref: str = ""
    commit: str = ""
    subdirectory: str = ""
    file_name: str = ""
    remarks: Sequence[Remarked] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """The library's newest snapshot; ``is_unchanged`` says that it was there before."""

    snapshot: Snapshot
    is_unchanged: bool


def add(*, actor: Actor, library: Library, put: PutTree, origin: Origin, now: datetime) -> Added:
    """Make ``put`` the library's newest snapshot, inside the caller's transaction, with the library's row locked.

    Where it is already, nothing is added. Snapshots beyond conf.snapshots_kept go, the oldest first. Raises
    QuotaExceeded where its owner's trees together would take more than they may, Conflict where the content has
    just been removed: put it again. Events follow all locks.
    """
    tree = trees.adopt(put, now=now)
    newest = library.snapshots.select_related("tree").order_by("-number").first()
    if newest is not None and newest.tree_id == tree.pk:
        return Added(snapshot=newest, is_unchanged=True)
    refuse_over_quota(library.owner_id, more=tree)
    highest = library.snapshots.aggregate(highest=Max("number"))["highest"] or 0
    made = Snapshot(
        library=library,
        number=highest + 1,
        tree=tree,
        source=origin.source,
        repository_url=origin.repository_url,
        host=origin.host,
        ref=origin.ref,
        commit=origin.commit,
        subdirectory=origin.subdirectory,
        file_name=origin.file_name,
        brought_by=origin.brought_by,
        remarks=[{"path": one.path, "reason": one.remark.value} for one in origin.remarks[:MOST_REMARKS]],
        remarks_total=len(origin.remarks),
        created_at=now,
    )
    made.save(force_insert=True)
    _drop_oldest(library, actor=actor)
    return Added(snapshot=made, is_unchanged=False)


def _drop_oldest(library: Library, *, actor: Actor) -> None:
    if not conf.snapshots_kept:
        return
    numbers = library.snapshots.order_by("-number").values_list("number", flat=True)
    surplus = list(numbers[conf.snapshots_kept :])
    if not surplus:
        return
    library.snapshots.filter(number__in=surplus).delete()
    for number in sorted(surplus):
        audit.record("snapshot.removed", actor=actor, subject=subject_of(library), data={"snapshot": number})


def stored_bytes_of(owner_id: Any) -> int:
    """How many bytes the trees of a person's libraries take, each counted once."""
    mine = StoredTree.objects.filter(snapshots__library__owner=owner_id).order_by().distinct()
    return mine.values("pk", "archive_bytes").aggregate(all=Sum("archive_bytes"))["all"] or 0


def refuse_over_quota(owner_id: Any, *, more: StoredTree | None = None) -> None:
    """Raises QuotaExceeded where a person's trees, with ``more``, take more than conf.stored_bytes_per_user."""
    size = more.archive_bytes if more is not None and not _has(owner_id, more) else 0
    if stored_bytes_of(owner_id) + size > conf.stored_bytes_per_user:
        raise QuotaExceeded(
            "this person's snapshots are at their limit", whose="user", limit=conf.stored_bytes_per_user
        )


def _has(owner_id: Any, tree: StoredTree) -> bool:
    return tree.snapshots.filter(library__owner=owner_id).exists()


def manifest_of(snapshot: Snapshot) -> Manifest:
    """The files of a snapshot; raises StorageUnavailable where the database has not got them whole."""
    return trees.manifest_of(StoredTree.objects.get(pk=snapshot.tree_id))


def difference_of(before: Snapshot, after: Snapshot) -> Difference:
    """What became of one snapshot's files in another."""
    return canonical.difference(manifest_of(before), manifest_of(after))


def numbered(library: Library, number: int) -> Snapshot:
    """One snapshot of a library; raises NotFound."""
    found = library.snapshots.select_related("tree").defer("tree__manifest").filter(number=number).first()
    if found is None:
        raise NotFound("There is no such snapshot.")
    return found


def open_archive(*, actor: Actor, snapshot: Snapshot) -> File[bytes]:
    """The snapshot's ZIP, open for reading, after an event that says who reads it.

    Raises StorageUnavailable where the storage does not give it, or gives one of another size.
    """
    tree = snapshot.tree
    opened = _opened(tree)
    try:
        _record_download(actor, snapshot)
    except BaseException:
        opened.close()
        raise
    return opened


def _opened(tree: StoredTree) -> File[bytes]:
    try:
        size = default_storage.size(tree.archive)
        opened = default_storage.open(tree.archive)
    except Exception as error:
        logger.error("the storage does not give an archive: %s", type(error).__name__)
        raise StorageUnavailable("The storage does not give this archive at present.") from None
    if size != tree.archive_bytes:
        opened.close()
        logger.error("the archive %s has not the size it was stored with", tree.archive)
        raise StorageUnavailable("The archive in the storage is damaged. Restore it from a backup.")
    return opened


def _record_download(actor: Actor, snapshot: Snapshot) -> None:
    audit.record(
        "snapshot.downloaded",
        actor=actor,
        subject=subject_of(snapshot.library),
        reference=str(snapshot.pk),
        data={"snapshot": snapshot.number, "digest": snapshot.tree.digest},
    )


def get(owner: Any, snapshot_id: UUID) -> Snapshot:
    """A snapshot of one of ``owner``'s libraries; raises NotFound."""
    rows = Snapshot.objects.select_related("library__owner", "tree").defer("tree__manifest")
    found = rows.filter(pk=snapshot_id, library__owner=owner).first()
    if found is None:
        raise NotFound("There is no such snapshot.")
    return found
