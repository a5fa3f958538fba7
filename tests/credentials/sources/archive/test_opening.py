"""An archive is opened as a plan, and read file by file with little memory, whatever it claims."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable

import pytest

from credentials.errors import ContentRefused, SubdirectoryNotFound
from credentials.sources.archive import ZipContent, open_archive
from credentials.sources.content import Content, ContentLimits
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.archive.building import (
    EXECUTABLE,
    FAT,
    FOLDER,
    FULL,
    LINK,
    STORED,
    Item,
    Shape,
    big_sizes,
    build,
    deflated,
    nested,
    overlapping,
)

MIB = 1 << 20
TAIL = 66_000
"""Where the end of an archive is looked for, and a little more."""
LIMITS = ContentLimits(files=20_000, bytes=512 * MIB, file_bytes=128 * MIB)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


class Counting(io.BytesIO):
    """Counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def opened(data: bytes, *, unwrap: bool = True, subdirectory: str = "") -> ZipContent:
    return open_archive(io.BytesIO(data), limits=LIMITS, unwrap=unwrap, subdirectory=subdirectory)


def read(content: Content) -> dict[str, bytes]:
    return {planned.path: b"".join(blocks) for planned, blocks in content.read()}


def remarks(content: Content) -> list[tuple[str, Remark]]:
    return [(said.path, said.remark) for said in content.remarks]


def test_files_come_in_the_order_of_their_paths_with_their_bytes() -> None:
    content = opened(
        build(
            Item(name="b", content=b"second"),
            Item(name="é", content=b"last"),
            Item(name="a/b", content=b"first", method=STORED),
            Item(name="a-b", content=b""),
        )
    )
    assert [planned.path for planned in content.files] == ["a-b", "a/b", "b", "é"]
    assert list(read(content).items()) == [("a-b", b""), ("a/b", b"first"), ("b", b"second"), ("é", b"last")]
    assert list(read(content)) == ["a-b", "a/b", "b", "é"], "it can be read again"


def test_the_plan_says_size_right_to_execute_and_the_name_in_the_archive() -> None:
    content = opened(
        build(
            Item(name="top/e\u0301", content=b"1", mode=EXECUTABLE),
            Item(name="top/b", content=b"22"),
            Item(name="top/c", mode=EXECUTABLE, system=FAT),
        )
    )
    assert [(each.path, each.size, each.executable, each.key) for each in content.files] == [
        ("b", 2, False, "top/b"),
        ("c", 0, False, "top/c"),
        ("é", 1, True, "top/e\u0301"),
    ]


def test_a_single_folder_around_everything_is_left_out_and_named() -> None:
    data = build(
        Item(name="project-1.2/", mode=FOLDER, method=STORED),
        Item(name="project-1.2/src/a", content=b"x"),
        Item(name="project-1.2/ln", content=b"a", mode=LINK),
        Item(name="__MACOSX/project-1.2/._a", content=b"x"),
    )
    content = opened(data)
    assert content.unwrapped == "project-1.2"
    assert [planned.path for planned in content.files] == ["src/a"], "one folder, not those in it"
    assert remarks(content) == [
        ("__MACOSX", Remark.RESOURCE_FORK),
        ("ln", Remark.SYMLINK),
        ("project-1.2", Remark.UNWRAPPED),
    ]
    as_it_is = opened(data, unwrap=False)
    assert as_it_is.unwrapped == ""
    assert [planned.path for planned in as_it_is.files] == ["project-1.2/src/a"]
    assert ("project-1.2/ln", Remark.SYMLINK) in remarks(as_it_is)


@pytest.mark.parametrize(
    "beside",
    [Item(name=".git/HEAD"), Item(name="ln", content=b"src", mode=LINK)],
    ids=lambda item: str(item.name),
)
def test_a_folder_beside_which_something_is_left_out_does_not_stand_around_everything(beside: Item) -> None:
    """A project zipped from within, with its files in one folder: by Git it would be the same tree."""
    content = opened(build(beside, Item(name="src/a"), Item(name="src/b")))
    assert content.unwrapped == ""
    assert [planned.path for planned in content.files] == ["src/a", "src/b"]


@pytest.mark.parametrize("names", [("a/x", "b/x"), ("a/x", "b"), ("x",), ("ab/x", "a/x")])
def test_without_a_single_folder_nothing_is_unwrapped(names: tuple[str, ...]) -> None:
    content = opened(build(*(Item(name=name) for name in names)))
    assert content.unwrapped == ""
    assert sorted(planned.path for planned in content.files) == sorted(names)


def test_a_folder_is_chosen_after_the_one_around_everything_is_gone() -> None:
    data = build(
        Item(name="top/docs/a", content=b"x"),
        Item(name="top/docs/b/c"),
        Item(name="top/docs/ln", content=b"a", mode=LINK),
        Item(name="top/docs2/d"),
        Item(name="top/ln", content=b"a", mode=LINK),
    )
    content = opened(data, subdirectory="docs")
    assert [planned.path for planned in content.files] == ["a", "b/c"]
    assert remarks(content) == [("ln", Remark.SYMLINK)]
    assert content.unwrapped == "top"
    assert [planned.path for planned in opened(data, subdirectory="/docs/b/").files] == ["c"]
    assert [planned.path for planned in opened(data, unwrap=False, subdirectory="top/docs2").files] == ["d"]


@pytest.mark.parametrize(
    "asked", ["doc", "docs/a", "empty", "Docs", "../docs", "docs\\b", "a\0", "docs//b", ".", "x" * 2000]
)
def test_a_folder_that_is_not_there_is_not_found(asked: str) -> None:
    data = build(Item(name="docs/a"), Item(name="empty/", mode=FOLDER), Item(name="b"))
    with pytest.raises(SubdirectoryNotFound):
        opened(data, subdirectory=asked)


def test_a_folder_may_be_asked_for_with_strokes_around_it() -> None:
    data = build(Item(name="docs/a"), Item(name="b"))
    assert [planned.path for planned in opened(data, subdirectory="/docs/").files] == ["a"]
    assert len(opened(data, subdirectory="/").files) == 2, "the whole"


def test_a_folder_is_found_however_its_name_is_composed() -> None:
    data = build(Item(name="e\u0301/a"), Item(name="b"))
    assert [planned.path for planned in opened(data, subdirectory="\u00e9").files] == ["a"]
    assert [planned.path for planned in opened(data, subdirectory="e\u0301").files] == ["a"]


def test_a_folder_of_nothing_but_links_leaves_nothing() -> None:
    data = build(Item(name="a/ln", content=b"b", mode=LINK), Item(name="b"))
    with pytest.raises(ContentRefused) as refused:
        opened(data, subdirectory="a")
    assert refused.value.reason == Refusal.NOTHING_LEFT


def test_limits_count_what_is_taken() -> None:
    large = {"size": 200 * MIB}
    data = build(Item(name="a/b"), Item(name="large", local=large, central=large))
    assert len(opened(data, subdirectory="a").files) == 1
    with pytest.raises(ContentRefused) as refused:
        opened(data)
    assert (refused.value.reason, refused.value.limit) == (Refusal.FILE_TOO_LARGE, 128 * MIB)


def test_a_pointer_of_git_lfs_is_taken_as_it_is_and_remarked_once_it_was_read() -> None:
    content = opened(
        build(
            Item(name="big.bin", content=POINTER),
            Item(name="no", content=b"see " + POINTER),
            Item(name="none", content=POINTER + b"x" * 1000),
        )
    )
    assert remarks(content) == []
    assert read(content)["big.bin"] == POINTER
    assert remarks(content) == [("big.bin", Remark.LFS_POINTER)]


def test_files_may_be_read_elsewhere_meanwhile() -> None:
    file = io.BytesIO(
        build(Item(name="a", content=bytes(MIB), method=STORED), Item(name="b", content=b"b" * 999_999))
    )
    content = open_archive(file, limits=LIMITS, unwrap=True)
    sizes = []
    for _planned, blocks in content.read():
        size = 0
        for block in blocks:
            size += len(block)
            file.seek(0)
        sizes.append(size)
    assert sizes == [MIB, 999_999]


def test_a_file_that_became_shorter_after_it_was_planned_is_truncated() -> None:
    file = io.BytesIO(build(Item(name="a", content=bytes(100), method=STORED)))
    content = open_archive(file, limits=LIMITS, unwrap=True)
    file.truncate(60)
    with pytest.raises(ContentRefused) as refused:
        read(content)
    assert refused.value.reason == Refusal.TRUNCATED


def test_memory_does_not_grow_with_the_size_of_a_file() -> None:
    noise = bytes(range(256)) * 4
    data = build(Item(name="a", content=noise * 16_384, packed=deflated(noise * 16_384, 0)))
    file = io.BytesIO(data)
    tracemalloc.start()
    content = open_archive(file, limits=LIMITS, unwrap=True)
    blocks = [len(block) for _planned, parts in content.read() for block in parts]
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(blocks) == 16 * MIB
    assert max(blocks) <= MIB
    assert most < 3 * MIB


Bomb = Callable[[], bytes]


def saying(size: int, packed: bytes, entries: int = 1) -> bytes:
    """Entries that say they become ``size`` bytes each."""
    said = {"size": size}
    return build(*(Item(name=f"{n}", packed=packed, local=said, central=said) for n in range(entries)))


def full(entries: int) -> bytes:
    """``entries`` empty files."""
    return build(*(Item(name=f"{number:05}", packed=b"\3\0") for number in range(entries)))


# What is refused, and after how many bytes at most that were read of it: the frame, never what is packed.
BOMBS: dict[str, tuple[Bomb, Refusal, int]] = {
    "1,000 entries over the same bytes": (lambda: overlapping(1000, MIB), Refusal.OVERLAP, 120_000),
    "a gigabyte, and it says so": (lambda: saying(1 << 30, bytes(MIB)), Refusal.FILE_TOO_LARGE, TAIL),
    "100 megabytes, within all limits": (lambda: saying(100 * MIB, bytes(100_000)), Refusal.RATIO, TAIL),
    "60 files of 8 megabytes": (lambda: saying(8 * MIB, bytes(8000), 60), Refusal.RATIO, TAIL + 8000),
    "20,001 files": (lambda: full(20_001), Refusal.TOO_MANY_FILES, TAIL + 20_001 * 51),
    "61,001 entries, and it says so": (
        lambda: build(shape=Shape(end={"entries": 61_001, "entries_here": 61_001})),
        Refusal.TOO_MANY_FILES,
        TAIL,
    ),
    "a list of files of 32 megabytes": (
        lambda: build(*(Item(name=f"{n}", central={"comment": b"x" * 65_000}) for n in range(500))),
        Refusal.DIRECTORY_TOO_LARGE,
        TAIL,
    ),
    "sizes of 2 to the power of 64": (
        lambda: build(
            Item(name="a", central={"packed": FULL, "size": FULL, "extra": big_sizes(*[(1 << 64) - 1] * 2)})
        ),
        Refusal.OVERLAP,
        TAIL,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_unpacked(name: str) -> None:
    make, reason, most = BOMBS[name]
    file = Counting(make())
    with pytest.raises(ContentRefused) as refused:
        open_archive(file, limits=LIMITS, unwrap=True)
    assert refused.value.reason == reason
    assert file.count <= most


def test_a_bomb_that_says_it_is_small_is_stopped_at_the_size_it_said() -> None:
    file = Counting(build(Item(name="a", content=b"x" * 1000, packed=deflated(bytes(40 * MIB), 9))))
    content = open_archive(file, limits=LIMITS, unwrap=True)
    _planned, blocks = next(content.read())
    given: list[bytes] = []
    with pytest.raises(ContentRefused) as refused:
        given.extend(blocks)
    assert refused.value.reason == Refusal.SIZE_MISMATCH
    assert sum(map(len, given)) <= 1000
    assert file.count < TAIL + 70_000, "one block of what is packed, and the frame"


def test_a_long_stream_that_unpacks_to_nothing_ends_with_the_file() -> None:
    """200,000 empty blocks of Deflate."""
    packed = b"\0\0\0\xff\xff" * 200_000 + b"\3\0"
    content = opened(build(Item(name="a", packed=packed)))
    assert read(content) == {"a": b""}


def test_an_archive_in_an_archive_is_never_opened() -> None:
    """So what it would become does not matter: however deep it goes, it counts as the bytes it is."""
    bomb = build(Item(name="bomb", content=bytes(20 * MIB)))
    content = opened(build(*(Item(name=f"{n}.zip", content=bomb) for n in range(16))))
    assert sum(planned.size for planned in content.files) == 16 * len(bomb)
    assert read(content)["0.zip"] == bomb
    deep = nested(50, [Item(name="a", content=b"x")])
    assert [planned.path for planned in opened(deep).files] == ["level49.zip"]


def test_what_is_small_may_be_packed_as_well_as_it_can() -> None:
    content = opened(
        build(Item(name="empty.bmp", content=bytes(8 * MIB)), Item(name="log", content=b"ok\n" * MIB))
    )
    assert {path: len(data) for path, data in read(content).items()} == {"empty.bmp": 8 * MIB, "log": 3 * MIB}


def test_neither_folders_nor_what_is_left_out_count_as_files() -> None:
    limits = ContentLimits(files=1, bytes=MIB, file_bytes=MIB)
    file = Item(name="a/b", content=b"x")
    others = [
        Item(name="a/", mode=FOLDER, method=STORED),
        Item(name="a/ln", content=b"b", mode=LINK),
        Item(name="a/.git/HEAD"),
        Item(name="__MACOSX/a/._b"),
    ]
    assert len(open_archive(io.BytesIO(build(file, *others)), limits=limits, unwrap=True).files) == 1
    with pytest.raises(ContentRefused) as refused:
        open_archive(io.BytesIO(build(file, Item(name="c"))), limits=limits, unwrap=True)
    assert (refused.value.reason, refused.value.limit) == (Refusal.TOO_MANY_FILES, 1)
