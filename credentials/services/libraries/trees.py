"""Keeps content once: by its digest, as a ZIP in the storage and a manifest in the database.

The order in which things happen leaves nothing half-stored. A file has a name of its own attempt, which is
written down before the file is; the row that makes it a tree comes after the file is whole and on the disk. Going
away, the row goes first, so that nobody is led to a file that is no more; a file that a killed process left is
found by :func:`sweep`.

Limits are looked at before a file is written, and again by the transaction that makes its row. Of everybody's
together, attempts that end at the same moment may each find room; the next one does not.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Sum

from credentials.conf import conf
from credentials.errors import Conflict, QuotaExceeded, StorageUnavailable
from credentials.models import Import, ImportState, StoredTree
from credentials.sources.snapshot import Manifest

FOLDER: Final = "snapshots"
# What is left of the disk when archives have taken their part; the database may live on it, too.
LEAST_FREE: Final = 256 * 1024 * 1024
# How old a file must be before it counts as left behind: older than any attempt.
LEFT_BEHIND: Final = timedelta(days=1)
_FEW: Final = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PutTree:
    """Content that is in the storage. ``is_new`` says that it was brought just now, under the name ``archive``."""

    digest: str
    manifest: Manifest
    archive: str
    archive_bytes: int
    is_new: bool


class _Movable(File):  # type: ignore[type-arg]  # Django's stubs make it generic, Django does not
    """A file that a storage on the same disk takes over without copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def put(*, manifest: Manifest, archive: Path, token: str, intend: Callable[[str], None]) -> PutTree:
    """Bring the ZIP at ``archive`` into the storage, unless this content is there; the file is used up.

    Content whose archive the storage has lost is brought again, and mended by :func:`adopt`.

    ``intend`` is told the name before a byte is written, and must make it durable. ``token`` makes the name this
    attempt's own. Raises QuotaExceeded where all archives together take more than they may, StorageUnavailable.
    """
    digest = manifest.digest
    known = StoredTree.objects.filter(digest=digest).only("archive", "archive_bytes").first()
    if known is not None and _is_there(known):
        return PutTree(
            digest=digest,
            manifest=manifest,
            archive=known.archive,
            archive_bytes=known.archive_bytes,
            is_new=False,
        )
    size = archive.stat().st_size
    refuse_without_room(size)
    name = f"{FOLDER}/{digest[:2]}/{digest}-{token}.zip"
    intend(name)
    save(name, archive)
    return PutTree(digest=digest, manifest=manifest, archive=name, archive_bytes=size, is_new=True)


def _is_there(tree: StoredTree) -> bool:
    try:
        return default_storage.exists(tree.archive)
    except Exception as error:
        logger.error("the storage does not answer: %s", type(error).__name__)
        raise StorageUnavailable("the storage does not answer at present") from None


def refuse_without_room(size: int) -> None:
    """Raises QuotaExceeded where ``size`` bytes more are more than may be stored, StorageUnavailable where the
    disk has not got them."""
    _refuse_over_quota(size)
    folder = _local("")
    if folder is not None:
        while not folder.exists():
            folder = folder.parent
        if shutil.disk_usage(folder).free < size + LEAST_FREE:
            raise StorageUnavailable("the disk of the storage is nearly full")


def _refuse_over_quota(size: int) -> None:
    stored = StoredTree.objects.aggregate(all=Sum("archive_bytes"))["all"] or 0
    if stored + size > conf.stored_bytes:
        raise QuotaExceeded(
            "all archives together are at their limit", whose="everybody", limit=conf.stored_bytes
        )


def save(name: str, file: Path) -> None:
    """Put a local file into the storage under ``name``, whole and durable, or not at all; it is used up.

    Raises StorageUnavailable.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            saved = default_storage.save(name, _Movable(opened, name=str(file)))
        if saved != name:
            default_storage.delete(saved)
            raise StorageUnavailable("a file of this name is there already")
        _make_durable(name)
        if default_storage.size(name) != size:
            raise OSError("the storage has not got the whole file")
    except StorageUnavailable:
        raise
    except Exception as error:
        # Each storage has errors of its own; their words may name buckets and addresses.
        logger.error("the storage took no file: %s", type(error).__name__)
        discard(name)
        raise StorageUnavailable("the storage takes no file at present") from None
    finally:
        file.unlink(missing_ok=True)


def _local(name: str) -> Path | None:
    """Where a file lies on this machine; None for a storage elsewhere."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def _make_durable(name: str) -> None:
    """A row that is committed must not outlive its file in a power cut, nor the folders above it."""
    path, root = _local(name), _local("")
    if path is None or root is None:
        return
    for place in (path, *(folder for folder in path.parents if folder.is_relative_to(root))):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def adopt(put_tree: PutTree, *, now: datetime) -> StoredTree:
    """The row of what was put, made if need be, inside the caller's transaction and locked.

    Raises Conflict where the tree that was there has been dropped meanwhile: put it again. Raises QuotaExceeded
    where others have taken the last room meanwhile.
    """
    tree = _locked(put_tree.digest)
    if tree is None and not put_tree.is_new:
        raise Conflict("The content was removed at this moment. Ask again.")
    tree = tree or _make(put_tree, now=now)
    if put_tree.is_new and tree.archive != put_tree.archive and not _is_there(tree):
        tree.archive, tree.archive_bytes = put_tree.archive, put_tree.archive_bytes
        tree.save(update_fields=["archive", "archive_bytes"])
    return tree


def _make(put_tree: PutTree, *, now: datetime) -> StoredTree:
    _refuse_over_quota(put_tree.archive_bytes)
    tree = StoredTree(
        digest=put_tree.digest,
        manifest=zlib.compress(put_tree.manifest.text),
        files=put_tree.manifest.files,
        bytes=put_tree.manifest.total_bytes,
        archive=put_tree.archive,
        archive_bytes=put_tree.archive_bytes,
        created_at=now,
    )
    try:
        with transaction.atomic():
            tree.save(force_insert=True)
    except IntegrityError:
        other = _locked(put_tree.digest)
        if other is None:
            raise Conflict("The content was removed at this moment. Ask again.") from None
        return other
    return tree


def _locked(digest: str) -> StoredTree | None:
    return StoredTree.objects.select_for_update().defer("manifest").filter(digest=digest).first()


def manifest_of(tree: StoredTree) -> Manifest:
    """What the tree holds; raises StorageUnavailable where the row is not what was written."""
    try:
        manifest = Manifest.parse(zlib.decompress(bytes(tree.manifest)))
    except (ValueError, zlib.error):
        manifest = None
    if manifest is None or manifest.digest != tree.digest:
        logger.error("the manifest of the stored tree %s is damaged", tree.pk)
        raise StorageUnavailable("The list of files in the database is damaged. Restore it from a backup.")
    return manifest


def discard(name: str) -> None:
    """Remove a file that became nobody's. One that a tree names stays."""
    if not name or StoredTree.objects.filter(archive=name).exists():
        return
    try:
        default_storage.delete(name)
    except Exception as error:
        # The sweep finds it later.
        logger.warning("a file was not removed from the storage: %s", type(error).__name__)


def drop_unused(*, now: datetime) -> int:
    """Drop trees that no snapshot consists of any more, and files that a killed process left; how many."""
    unused = StoredTree.objects.filter(snapshots=None).values_list("pk", flat=True)
    return sum(_drop(pk) for pk in list(unused)) + sweep(now=now)


def _drop(pk: UUID) -> int:
    with transaction.atomic():
        tree = StoredTree.objects.select_for_update().defer("manifest").filter(pk=pk).first()
        # Asked again under its lock: an import may refer to it by now.
        if tree is None or tree.snapshots.exists():
            return 0
        name = tree.archive
        tree.delete()
    discard(name)
    return 1


def sweep(*, now: datetime) -> int:
    """Remove archives that no row names and that are older than a day; how many.

    Only of those is the storage asked how old they are: there are few, while all are many.
    """
    left = [name for name in _nameless() if _is_old(name, now=now)]
    for name in left:
        discard(name)
    return len(left)


def missing() -> tuple[int, list[str]]:
    """How many archives there should be, and the names of those that the storage has not got."""
    named = list(StoredTree.objects.order_by("archive").values_list("archive", flat=True))
    there = {name for folder in _listed(FOLDER)[0] for name in _files_in(f"{FOLDER}/{folder}/")}
    away = [name for name in named if name not in there]
    # A few may have been stored or dropped while the storage was listed.
    return len(named), away if len(away) > _FEW else [name for name in away if _is_lost(name)]


def _is_lost(name: str) -> bool:
    return StoredTree.objects.filter(archive=name).exists() and not default_storage.exists(name)


def _files_in(place: str) -> Iterator[str]:
    return (f"{place}{name}" for name in _listed(place)[1])


def _nameless() -> Iterator[str]:
    running = Import.objects.filter(state=ImportState.RUNNING)
    for folder in _listed(FOLDER)[0]:
        place = f"{FOLDER}/{folder}/"
        named = set(StoredTree.objects.filter(archive__startswith=place).values_list("archive", flat=True))
        named |= set(running.filter(archive__startswith=place).values_list("archive", flat=True))
        yield from (name for name in _files_in(place) if name not in named)


def _listed(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _is_old(name: str, *, now: datetime) -> bool:
    try:
        return now - default_storage.get_modified_time(name) > LEFT_BEHIND
    except FileNotFoundError:
        return False
