"""The archive of a snapshot: the same bytes for the same tree, and every tool reads it."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from credentials.errors import ContentRefused
from credentials.sources.archive import open_archive
from credentials.sources.content import ContentLimits, PlannedFile, Remarked
from credentials.sources.snapshot import Manifest
from credentials.sources.stored_zip import write_archive
from credentials.verdicts.refusals import Refusal

LIMITS = ContentLimits(files=1000, bytes=1 << 24, file_bytes=1 << 24)
FILES = {
    "README.md": b"# Cases\n",
    "bin/run": b"#!/bin/sh\n",
    "leer": b"",
    "\u00fcber/\u4f8b.txt": b"\0" * 70_000,
}


@dataclass
class Given:
    """Content that is in memory; ``announced`` may lie about sizes."""

    data: Mapping[str, bytes]
    announced: Mapping[str, int] | None = None
    block: int = 1000
    remarks: Sequence[Remarked] = ()
    is_sorted: bool = True

    @property
    def files(self) -> Sequence[PlannedFile]:
        sizes = self.announced or {name: len(data) for name, data in self.data.items()}
        return [
            PlannedFile(path=name, size=sizes[name], executable=name.startswith("bin/"), key=name)
            for name in sorted(self.data, key=str.encode, reverse=not self.is_sorted)
        ]

    def read(self) -> Generator[tuple[PlannedFile, Iterator[bytes]], None, None]:
        for file in self.files:
            data = self.data[file.key]
            yield file, (data[at : at + self.block] for at in range(0, len(data), self.block))


def written(given: Given) -> tuple[bytes, Manifest]:
    target = io.BytesIO()
    manifest = write_archive(given, target, progress=lambda _files, _bytes: None)
    return target.getvalue(), manifest


def test_these_bytes_never_change() -> None:
    archive, manifest = written(Given(FILES))
    assert manifest.digest == "ba796f1cc25ab315ea8d57d0dd186226befc04a6ccc1a903ac619112e80cd934"
    assert (
        hashlib.sha256(archive).hexdigest()
        == "c329f164ddf56b3be34811f06d48b4908ef163073499c02a09b35f44e6c9e3bb"
    )


def test_how_the_content_came_makes_no_difference() -> None:
    assert written(Given(FILES, block=7)) == written(Given(dict(reversed(FILES.items()))))


def test_the_archive_is_taken_again_as_the_same_tree_and_makes_the_same_archive() -> None:
    archive, manifest = written(Given(FILES))
    content = open_archive(io.BytesIO(archive), limits=LIMITS, unwrap=False)
    again = io.BytesIO()
    assert write_archive(content, again, progress=lambda _files, _bytes: None) == manifest
    assert again.getvalue() == archive


def test_pythons_own_reader_finds_the_files_and_their_rights() -> None:
    archive, _manifest = written(Given(FILES))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == FILES
        rights = {info.filename: oct(info.external_attr >> 16) for info in opened.infolist()}
        assert rights["bin/run"] == "0o100755"
        assert rights["README.md"] == "0o100644"


@pytest.mark.parametrize("tool", [("unzip", "-tqq"), ("bsdtar", "-tf")])
def test_other_tools_read_it(tool: tuple[str, str], tmp_path: Path) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    place = tmp_path / "archive.zip"
    place.write_bytes(written(Given(FILES))[0])
    subprocess.run([*tool, str(place)], check=True, capture_output=True)


@pytest.mark.parametrize("size", [7, 9])
def test_a_file_of_another_size_than_was_announced_is_refused(size: int) -> None:
    with pytest.raises(ContentRefused) as refused:
        written(Given({"README.md": FILES["README.md"]}, announced={"README.md": size}))
    assert (refused.value.reason, refused.value.entry) == (Refusal.SIZE_MISMATCH, "README.md")


def test_content_without_a_file_is_refused() -> None:
    with pytest.raises(ContentRefused) as refused:
        written(Given({}))
    assert refused.value.reason is Refusal.NOTHING_LEFT


def test_progress_is_told_after_every_block_and_may_end_the_work() -> None:
    told: list[tuple[int, int]] = []

    def stop_at_the_fourth(files: int, size: int) -> None:
        told.append((files, size))
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_archive(Given({"a": b"1" * 2000, "b": b"2" * 2000}), io.BytesIO(), progress=stop_at_the_fourth)
    assert told == [(0, 1000), (0, 2000), (1, 2000), (1, 3000)]


def test_a_file_that_lies_further_than_four_bytes_count_is_refused_before_it_is_read() -> None:
    far = Given({"a": b"", "b": b""}, announced={"a": 0, "b": (1 << 32) - 60})
    with pytest.raises(ContentRefused) as refused:
        written(far)
    assert (refused.value.reason, refused.value.entry) == (Refusal.TOO_MANY_BYTES, "b")


def test_a_source_that_mixes_up_the_order_is_noticed() -> None:
    with pytest.raises(ValueError, match="sorted"):
        written(Given(FILES, is_sorted=False))


def test_what_is_held_in_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    large = Given({"a": b"\0" * (8 << 20), "b": b"\1" * (8 << 20)}, block=1 << 16)
    with (tmp_path / "archive.zip").open("w+b") as target:
        tracemalloc.start()
        try:
            write_archive(large, target, progress=lambda _files, _bytes: None)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
    with zipfile.ZipFile(tmp_path / "archive.zip") as opened:
        assert opened.testzip() is None


def test_more_files_than_the_old_format_counts_are_all_there(tmp_path: Path) -> None:
    many = {f"{number:05}": b"" for number in range(66_000)}
    place = tmp_path / "archive.zip"
    with place.open("w+b") as target:
        manifest = write_archive(Given(many), target, progress=lambda _files, _bytes: None)
    with zipfile.ZipFile(place) as opened:
        assert len(opened.namelist()) == manifest.files == 66_000
    for tool in (("unzip", "-Z1"), ("bsdtar", "-tf")):
        if shutil.which(tool[0]) is not None:
            listed = subprocess.run([*tool, str(place)], check=True, capture_output=True).stdout
            assert listed.count(b"\n") == 66_000
