"""What we accept, other readers see the same: unzip, bsdtar and zipfile. What other tools make, we accept."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import subprocess
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from credentials.sources.archive import data, ending, layout, open_archive, records
from credentials.sources.archive.records import Record
from credentials.sources.content import ContentLimits
from credentials.verdicts.refusals import Remark
from tests.credentials.sources.archive import agreement, foreign
from tests.credentials.sources.archive.building import (
    DESCRIPTOR,
    FAT,
    FOLDER,
    STORED,
    UTF_8,
    Item,
    build,
    extra,
)
from tests.credentials.sources.archive.corpus import CORPUS, Case

ACCEPTED = [case for case in CORPUS if isinstance(case.becomes, tuple)]
LIMITS = ContentLimits(files=2000, bytes=64 << 20, file_bytes=16 << 20)
# One for small letters, two for signs, and so on: names as people have them.
FOLDERS = ("docs", "docs/guide", "src", "src/app/core", "tests", "Übersicht", "日本語", "a b")
FILES = 300


def require(*programs: str) -> None:
    """Leave a test out where a program is missing; in the main job that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("FORGEKEY_REQUIRE_ALL"):
        pytest.fail(f"missing: {missing}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def contents(archive: bytes) -> list[tuple[Record, bytes]]:
    """Every entry with its bytes, in the order of the entries, those that are left out too."""
    file = io.BytesIO(archive)
    directory = ending.find(file, len(archive))
    found = list(records.read(file, directory))
    offsets = layout.data_offsets(file, found, directory)
    pairs = sorted(zip(offsets, found, strict=True), key=lambda pair: pair[0])
    return [(record, b"".join(data.blocks(file, record, offset))) for offset, record in pairs]


def check(archive: bytes, folder: Path) -> None:
    """unzip, bsdtar and Python must see what we see: names, sizes and bytes."""
    require("unzip", "bsdtar")
    agreement.check_python(archive)
    assert agreement.check_others(archive)
    path = folder / "archive.zip"
    path.write_bytes(archive)
    found = contents(archive)
    is_link = [stat.S_ISLNK(record.mode) for record, _content in found]
    assert foreign.bsdtar_sizes(path) == sorted(
        0 if link else record.size for (record, _content), link in zip(found, is_link, strict=True)
    )
    plain = [content for (_record, content), link in zip(found, is_link, strict=True) if not link]
    assert foreign.untarred(path) == b"".join(plain)
    order = {record.offset: content for record, content in found}
    assert foreign.unzipped(path) == b"".join(
        order[record.offset] for record in agreement.directory_of(archive)
    )


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_others_see_in_a_crafted_archive_what_we_see(case: Case, tmp_path: Path) -> None:
    check(case.data, tmp_path)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library as people have them, some megabytes of it, in a repository."""
    chance = random.Random(5)
    root = tmp_path_factory.mktemp("tree") / "library"
    for number in range(FILES):
        path = root / chance.choice(FOLDERS) / f"file {number}.{chance.choice(('md', 'py', 'json', 'png'))}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(chance.randbytes(chance.randrange(60_000)))
        else:
            path.write_text("one line and another\n" * chance.randrange(500), "utf-8")
        path.chmod(0o755 if chance.random() < 0.1 else 0o644)
    (root / "empty").touch()
    (root / unicodedata.normalize("NFD", "Café.md")).write_text("au lait", "utf-8")
    (root / "latest").symlink_to("docs")
    git = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b.c",
        "-c",
        "core.precomposeUnicode=false",
    ]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "All"]):
        subprocess.run([*git, *words], check=True)
    return root


def files_of(tree: Path) -> dict[str, tuple[bytes, bool]]:
    """Path, content and the right to execute, as they are to be taken."""
    return {
        unicodedata.normalize("NFC", path.relative_to(tree).as_posix()): (
            path.read_bytes(),
            bool(path.stat().st_mode & 0o100),
        )
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink() and ".git" not in path.relative_to(tree).parts
    }


Maker = Callable[[Path, Path], None]


def by(*command: str) -> Maker:
    """Runs ``command`` in the folder above the tree, with the archive's path in place of ``OUT``."""

    def make(tree: Path, archive: Path) -> None:
        require(command[0])
        words = [str(archive) if word == "OUT" else word for word in command]
        subprocess.run(words, check=True, cwd=tree.parent, env={**os.environ, "LC_ALL": "C.UTF-8"})

    return make


def git_archive(tree: Path, archive: Path) -> None:
    words = ["archive", "--format=zip", "--prefix=library/", "-o", str(archive), "HEAD"]
    subprocess.run(["git", "-C", str(tree), *words], check=True)


def python(tree: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in sorted(tree.rglob("*")):
            if ".git" not in path.parts and not path.is_symlink():
                writer.write(path, path.relative_to(tree.parent).as_posix())


def entries(tree: Path) -> Sequence[tuple[str, Path]]:
    found = [path for path in sorted(tree.rglob("*")) if ".git" not in path.parts and not path.is_symlink()]
    return [(path.relative_to(tree.parent).as_posix(), path) for path in found]


def as_finder(tree: Path, archive: Path) -> None:
    """Names decomposed and without the flag of UTF-8, sizes after the data, a companion for each file."""
    items = []
    for name, path in entries(tree):
        raw = unicodedata.normalize("NFD", name).encode()
        times = {"extra": extra(0x5855, bytes(12))}
        if path.is_dir():
            items.append(Item(name=raw + b"/", mode=FOLDER, method=STORED, local=times, central=times))
            continue
        mode = 0o100755 if path.stat().st_mode & 0o100 else 0o100644
        content = path.read_bytes()
        items.append(
            Item(name=raw, content=content, mode=mode, descriptor="signed", local=times, central=times)
        )
        above, _stroke, last = raw.rpartition(b"/")
        companion = b"__MACOSX/" + above + b"/._" + last
        items.append(Item(name=companion, content=bytes(120), mode=mode, descriptor="signed"))
    archive.write_bytes(build(*items))


def as_explorer(tree: Path, archive: Path) -> None:
    """From Windows: no folders of their own, no rights, names with the flag of UTF-8 where they need it."""
    archive.write_bytes(
        build(
            *(
                Item(name=name, content=path.read_bytes(), mode=0, system=FAT, central={"attributes": 0x20})
                for name, path in entries(tree)
                if path.is_file()
            )
        )
    )


def as_java(tree: Path, archive: Path) -> None:
    """Sizes after the data, every name with the flag of UTF-8, a mark of Java at the first entry."""
    mark = {"extra": extra(0xCAFE, b"")}
    items = [
        Item(name=f"{name}/", method=STORED, mode=0, system=FAT, flags=UTF_8)
        if path.is_dir()
        else Item(
            name=name,
            content=path.read_bytes(),
            mode=0,
            system=FAT,
            flags=UTF_8 | DESCRIPTOR,
            descriptor="signed",
        )
        for name, path in entries(tree)
    ]
    items[0].local = items[0].central = mark
    archive.write_bytes(build(*items))


def as_seven_zip(tree: Path, archive: Path) -> None:
    """Times of NTFS in the directory alone."""
    times = extra(0x000A, bytes(4) + b"\1\0\x18\0" + bytes(24))
    archive.write_bytes(
        build(
            *(
                Item(
                    name=f"{name}/" if path.is_dir() else name,
                    content=b"" if path.is_dir() else path.read_bytes(),
                    method=STORED if path.is_dir() else 8,
                    system=FAT,
                    central={"attributes": 0x10 if path.is_dir() else 0x20, "extra": times},
                )
                for name, path in entries(tree)
            )
        )
    )


# With the right to execute, and the link, where the tool keeps them.
MAKERS: dict[str, tuple[Maker, bool, bool]] = {
    "git archive": (git_archive, True, True),
    "zip -r": (by("zip", "-qry", "OUT", "library"), True, True),
    "zip -0": (by("zip", "-qry0", "OUT", "library"), True, True),
    "bsdtar": (by("bsdtar", "--format", "zip", "-cf", "OUT", "library"), True, True),
    "Python": (python, True, False),
    "as the Finder": (as_finder, True, False),
    "as the Explorer": (as_explorer, False, False),
    "as Java": (as_java, False, False),
    "as 7-Zip": (as_seven_zip, False, False),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_common_tools_make_is_taken_whole_and_seen_alike(name: str, tree: Path, tmp_path: Path) -> None:
    make, has_rights, has_link = MAKERS[name]
    path = tmp_path / "made.zip"
    make(tree, path)
    with path.open("rb") as file:
        content = open_archive(file, limits=LIMITS, unwrap=True)
        found = {planned.path: (b"".join(blocks), planned.executable) for planned, blocks in content.read()}
    expected = {path: (data, right and has_rights) for path, (data, right) in files_of(tree).items()}
    assert found == expected
    assert content.unwrapped == "library"
    said = {remarked.path: remarked.remark for remarked in content.remarks}
    assert ("latest" in said) == has_link
    assert said.get("latest", Remark.SYMLINK) == Remark.SYMLINK
    check(path.read_bytes(), tmp_path)
