"""Names that mean the same file everywhere are taken; every other is refused, for its own reason."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import ContentRefused
from credentials.sources.paths import (
    DEPTH,
    NAME_BYTES,
    PATH_BYTES,
    Names,
    checked,
    git_folder,
    is_git_folder,
    shown,
)
from credentials.verdicts.refusals import Refusal

REFUSED = {
    Refusal.PATH_TRAVERSAL: ["..", "../a", "a/../b", "a/..", ".", "./a", "a/./b"],
    Refusal.PATH_ABSOLUTE: ["/", "/a", "//a", "/etc/passwd"],
    Refusal.PATH_DRIVE: ["C:", "c:a", "C:/a", "z:/../a"],
    Refusal.PATH_BACKSLASH: ["\\", "a\\b", "..\\a", "\\\\server\\share", "C:\\a"],
    Refusal.PATH_CONTROL: [
        *("a\0b", "a\nb", "\x1b[31m", "a\x7f", "a\x85", "a\u2028b", "a\u2029b"),
        *("gpj.\u202eexe", "\u200fa", "\u2066a\u2069", "a\u061c"),
    ],
    Refusal.PATH_ENCODING: ["a\ud800b", "\udcff"],
    Refusal.PATH_RESERVED: [
        *(
            "con",
            "CON",
            "Con.txt",
            "nul",
            "NUL .txt",
            "aux.tar.gz",
            "a/prn/b",
            "com1",
            "COM9.log",
            "lpt\u00b9",
        ),
        *("CONIN$", "conout$.txt", "clock$", "cloc\u212a$", "a.", "a ", "a/b./c", "..."),
        *("a/x:y", "what?", "a*b", "<a>", 'say "a"', "a|b"),
    ],
    Refusal.PATH_EMPTY: ["", "a//b", "a/", "a/b//"],
    Refusal.GIT_FOLDER: [
        *(
            ".git",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT",
            ".Git/config",
            ".git ",
            ".git.",
            ".git. .",
            "git~1",
        ),
        *("GIT~1/x", ".g\u200cit", ".gi\ufefft/config", "\u206a.git", ".git::$INDEX_ALLOCATION/x"),
    ],
}


@pytest.mark.parametrize(
    ("reason", "name"), [(why, name) for why, names in REFUSED.items() for name in names]
)
def test_a_name_that_some_system_reads_otherwise_is_refused(reason: Refusal, name: str) -> None:
    with pytest.raises(ContentRefused) as refused:
        checked(name)
    assert refused.value.reason == reason
    assert refused.value.entry.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a",
            "a/b/c.txt",
            "README",
            ".gitignore",
            ".gitattributes",
            ".github/workflows/x.yml",
            "git",
            "a.git/b",
        ),
        *(
            "console.log",
            "com",
            "com10",
            "lpt",
            "auxiliary",
            "nulls/a",
            "con-1",
            "~a",
            "-rf",
            "--help",
            "$HOME",
        ),
        *(" a", "a b", "...a", "..a", "a..b", "C", "%2e%2e/a", "a;b&c", "'a'", "{a}", "[a]", "#", "a@b"),
        *("é", "日本語/説明.md", "👩\u200d💻.md", "مثال", "a\u0301bc"),
    ],
)
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert checked(name) == unicodedata.normalize("NFC", name)


def test_a_name_is_kept_composed_so_that_every_system_makes_the_same_tree() -> None:
    assert checked("cafe\u0301/e\u0301") == "caf\u00e9/\u00e9"


@pytest.mark.parametrize(
    ("name", "reason", "limit"),
    [
        ("a" * (NAME_BYTES + 1), Refusal.PATH_TOO_LONG, NAME_BYTES),
        ("é" * (NAME_BYTES // 2 + 1), Refusal.PATH_TOO_LONG, NAME_BYTES),
        ("/".join(["a" * 99] * 10) + "/b", Refusal.PATH_TOO_LONG, PATH_BYTES),
        ("a/" * (DEPTH + 1) + "b", Refusal.PATH_TOO_DEEP, DEPTH),
    ],
)
def test_a_name_that_is_too_long_or_too_deep_is_refused_with_the_limit(
    name: str, reason: Refusal, limit: int
) -> None:
    with pytest.raises(ContentRefused) as refused:
        checked(name)
    assert (refused.value.reason, refused.value.limit) == (reason, limit)
    assert len(refused.value.entry) <= 200


@pytest.mark.parametrize(
    "name", ["a" * NAME_BYTES, "/".join(["a" * 99] * 10), "a/" * DEPTH + "b", "é" * (NAME_BYTES // 2)]
)
def test_a_name_at_its_limit_is_taken(name: str) -> None:
    assert checked(name) == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (".git", ".git"),
        (".git/config", ".git"),
        ("a/.git/objects/00/" + "1" * 300, "a/.git"),
        ("e\u0301/.git/x", "\u00e9/.git"),
        ("a/.git/modules/b/.git/x", "a/.git"),
        (".git/" + "a/" * 60 + "b", ".git"),
        (".git/refs/heads/aux", ".git"),
        ("a", None),
        (".gitignore", None),
        ("a.git/b", None),
        (".GIT/config", None),
    ],
)
def test_gits_own_folder_is_told_by_its_exact_name(name: str, folder: str | None) -> None:
    assert git_folder(name) == folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".git/../../a", Refusal.PATH_TRAVERSAL),
        ("/.git/a", Refusal.PATH_ABSOLUTE),
        ("../.git/a", Refusal.PATH_TRAVERSAL),
        (".git/a\0", Refusal.PATH_CONTROL),
        (".git/a\\b", Refusal.PATH_BACKSLASH),
        (".git//a", Refusal.PATH_EMPTY),
        (".GIT/.git/a", Refusal.GIT_FOLDER),
        ("a/" * 41 + ".git/a", Refusal.PATH_TOO_DEEP),
        (".git/" + "a" * 1000 + "/../b", Refusal.PATH_TRAVERSAL),
        (".git/" + "a" * 2000 + "\0", Refusal.PATH_CONTROL),
    ],
)
def test_not_even_in_gits_own_folder_may_a_name_lead_elsewhere(name: str, reason: Refusal) -> None:
    with pytest.raises(ContentRefused) as refused:
        git_folder(name)
    assert refused.value.reason == reason


@given(st.text(max_size=60))
def test_whatever_is_taken_is_safe_by_other_means_of_telling(name: str) -> None:
    try:
        path = checked(name)
    except ContentRefused:
        return
    assert unicodedata.is_normalized("NFC", path)
    assert posixpath.normpath(path) == path
    assert posixpath.normpath(posixpath.join("/root", path)).startswith("/root/")
    windows = PureWindowsPath(path)
    assert not windows.is_absolute()
    assert not windows.drive
    assert not windows.is_reserved()
    assert windows.as_posix() == path
    assert not re.search(r"(^|/)\.git(/|$)", path, re.IGNORECASE)
    assert checked(path) == path, "what was taken once is taken again, unchanged"


PIECES = [
    "a",
    "..",
    ".",
    "",
    "/",
    "\\",
    ":",
    ".git",
    "con",
    "nul.txt",
    "é",
    "e\u0301",
    "\u200c",
    " ",
    "\0",
    "git~1",
    "C:",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=6).map("/".join)
    | st.lists(st.sampled_from(PIECES)).map("".join)
)
def test_pieces_that_break_rules_in_any_order_leave_nothing_unsafe(name: str) -> None:
    test_whatever_is_taken_is_safe_by_other_means_of_telling.hypothesis.inner_test(name)  # type: ignore[attr-defined]


def clash(*names: str) -> Refusal | None:
    tree = Names()
    try:
        for name in names:
            if name.endswith("/"):
                tree.add_folder(checked(name[:-1]), entry=name[:-1])
            else:
                tree.add(checked(name), entry=name)
    except ContentRefused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("a", "a"), Refusal.DUPLICATE),
        (("e\u0301", "e\u0301"), Refusal.DUPLICATE),
        (("e\u0301", "\u00e9"), Refusal.COLLISION_UNICODE),
        (("\u00e9", "e\u0301"), Refusal.COLLISION_UNICODE),
        (("a", "A"), Refusal.COLLISION_CASE),
        (("x/a", "X/b"), Refusal.COLLISION_CASE),
        (("x/y/a", "x/Y/b"), Refusal.COLLISION_CASE),
        (("É", "e\u0301"), Refusal.COLLISION_CASE),
        (("straße", "STRASSE"), Refusal.COLLISION_CASE),
        (("a\u200cb", "ab"), Refusal.COLLISION_UNICODE),
        (("a\u200cb/x", "ab/y"), Refusal.COLLISION_UNICODE),
        (("a", "a/b"), Refusal.FILE_AS_FOLDER),
        (("a/b", "a"), Refusal.FILE_AS_FOLDER),
        (("A", "a/b"), Refusal.FILE_AS_FOLDER),
        (("a/b/c/d", "a/b"), Refusal.FILE_AS_FOLDER),
        (("a/", "a"), Refusal.FILE_AS_FOLDER),
        (("a", "a/"), Refusal.FILE_AS_FOLDER),
        (("a/b/", "A/"), Refusal.COLLISION_CASE),
    ],
)
def test_two_names_that_are_one_to_some_system_are_refused(names: tuple[str, ...], reason: Refusal) -> None:
    assert clash(*names) == reason


@pytest.mark.parametrize(
    "names",
    [
        ("a", "b", "ab"),
        ("a/b", "a/c", "a/b2"),
        ("a/b", "a-b", "a.b", "a b"),
        ("a/", "a/", "a/b", "a/c/"),
        ("x/a/y", "x/b/y", "y/a/x"),
    ],
)
def test_names_that_differ_everywhere_stand_together(names: tuple[str, ...]) -> None:
    assert clash(*names) is None


@given(
    st.lists(
        st.sampled_from(["a", "A", "b", "a/b", "a/B", "A/b", "b/", "a/b/c", "é", "e\u0301", "É"]), max_size=5
    )
)
def test_whether_names_stand_together_does_not_depend_on_their_order(names: list[str]) -> None:
    assert (clash(*names) is None) == (clash(*reversed(names)) is None)


def test_a_name_is_shown_short_and_without_what_cannot_be_seen() -> None:
    assert shown("a\x1b[31m\u202eb\ud800") == "a\ufffd[31m\ufffdb\ufffd"
    assert shown("a" * 300) == "a" * 199 + "…"
    assert shown("a" * 200) == "a" * 200


@pytest.mark.parametrize("part", ["git", ".gitx", "x.git", "git~2", ".g it", ".gi", ""])
def test_other_names_are_not_gits_own(part: str) -> None:
    assert not is_git_folder(part)
