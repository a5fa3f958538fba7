"""The real repositories: three commits, a branch, a tag, the same ids on every machine."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from project.sandbox import repositories
from project.sandbox.seed import Repository

CASES = Repository(owner="acme", name="cases", private=True, content=14)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repositories.build(CASES, tmp_path_factory.mktemp("repositories"))


def git(path: Path, *words: str) -> list[str]:
    result = subprocess.run(["git", "-C", str(path), *words], capture_output=True, check=True, text=True)
    return result.stdout.splitlines()


def test_the_library_has_three_commits_on_main_one_more_on_dev_and_a_tag(built: Path) -> None:
    assert git(built, "rev-list", "--count", "main") == ["3"]
    assert git(built, "rev-list", "--count", "dev") == ["4"]
    assert git(built, "rev-parse", "v1^{commit}") == git(built, "rev-parse", "main~1")
    assert git(built, "symbolic-ref", "HEAD") == ["refs/heads/main"]


def test_the_full_library_has_thirty_files(built: Path) -> None:
    names = git(built, "ls-tree", "-r", "--name-only", "main")
    assert len(names) == 30
    assert {"README.md", "library.yaml", "cases/first-day.yaml", "guides/first-day.md"} <= set(names)


def test_every_case_in_the_list_is_a_file_of_the_same_commit(built: Path) -> None:
    for revision in ("v1", "main"):
        listed = [
            line[4:] for line in git(built, "show", f"{revision}:library.yaml") if line.startswith("  - ")
        ]
        assert set(listed) <= set(git(built, "ls-tree", "-r", "--name-only", revision))


def test_the_commit_ids_are_the_same_wherever_it_is_built(built: Path, tmp_path: Path) -> None:
    again = repositories.build(CASES, tmp_path)
    assert git(again, "rev-parse", "main", "dev", "v1") == git(built, "rev-parse", "main", "dev", "v1")


def test_a_repository_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = repositories.build(CASES, tmp_path)
    git(path, "branch", "kept", "main")
    assert repositories.build(CASES, tmp_path) == path
    assert git(path, "rev-parse", "kept") == git(path, "rev-parse", "main")


def test_git_finds_nothing_wrong_with_it(built: Path) -> None:
    git(built, "fsck", "--strict")


@pytest.mark.parametrize("reference", ["nope", "--help", "", "HEAD:README.md"])
def test_what_is_no_commit_has_no_commit_id(built: Path, reference: str) -> None:
    assert repositories.commit_of(reference, built) is None


def test_an_archive_holds_the_files_of_the_commit_below_its_folder(built: Path) -> None:
    commit = repositories.commit_of("dev", built)
    assert commit is not None
    content = repositories.archive(built, commit=commit, kind="zip", prefix="acme-cases")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "next cases" in archive.read("acme-cases/README.md").decode()
