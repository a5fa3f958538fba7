"""A repository of ours: how it is made, and what its work may use."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from credentials.errors import StorageUnavailable, TimeExceeded
from credentials.sources.git import repository as repository_module
from credentials.sources.git.repository import Repository
from tests.credentials.sources.git.hosts import LIMITS, NO_PROGRESS, Workshop


def made(path: Path, *, seconds: float = 10) -> Repository:
    return Repository(path, limits=LIMITS, seconds=seconds, progress=NO_PROGRESS)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_it_is_bare_and_holds_nothing_that_could_be_run(tmp_path: Path, object_format: str) -> None:
    path = tmp_path / "a b" / "repository.git"
    path.parent.mkdir()
    made(path).make(object_format=object_format)
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == {"HEAD", "config"}
    assert ("objectformat = sha256" in (path / "config").read_text()) is (object_format == "sha256")


def test_a_folder_that_takes_nothing_is_the_storages_problem() -> None:
    with pytest.raises(StorageUnavailable):
        made(Path("/proc/nothing/repository.git")).make(object_format="sha1")


def test_when_its_time_is_over_nothing_begins(tmp_path: Path) -> None:
    repository = made(tmp_path / "repository.git", seconds=0.01)
    time.sleep(0.02)
    with pytest.raises(TimeExceeded):
        repository.seconds_left()
    with pytest.raises(TimeExceeded):
        repository.make(object_format="sha1")


def test_what_it_lacks_is_fetched_from_nowhere(tmp_path: Path) -> None:
    """A repository that was told where the objects are that it was not sent asks nobody for them."""
    workshop = Workshop(tmp_path / "origin.git")
    marker = tmp_path / "marker"
    workshop.configure("remote.evil.url", f"ext::touch {marker}")
    workshop.configure("remote.evil.promisor", "true")
    workshop.configure("remote.evil.partialCloneFilter", "blob:none")
    workshop.configure("extensions.partialClone", "evil")
    commit = workshop.commit(workshop.tree([("100644", b"a", "5ca1ab1e" * 5)]))
    repository = made(workshop.path)
    assert repository.commit_at(commit) == commit
    with repository.started(["cat-file", "-p", f"{commit}:a"], output_bytes=1000) as running:
        assert b"".join(running.blocks()) == b""
        assert running.outcome().status == 128
    assert not marker.exists()


def test_an_id_or_name_that_leads_nowhere_is_empty(tmp_path: Path) -> None:
    repository = made(tmp_path / "repository.git")
    repository.make(object_format="sha1")
    for name in ("refs/heads/none", "5ca1ab1e" * 5, "--all", "-h"):
        assert repository.commit_at(name) == ""


def test_lines_lie_in_a_file_without_a_name(tmp_path: Path) -> None:
    repository = made(tmp_path)
    with repository.lines(["a", "\u00e9"]) as file:
        assert file.read() == "a\n\u00e9\n".encode()
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageUnavailable), made(tmp_path / "nothing").lines(["a"]):
        raise AssertionError("there is no such folder")


def test_work_without_end_is_over_with_its_time_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_module, "_LEAST_CPU_SECONDS", 1)
    workshop = Workshop(tmp_path / "origin.git")
    key = workshop.tree([])
    for _level in range(8):
        key = workshop.tree([("40000", b"d%02d" % number, key) for number in range(32)])
    repository = made(workshop.path)
    # Nothing is printed for a folder, and there is nothing else.
    with repository.started(["ls-tree", "-r", key], output_bytes=1000) as running:
        assert list(running.blocks()) == []
        with pytest.raises(TimeExceeded) as caught:
            repository.check(running)
    assert caught.value.limit == 1
