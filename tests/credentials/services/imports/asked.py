"""Imports as people ask for them."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils import timezone

from credentials.models import Import
from credentials.services.imports import requests, running
from tests import builders
from tests.sandbox import RunningSandbox

FILES: Mapping[str, bytes] = {
    "README.md": b"# Cases\n",
    "cases/first.yaml": b"id: first\n",
    "cases/empty": b"",
}


def packed(files: Mapping[str, bytes]) -> ContentFile[bytes]:
    """A ZIP as people make it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return ContentFile(made.getvalue())


def by_zip(
    owner: User, files: Mapping[str, bytes] | ContentFile[bytes] = FILES, library: str = "Cases", **more: Any
) -> Import:
    """A ZIP was uploaded."""
    upload = files if isinstance(files, ContentFile) else packed(files)
    given = {"actor": builders.SYSTEM, "file_name": "cases.zip", "now": timezone.now(), **more}
    return requests.request_zip(owner=owner, library=library, upload=upload, **given)


def by_git(owner: User, repository_url: str, library: str = "Cases", **more: Any) -> Import:
    """An address was named."""
    given = {"actor": builders.SYSTEM, "now": timezone.now(), **more}
    return requests.request_git(owner=owner, library=library, repository_url=repository_url, **given)


def ran(job: Import, *, later: int = 0) -> Import:
    """The import, after a worker has looked at it, so many hours later."""
    running.run(job.pk, now=lambda: timezone.now() + timedelta(hours=later))
    return again(job)


def again(job: Import) -> Import:
    """The import as its row is now."""
    return Import.objects.select_related("library__owner", "snapshot__tree").get(pk=job.pk)


def repository_of(sandbox: RunningSandbox, host: str, name: str) -> Path:
    """Where the sandbox keeps a repository that it serves."""
    return next(path for path in sandbox.data_dir.rglob(f"{name}.git") if path.is_dir())


def git_archive(repository: Path, commit: str = "main", *, prefix: str = "") -> ContentFile[bytes]:
    """What people download as a ZIP."""
    words = ["git", "archive", "--format=zip", *([f"--prefix={prefix}"] if prefix else []), commit]
    return ContentFile(subprocess.run(words, cwd=repository, check=True, capture_output=True).stdout)
