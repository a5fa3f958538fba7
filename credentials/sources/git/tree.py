"""Plans which files of a commit are taken: read as git lists them, and no further than is allowed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext_lazy as _

from credentials.errors import ContentRefused, SubdirectoryNotFound
from credentials.sources import paths
from credentials.sources.content import ContentLimits, PlannedFile, Remarked
from credentials.sources.git.repository import Repository
from credentials.sources.paths import Names, shown
from credentials.verdicts.refusals import Refusal, Remark

RECORD_BYTES: Final = 4096
"""More than a line of the longest path that is taken; a longer one is not waited for."""

_RECORD = re.compile(
    rb"(?P<mode>[0-7]{6}) (?P<kind>[a-z]+) (?P<id>[0-9a-f]{40,64}) +(?P<size>[0-9]+|-)\t(?P<path>.+)",
    re.DOTALL,
)
_FOLDER = re.compile(rb"(?P<id>[0-9a-f]{40}|[0-9a-f]{64}) tree [0-9]+")
_FILES = {b"100644": False, b"100664": False, b"100755": True}
_LEFT_OUT = {b"120000": Remark.SYMLINK, b"160000": Remark.SUBMODULE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What of a tree is taken, and what is remarked on it before anything is read."""

    files: tuple[PlannedFile, ...]
    remarks: tuple[Remarked, ...]


def plan(repository: Repository, commit: str, *, subdirectory: str = "") -> Planned:
    """The files below a folder of a commit, by the rules of :mod:`credentials.sources.paths`.

    Raises SubdirectoryNotFound, ContentRefused and TimeExceeded.
    """
    top = _folder(repository, commit, subdirectory) if subdirectory else commit
    limits = repository.limits
    found = _Found(limits=limits)
    words = ["ls-tree", "-r", "-t", "-z", "-l", "--full-tree", "--end-of-options", top]
    with repository.started(words, output_bytes=3 * (limits.files + 1) * RECORD_BYTES) as running:
        for record in records(running.blocks()):
            found.add(record)
        repository.check(running)
    return found.planned()


def folder_form(subdirectory: str) -> str:
    """``subdirectory`` as a path inside a tree; raises SubdirectoryNotFound for what cannot be one."""
    try:
        return paths.checked(subdirectory)
    except ContentRefused as problem:
        raise SubdirectoryNotFound(
            _("This is not the path of a folder. Write it like cases/web, without a slash at its ends.")
        ) from problem


def _folder(repository: Repository, commit: str, subdirectory: str) -> str:
    """The id of the tree at a path; names are kept composed here, and may be otherwise there."""
    composed = folder_form(subdirectory)
    forms = dict.fromkeys([subdirectory, composed, unicodedata.normalize("NFD", composed)])
    with (
        repository.lines(f"{commit}:{form}" for form in forms) as source,
        repository.started(["cat-file", "--batch-check"], output_bytes=64 * 1024, source=source) as running,
    ):
        output = b"".join(running.blocks())
        repository.check(running)
    for line in output.split(b"\n"):
        if match := _FOLDER.fullmatch(line):
            return match["id"].decode("ascii")
    raise SubdirectoryNotFound(
        _("There is no such folder at this branch, tag or commit. Choose one that there is.")
    )


def records(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What stands between NUL bytes; raises ContentRefused for more than :data:`RECORD_BYTES` without one."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
        if len(rest) > RECORD_BYTES:
            raise ContentRefused(
                Refusal.PATH_TOO_LONG, entry=shown(rest.decode("utf-8", "replace")), limit=paths.PATH_BYTES
            )


def text_of(path: bytes) -> str:
    """A path as text; raises ContentRefused where its bytes are none."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError as problem:
        entry = shown(path.decode("utf-8", "replace"))
        raise ContentRefused(Refusal.PATH_ENCODING, entry=entry) from problem


@dataclass(slots=True)
class _Found:
    """What was listed so far."""

    limits: ContentLimits
    total_bytes: int = 0
    folders: int = 0
    files: list[PlannedFile] = field(default_factory=list)
    remarks: list[Remarked] = field(default_factory=list)
    names: Names = field(default_factory=Names)

    def add(self, record: bytes) -> None:
        match = _RECORD.fullmatch(record)
        if match is None:
            raise ContentRefused(Refusal.OBJECT_INVALID)
        mode, name = match["mode"], text_of(match["path"])
        if match["kind"] == b"tree":
            # Without folders in the list, one that holds nothing but folders would be walked in silence.
            self.folders += 1
            paths.checked(name)
        elif mode in _LEFT_OUT:
            self.remarks.append(Remarked(path=shown(name), remark=_LEFT_OUT[mode]))
        elif mode in _FILES and match["kind"] == b"blob" and match["size"] != b"-":
            self._add_file(name, int(match["size"]), match["id"].decode("ascii"), executable=_FILES[mode])
        else:
            raise ContentRefused(Refusal.OBJECT_INVALID, entry=shown(name))
        if max(len(self.files), len(self.remarks), self.folders) > self.limits.files:
            raise ContentRefused(Refusal.TOO_MANY_FILES, limit=self.limits.files)

    def _add_file(self, name: str, size: int, key: str, *, executable: bool) -> None:
        path = paths.checked(name)
        self.names.add(path, entry=name)
        if size > self.limits.file_bytes:
            raise ContentRefused(Refusal.FILE_TOO_LARGE, entry=shown(path), limit=self.limits.file_bytes)
        self.total_bytes += size
        if self.total_bytes > self.limits.bytes:
            raise ContentRefused(Refusal.TOO_MANY_BYTES, limit=self.limits.bytes)
        if path != name:
            self.remarks.append(Remarked(path=shown(path), remark=Remark.COMPOSED_NAME))
        self.files.append(PlannedFile(path=path, size=size, executable=executable, key=key))

    def planned(self) -> Planned:
        if not self.files:
            raise ContentRefused(Refusal.NOTHING_LEFT)
        return Planned(
            files=tuple(sorted(self.files, key=lambda file: file.path.encode())), remarks=tuple(self.remarks)
        )
