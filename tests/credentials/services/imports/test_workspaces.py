"""Folders in which imports work: nobody else's to read, and gone with their process."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from credentials.services import processes
from credentials.services.imports import workspaces

NOW = timezone.now()


def test_a_workspace_is_of_its_attempt_alone_and_goes_with_it(tmp_path: Path) -> None:
    token = f"{processes.identity()}/7"
    with workspaces.workspace(token) as folder:
        assert folder.is_relative_to(tmp_path)
        assert [place.stat().st_mode & 0o777 for place in (folder, folder.parent)] == [0o700, 0o700]
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_bytes(b"x")
        assert workspaces.sweep(now=NOW) == 0, "its process lives"
    assert list(folder.parent.iterdir()) == []


def test_a_workspace_goes_whatever_happens_in_it() -> None:
    with pytest.raises(KeyboardInterrupt), workspaces.workspace(f"{processes.identity()}/8") as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_what_killed_processes_of_this_machine_left_is_swept_and_nobody_elses() -> None:
    place, pid, started = processes.identity().split(":")
    with workspaces.workspace(f"{processes.identity()}/9") as mine:
        dead = mine.parent / f"{place}:{pid}:{int(started) + 1}_3"
        elsewhere = mine.parent / "another-place:1:2_3"
        for folder in (dead, elsewhere):
            folder.mkdir()
            (folder / "file").write_bytes(b"x")
        assert workspaces.sweep(now=NOW) == 1
        assert [folder.exists() for folder in (dead, elsewhere, mine)] == [False, True, True]


def test_an_upload_that_never_arrived_in_the_storage_is_swept_after_a_day() -> None:
    folder = workspaces.incoming()
    folder.mkdir(parents=True)
    old, new = folder / "old.zip", folder / "new.zip"
    for file in (old, new):
        file.write_bytes(b"x")
    day_ago = (NOW - timedelta(days=1, seconds=1)).timestamp()
    os.utime(old, (day_ago, day_ago))
    assert workspaces.sweep(now=NOW) == 1
    assert (old.exists(), new.exists()) == (False, True)
