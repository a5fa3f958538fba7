"""Libraries with snapshots and imports for the tests of the API, as the services keep them."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from credentials.models import Import, ImportState, Library, Snapshot, Source, StoredTree
from credentials.sources.snapshot import Entry, Manifest
from credentials.verdicts.refusals import Remark

REPOSITORY = "http://127.0.0.1:9/acme/cases"
FILES = {"README.md": b"# Cases\n", "a/first.feature": b"Feature: one\n", "b/run.sh": b"#!/bin/sh\n"}
BOUNDARY = "------------------------d74496d66958873e"


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of these files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content)  # a date that stands still
    return target.getvalue()


def library(owner: User, name: str = "cases") -> Library:
    return Library.objects.create(owner=owner, name=name, created_at=timezone.now())


def tree(files: Mapping[str, bytes] = FILES) -> StoredTree:
    """The stored tree of these files, one for all who have them."""
    manifest = Manifest.of(
        Entry(
            path=path,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            executable=path.endswith(".sh"),
        )
        for path, content in files.items()
    )
    known = StoredTree.objects.filter(digest=manifest.digest).first()
    if known is not None:
        return known
    archive = zip_of(files)
    return StoredTree.objects.create(
        digest=manifest.digest,
        manifest=zlib.compress(manifest.text),
        files=manifest.files,
        bytes=manifest.total_bytes,
        archive=default_storage.save(f"trees/{uuid4()}.zip", ContentFile(archive)),
        archive_bytes=len(archive),
        created_at=timezone.now(),
    )


def snapshot(of: Library, files: Mapping[str, bytes] = FILES, **fields: Any) -> Snapshot:
    """The next snapshot of a library, from Git where nothing else is said."""
    values: dict[str, Any] = {
        "source": Source.GIT,
        "repository_url": REPOSITORY,
        "host": "github",
        "ref": "refs/heads/main",
        "commit": "a" * 40,
        "brought_by": of.owner.get_username(),
        "remarks": [{"path": "link", "reason": Remark.SYMLINK.value}],
        "remarks_total": 1,
        **fields,
    }
    number = Snapshot.objects.filter(library=of).count() + 1
    return Snapshot.objects.create(
        library=of, number=number, tree=tree(files), created_at=timezone.now(), **values
    )


def by_zip(of: Library, files: Mapping[str, bytes] = FILES) -> Snapshot:
    """As above, by ZIP."""
    return snapshot(
        of, files, source=Source.ZIP, repository_url="", host="", ref="", commit="", file_name="cases.zip"
    )


def job(of: Library, *, state: str = ImportState.QUEUED, **fields: Any) -> Import:
    """An import of a library by Git; one that has failed says why."""
    moment = timezone.now()
    values: dict[str, Any] = {
        "source": Source.GIT,
        "repository_url": REPOSITORY,
        "host": "github",
        "actor_kind": "user",
        "actor_id": str(of.owner_id),
        "actor_name": of.owner.get_username(),
        "created_at": moment,
        "queued_at": moment,
        **fields,
    }
    return Import.objects.create(library=of, state=state, **values)


def form(fields: Mapping[str, str], content: bytes | None, *, file_name: str = "cases.zip") -> bytes:
    """A form as curl writes it, with the file last; send it as :data:`FORM`."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if content is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{file_name}"'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"
