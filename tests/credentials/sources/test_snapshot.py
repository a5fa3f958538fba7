"""The manifest of a tree: one text for one content, and a digest that anybody can make again."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.sources.snapshot import Entry, Manifest, difference

HASH = hashlib.sha256(b"x").hexdigest()
paths = st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), min_size=1, max_size=20)
entries = st.builds(
    Entry,
    path=paths,
    size=st.integers(0, 1 << 40),
    sha256=st.binary(max_size=8).map(lambda data: hashlib.sha256(data).hexdigest()),
    executable=st.booleans(),
)
manifests = st.lists(entries, max_size=12, unique_by=lambda entry: entry.path).map(Manifest.of)


def file(path: str, content: str = "x", *, executable: bool = False) -> Entry:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Entry(path=path, size=len(content), sha256=digest, executable=executable)


def test_the_text_is_what_the_documentation_shows() -> None:
    manifest = Manifest.of([file("b/run.sh", executable=True), file("a.md", "")])
    empty = hashlib.sha256(b"").hexdigest()
    expected = f"forgekey-tree-v1\n100644 {empty} 0 a.md\n100755 {HASH} 1 b/run.sh\n".encode()
    assert manifest.text == expected
    assert manifest.digest == hashlib.sha256(expected).hexdigest()


def test_the_order_in_which_files_come_makes_no_difference_and_is_the_one_of_bytes() -> None:
    names = ["a/b", "a.b", "a", "Z", "ä", "z", "\U0001f600", "\uffee"]
    one, other = Manifest.of(map(file, names)), Manifest.of(map(file, reversed(names)))
    assert one.digest == other.digest
    assert [entry.path for entry in one.entries] == sorted(names, key=str.encode)


@given(manifests)
def test_what_was_written_is_read_again(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.text) == manifest


@given(manifests, manifests)
def test_two_trees_have_one_digest_exactly_when_they_are_the_same(one: Manifest, other: Manifest) -> None:
    assert (one.digest == other.digest) == (one == other)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"forgekey-tree-v1",
        b"forgekey-tree-v2\n",
        f"forgekey-tree-v1\n100644 {HASH} 1 a".encode(),
        f"forgekey-tree-v1\n100644 {HASH} 1 b\n100644 {HASH} 1 a\n".encode(),
        f"forgekey-tree-v1\n100600 {HASH} 1 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} 01 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} one a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} -1 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} \u0661 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH.upper()} 1 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH[1:]} 1 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} 1 \n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} 1 a\n100755 {HASH} 1 a\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH} 1 a\n\n".encode(),
        f"forgekey-tree-v1\n100644 {HASH}\n".encode(),
        b"forgekey-tree-v1\n\xff\n",
    ],
)
def test_any_other_text_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whichever part of it is wrong
        Manifest.parse(text)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("",), (f"a\n100644 {HASH} 1 b",)])
def test_no_tree_is_made_whose_text_could_be_another_trees(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="path"):
        Manifest(tuple(map(file, names)))


@given(st.binary())
def test_nothing_but_a_manifest_is_read_as_one(text: bytes) -> None:
    try:
        read = Manifest.parse(b"forgekey-tree-v1\n" + text)
    except ValueError:
        return
    assert read.text == b"forgekey-tree-v1\n" + text


def test_of_several_files_that_moved_each_has_one_place_it_came_from() -> None:
    before = Manifest.of([file("a", "1"), file("b", "1"), file("c", "1")])
    after = Manifest.of([file("x", "1"), file("y", "1")])
    found = difference(before, after)
    assert [(old.path, new.path) for old, new in found.moved] == [("a", "x"), ("b", "y")]
    assert [entry.path for entry in found.removed] == ["c"]


def test_a_copy_is_new_because_the_first_one_is_still_there() -> None:
    found = difference(Manifest.of([file("a", "1")]), Manifest.of([file("a", "1"), file("b", "1")]))
    assert ([entry.path for entry in found.added], found.moved) == (["b"], ())


def test_a_difference_names_what_came_went_changed_and_moved() -> None:
    before = Manifest.of([file("same"), file("gone", "1"), file("old-name", "22"), file("edited", "3")])
    after = Manifest.of([file("same"), file("new", "4"), file("new-name", "22"), file("edited", "333")])
    found = difference(before, after)
    assert [entry.path for entry in found.added] == ["new"]
    assert [entry.path for entry in found.removed] == ["gone"]
    assert [(old.size, new.size) for old, new in found.changed] == [(1, 3)]
    assert [(old.path, new.path) for old, new in found.moved] == [("old-name", "new-name")]


def test_whether_a_file_may_be_executed_is_a_difference() -> None:
    found = difference(Manifest.of([file("a")]), Manifest.of([file("a", executable=True)]))
    assert [entry.mode for _old, entry in found.changed] == ["100755"]


def test_an_empty_file_is_not_said_to_have_moved() -> None:
    found = difference(Manifest.of([file("a", "")]), Manifest.of([file("b", "")]))
    assert (len(found.added), len(found.removed), found.moved) == (1, 1, ())


@given(manifests, manifests)
def test_a_difference_tells_of_every_file_once(before: Manifest, after: Manifest) -> None:
    found = difference(before, after)
    assert found.is_empty == (before == after)
    old = {entry.path: entry for entry in before.entries}
    for entry in (*found.removed, *(one for one, _other in found.moved)):
        del old[entry.path]
    for _was, entry in found.changed:
        old[entry.path] = entry
    old |= {entry.path: entry for entry in (*found.added, *(other for _one, other in found.moved))}
    assert Manifest.of(old.values()) == after
