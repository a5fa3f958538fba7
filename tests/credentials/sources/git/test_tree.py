"""Which files of a commit are taken: names, kinds and numbers, and trees that have no end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from credentials.errors import ContentRefused, SubdirectoryNotFound
from credentials.sources.content import ContentLimits, Remarked
from credentials.sources.git import tree
from credentials.sources.git.repository import Repository
from credentials.sources.git.tree import Planned
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.git.hosts import LIMITS, NO_PROGRESS, Workshop
from tests.peak import peak_of_children


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "origin.git")


def planned(
    workshop: Workshop, commit: str, *, subdirectory: str = "", limits: ContentLimits = LIMITS
) -> Planned:
    """The plan of a commit, as if it had come from a host that had been believed everything."""
    repository = Repository(workshop.path, limits=limits, seconds=20, progress=NO_PROGRESS)
    return tree.plan(repository, commit, subdirectory=subdirectory)


def refused(workshop: Workshop, commit: str, *, limits: ContentLimits = LIMITS) -> ContentRefused:
    with pytest.raises(ContentRefused) as caught:
        planned(workshop, commit, limits=limits)
    return caught.value


def test_files_are_sorted_by_the_bytes_of_their_paths(workshop: Workshop) -> None:
    names = ["a.b", "a/b", "a-b", "ä", "Z", "a b", "--output=x", "-u", "$(touch x)", "`touch x`"]
    plan = planned(workshop, workshop.files({name: name.encode() for name in names}))
    assert [file.path for file in plan.files] == sorted(names, key=str.encode)
    assert [file.size for file in plan.files] == [len(file.path.encode()) for file in plan.files]
    assert plan.remarks == ()


def test_only_the_mode_says_what_may_be_executed(workshop: Workshop) -> None:
    blob = workshop.blob(b"#!/bin/sh\n")
    modes = {"100644": False, "100755": True, "100664": False}
    listed = [(mode, f"f{mode}".encode(), blob) for mode in sorted(modes)]
    plan = planned(workshop, workshop.commit(workshop.tree(listed)))
    assert {file.path.removeprefix("f"): file.executable for file in plan.files} == modes


def test_links_and_submodules_are_left_out_with_a_remark(workshop: Workshop) -> None:
    targets = {"absolute": b"/etc/passwd", "parent": b"../../x", "into": b".git/config", "long": b"x" * 4000}
    names = {**targets, "file": b"1"}
    commit = workshop.files(names, modes=dict.fromkeys(targets, "120000"))
    top = [("100644", b"file", workshop.blob(b"1")), ("160000", b"sub\x1b[2J", "5ca1ab1e" * 5)]
    assert [file.path for file in planned(workshop, commit).files] == ["file"]
    assert set(planned(workshop, commit).remarks) == {
        Remarked(path=name, remark=Remark.SYMLINK) for name in targets
    }
    with_module = planned(workshop, workshop.commit(workshop.tree(top)))
    assert with_module.remarks == (Remarked(path="sub\ufffd[2J", remark=Remark.SUBMODULE),)


def test_a_link_where_another_system_sees_a_folder_takes_nothing_elsewhere(workshop: Workshop) -> None:
    blob = workshop.blob(b"1")
    below = workshop.tree([("100755", b"post-checkout", blob)])
    listed = [("120000", b"A", workshop.blob(b"../hooks")), ("40000", b"a", below)]
    plan = planned(workshop, workshop.commit(workshop.tree(listed)))
    assert [file.path for file in plan.files] == ["a/post-checkout"]


def test_nothing_but_links_is_nothing(workshop: Workshop) -> None:
    assert (
        refused(workshop, workshop.files({"a": b"b"}, modes={"a": "120000"})).reason == Refusal.NOTHING_LEFT
    )


NAMES = [
    (b"a\\b", Refusal.PATH_BACKSLASH), (b"C:", Refusal.PATH_DRIVE), (b"a\x1b[2J", Refusal.PATH_CONTROL),
    (b"a\nb", Refusal.PATH_CONTROL), (b"\xff\xfe", Refusal.PATH_ENCODING), (b"\xed\xa0\x80", Refusal.PATH_ENCODING),
    (b"..", Refusal.PATH_TRAVERSAL), (b".", Refusal.PATH_TRAVERSAL), (b"/etc", Refusal.PATH_ABSOLUTE),
    (b"a/../b", Refusal.PATH_TRAVERSAL), (b"con.txt", Refusal.PATH_RESERVED), (b"a.", Refusal.PATH_RESERVED),
    (b"ab:c", Refusal.PATH_RESERVED), (b".git", Refusal.GIT_FOLDER), (b".GIT", Refusal.GIT_FOLDER),
    (b"git~1", Refusal.GIT_FOLDER), (b".git ", Refusal.GIT_FOLDER), (b".git. .", Refusal.GIT_FOLDER),
    (".g\u200cit".encode(), Refusal.GIT_FOLDER), (b".git::$INDEX_ALLOCATION", Refusal.GIT_FOLDER),
    ("a\u202egpj".encode(), Refusal.PATH_CONTROL), (b"x" * 256, Refusal.PATH_TOO_LONG),
    (b"x" * 100_000, Refusal.PATH_TOO_LONG),
]  # fmt: skip


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize(("name", "reason"), NAMES)
def test_a_name_that_no_file_may_have_is_refused(
    workshop: Workshop, name: bytes, reason: Refusal, is_folder: bool
) -> None:
    blob = workshop.blob(b"1")
    entry = ("40000", name, workshop.tree([("100644", b"x", blob)])) if is_folder else ("100644", name, blob)
    problem = refused(workshop, workshop.commit(workshop.tree([entry])))
    assert problem.reason == reason
    assert problem.entry.isprintable()
    assert len(problem.entry) <= 200


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a", "A"], Refusal.COLLISION_CASE),
        (["Straße", "STRASSE"], Refusal.COLLISION_CASE),
        (["e\u0301", "\u00e9"], Refusal.COLLISION_UNICODE),
        (["a/x", "A/y"], Refusal.COLLISION_CASE),
        (["A", "a/x"], Refusal.FILE_AS_FOLDER),
    ],
)
def test_names_that_another_system_takes_for_the_same_are_refused(
    workshop: Workshop, names: list[str], reason: Refusal
) -> None:
    assert refused(workshop, workshop.files(dict.fromkeys(names, b"1"))).reason == reason


def test_a_file_that_is_there_twice_is_refused(workshop: Workshop) -> None:
    blob = workshop.blob(b"1")
    twice = workshop.tree([("100644", b"a", blob), ("100644", b"a", blob)])
    assert refused(workshop, workshop.commit(twice)).reason == Refusal.DUPLICATE


def test_a_name_is_kept_composed_with_a_remark(workshop: Workshop) -> None:
    plan = planned(workshop, workshop.files({"e\u0301/e\u0301": b"1", "b": b"2"}))
    assert [file.path for file in plan.files] == ["b", "\u00e9/\u00e9"]
    assert plan.remarks == (Remarked(path="\u00e9/\u00e9", remark=Remark.COMPOSED_NAME),)


@pytest.mark.parametrize("subdirectory", ["\u00e9", "e\u0301"])
def test_a_folder_is_found_in_either_form_of_its_name(workshop: Workshop, subdirectory: str) -> None:
    for spelled in ("\u00e9", "e\u0301"):
        plan = planned(workshop, workshop.files({f"{spelled}/x": b"1"}), subdirectory=subdirectory)
        assert [file.path for file in plan.files] == ["x"]


@pytest.mark.parametrize("subdirectory", ["--output=x", "-u", "@{0}", "a b", ":", "a^{tree}", "HEAD"])
def test_a_folder_with_a_name_of_git_is_a_folder(workshop: Workshop, subdirectory: str) -> None:
    if subdirectory == ":":
        with pytest.raises(SubdirectoryNotFound):
            planned(workshop, workshop.files({"a": b"1"}), subdirectory=subdirectory)
        return
    commit = workshop.files({f"{subdirectory}/x": b"1", "y": b"2"})
    assert [file.path for file in planned(workshop, commit, subdirectory=subdirectory).files] == ["x"]


@pytest.mark.parametrize(
    "subdirectory",
    ["a/", "/a", "a//b", "..", "a/../b", "./a", "a\nb", "a\0", "\\a", "C:/a", ".git", "x" * 2000],
)
def test_what_is_no_path_of_a_folder_is_not_looked_for(subdirectory: str) -> None:
    with pytest.raises(SubdirectoryNotFound, match="Write it like"):
        tree.folder_form(subdirectory)


# --- Too much -----------------------------------------------------------------------------------------


def test_each_limit_is_a_refusal_that_names_it(workshop: Workshop) -> None:
    commit = workshop.files({f"f{number}": b"x" * 100 for number in range(10)})
    assert (
        len(planned(workshop, commit, limits=ContentLimits(files=10, bytes=1000, file_bytes=100)).files) == 10
    )
    for limits, reason, limit in (
        (ContentLimits(files=9, bytes=1000, file_bytes=100), Refusal.TOO_MANY_FILES, 9),
        (ContentLimits(files=10, bytes=999, file_bytes=100), Refusal.TOO_MANY_BYTES, 999),
        (ContentLimits(files=10, bytes=1000, file_bytes=99), Refusal.FILE_TOO_LARGE, 99),
    ):
        problem = refused(workshop, commit, limits=limits)
        assert (problem.reason, problem.limit) == (reason, limit)


def test_a_file_deep_down_is_refused(workshop: Workshop) -> None:
    deepest = "/".join("d" * 40) + "/f"
    assert planned(workshop, workshop.files({deepest: b"1"})).files[0].path == deepest
    assert refused(workshop, workshop.files({f"d/{deepest}": b"1"})).reason == Refusal.PATH_TOO_DEEP


def bomb(workshop: Workshop, bottom: tuple[str, bytes, str], *, width: int, depth: int) -> str:
    """A commit of ``width`` to the power of ``depth`` entries, made of ``depth`` trees."""
    key = workshop.tree([bottom])
    for _level in range(depth):
        key = workshop.tree([("40000", b"d%02d" % number, key) for number in range(width)])
    return workshop.commit(key)


@pytest.mark.parametrize("kind", ["files", "links", "folders", "long names"])
def test_a_tree_without_end_is_over_at_once_and_takes_no_memory(workshop: Workshop, kind: str) -> None:
    blob = workshop.blob(b"1")
    bottoms = {
        "files": ("100644", b"f", blob),
        "links": ("120000", b"f", blob),
        "folders": ("40000", b"f", workshop.tree([])),
        "long names": ("100644", b"f" * 250, blob),
    }
    commit = bomb(workshop, bottoms[kind], width=32, depth=8)
    limits = replace(LIMITS, files=5000)
    begin = time.monotonic()
    with peak_of_children() as peak:
        problem = refused(workshop, commit, limits=limits)
    assert problem.reason == Refusal.TOO_MANY_FILES
    assert time.monotonic() - begin < 3
    assert 1 << 20 < peak() < 64 << 20


def test_folders_in_folders_without_end_are_refused(workshop: Workshop) -> None:
    key = workshop.tree([("100644", b"f", workshop.blob(b"1"))])
    for _level in range(300):
        key = workshop.tree([("40000", b"d", key)])
    assert refused(workshop, workshop.commit(key)).reason == Refusal.PATH_TOO_DEEP


def test_a_record_is_not_waited_for_without_end() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(ContentRefused) as caught:
        list(tree.records(endless()))
    assert caught.value.reason == Refusal.PATH_TOO_LONG


def test_records_come_whole_however_they_are_cut() -> None:
    data = b"one\0two\0\0three\0"
    for size in range(1, len(data) + 1):
        blocks = [data[start : start + size] for start in range(0, len(data), size)]
        assert list(tree.records(blocks)) == [b"one", b"two", b"", b"three"]


def test_a_tree_that_lacks_a_part_is_refused(workshop: Workshop) -> None:
    listed = [("100644", b"a", workshop.blob(b"1")), ("40000", b"d", "5ca1ab1e" * 5)]
    assert refused(workshop, workshop.commit(workshop.tree(listed))).reason == Refusal.OBJECT_INVALID
    blobless = workshop.tree([("100644", b"a", "5ca1ab1e" * 5)])
    assert refused(workshop, workshop.commit(blobless)).reason == Refusal.OBJECT_INVALID
