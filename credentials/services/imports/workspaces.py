"""Folders in which imports work: one for each attempt, gone when it ends, however it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from credentials.conf import conf
from credentials.services import processes

INCOMING_SECONDS = 86_400


def _root() -> Path:
    return conf.data_dir / "imports" / "work"


@contextmanager
def workspace(token: str) -> Iterator[Path]:
    """An empty folder of this attempt's own, for nobody else to read; ``token`` is the claim's."""
    root = _root()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / _name(token)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _name(token: str) -> str:
    return token.replace("/", "_")


def sweep(*, now: datetime) -> int:
    """Remove what killed processes of this machine left behind; how many folders and files."""
    left = [*_dead_workspaces(), *_old_incoming(now=now)]
    for place in left:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    return len(left)


def _dead_workspaces() -> Iterator[Path]:
    """The folder's name says whose it was."""
    for folder in _listed(_root()):
        if processes.ended_here(folder.name.rpartition("_")[0]):
            yield folder


def _old_incoming(*, now: datetime) -> Iterator[Path]:
    """What was on its way into the storage; nothing takes so long."""
    for file in _listed(incoming()):
        with suppress(FileNotFoundError):
            if now.timestamp() - file.stat().st_mtime > INCOMING_SECONDS:
                yield file


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def incoming() -> Path:
    """Where uploads pass through on their way into the storage."""
    return conf.data_dir / "imports" / "incoming"
