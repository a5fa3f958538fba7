"""Storages and content for tests of imports: a folder that can be looked into, and trees made of nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from credentials.models import Library, Snapshot
from credentials.services.libraries import libraries, snapshots, trees
from credentials.services.libraries.snapshots import Origin
from credentials.services.libraries.trees import PutTree
from credentials.sources.snapshot import Entry, Manifest
from tests import builders

FILES = "django.core.files.storage.FileSystemStorage"


def use_folder(settings: Any, place: Path) -> Path:
    """Keep what is stored in ``place``, and what is queued in the database."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": FILES, "OPTIONS": {"location": str(place), "file_permissions_mode": 0o600}},
    }
    queues = ["default", "imports"]
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": queues}}
    return place


def stored(place: Path) -> list[str]:
    """The names of all files in the storage."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def manifest(files: Mapping[str, str]) -> Manifest:
    """A manifest of files with this content."""
    return Manifest.of(
        Entry(path=path, size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())
        for path, text in files.items()
    )


def put(tmp_path: Path, files: Mapping[str, str], *, size: int = 100, token: str = "") -> PutTree:
    """Content of ``size`` bytes brought into the storage."""
    archive = tmp_path / f"{uuid4()}.zip"
    archive.write_bytes(b"z" * size)
    return trees.put(
        manifest=manifest(files), archive=archive, token=token or uuid4().hex, intend=lambda _name: None
    )


def library(owner: User, name: str = "Cases") -> Library:
    """A person's library, made if need be."""
    return libraries.named(actor=builders.SYSTEM, owner=owner, library=name, now=timezone.now())


def add(to: Library, brought: PutTree, *, now: datetime | None = None, **origin: Any) -> snapshots.Added:
    """A snapshot, as an import makes it."""
    facts = {"source": "zip", "brought_by": "alice", "file_name": "cases.zip", **origin}
    with transaction.atomic():
        locked = Library.objects.select_related("owner").select_for_update(of=("self",)).get(pk=to.pk)
        return snapshots.add(
            actor=builders.SYSTEM,
            library=locked,
            put=brought,
            origin=Origin(**facts),
            now=now or timezone.now(),
        )


def snapshot(to: Library, tmp_path: Path, files: Mapping[str, str], **origin: Any) -> Snapshot:
    """A snapshot with these files; its archive is of no use."""
    return add(to, put(tmp_path, files), **origin).snapshot
