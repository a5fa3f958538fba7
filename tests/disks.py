"""A small disk of a test's own, to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="forgekey-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def small_disk(*, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory. Without the right to mount one, the test is left out."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    with folder() as place:
        words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("a small disk cannot be mounted here")
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)


def remount(place: Path, option: str) -> None:
    """Make a small disk ``ro``, or ``rw`` again."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)


def fill(path: Path) -> None:
    """Leave no room on the disk that ``path`` is to lie on."""
    with path.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    assert os.statvfs(path.parent).f_bavail == 0
