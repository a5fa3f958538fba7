"""Opens an archive as content: planned in whole, then read file by file."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from typing import BinaryIO

from credentials.errors import ContentRefused
from credentials.sources.archive import data, ending, layout, planning, records
from credentials.sources.archive.records import Record
from credentials.sources.content import ContentLimits, PlannedFile, Remarked
from credentials.sources.lfs import is_pointer
from credentials.sources.paths import shown
from credentials.verdicts.refusals import Refusal, Remark

_ENTRIES_PER_FILE = 3
_MORE_ENTRIES = 1000
_ENTRY_BYTES = 512
# As long as a path may be on Linux.
_LINK_BYTES = 4096


def open_archive(
    file: BinaryIO, *, limits: ContentLimits, unwrap: bool, subdirectory: str = ""
) -> ZipContent:
    """Plan the ZIP archive in ``file``, which can be positioned, stays the caller's, and must stay open and as it is
    while it is read.

    ``unwrap`` leaves out a single folder that stands around everything; ``subdirectory`` then takes what lies in
    that folder, and nothing else. Raises ContentRefused for an archive that breaks a rule, and SubdirectoryNotFound.
    Memory is bounded by ``limits.files``: the plan is kept, the bytes of files are not.
    """
    size = file.seek(0, os.SEEK_END)
    directory = ending.find(file, size)
    _check_directory(directory, limits)
    found = list(records.read(file, directory))
    if not subdirectory:
        planning.check_number(found, limits)
    offsets = layout.data_offsets(file, found, directory)
    plan = planning.plan(found, limits=limits, unwrap=unwrap, subdirectory=subdirectory)
    for record, offset in zip(found, offsets, strict=True):
        if stat.S_ISLNK(record.mode):
            _check_link(file, record, offset)
    return ZipContent(file, plan, found, offsets)


def _check_link(file: BinaryIO, record: Record, offset: int) -> None:
    """A link is left out, but readers that follow it while they list end at one that is damaged."""
    if record.size > _LINK_BYTES or record.packed > _LINK_BYTES:
        raise ContentRefused(Refusal.DATA_INVALID, entry=shown(record.name))
    for _block in data.blocks(file, record, offset):
        pass


def _check_directory(directory: ending.Directory, limits: ContentLimits) -> None:
    """A directory also names folders, and what is left out: links, and a companion of each file on macOS."""
    entries = _ENTRIES_PER_FILE * limits.files + _MORE_ENTRIES
    if directory.entries > entries:
        raise ContentRefused(Refusal.TOO_MANY_FILES, limit=limits.files)
    if directory.end - directory.start > entries * _ENTRY_BYTES:
        raise ContentRefused(Refusal.DIRECTORY_TOO_LARGE, limit=entries * _ENTRY_BYTES)


class ZipContent:
    """The content of an archive; see :class:`credentials.sources.content.Content`.

    ``unwrapped`` is the folder that stood around everything and was left out, or empty. A file's ``key`` is its
    name in the archive.
    """

    def __init__(
        self, file: BinaryIO, plan: planning.Plan, found: Sequence[Record], offsets: Sequence[int]
    ) -> None:
        self.unwrapped = plan.unwrapped
        self._file = file
        self._places = [(found[taken.number], offsets[taken.number]) for taken in plan.taken]
        self._files = tuple(
            PlannedFile(
                path=taken.path,
                size=found[taken.number].size,
                executable=planning.is_executable(found[taken.number]),
                key=found[taken.number].name,
            )
            for taken in plan.taken
        )
        self._remarks = plan.remarks
        self._pointers: dict[str, Remarked] = {}

    @property
    def files(self) -> Sequence[PlannedFile]:
        """Sorted by the bytes of their paths."""
        return self._files

    @property
    def remarks(self) -> Sequence[Remarked]:
        """In the order of their paths; complete once :meth:`read` has been read to its end."""
        return sorted([*self._remarks, *self._pointers.values()], key=lambda said: (said.path, said.remark))

    def read(self) -> Generator[tuple[PlannedFile, Iterator[bytes]], None, None]:
        """Every file in the order of :attr:`files` with its bytes. Raises ContentRefused where they are not what was
        announced; never gives more than that."""
        for planned, (record, offset) in zip(self._files, self._places, strict=True):
            yield planned, self._bytes_of(planned, record, offset)

    def _bytes_of(self, planned: PlannedFile, record: Record, offset: int) -> Iterator[bytes]:
        is_first = True
        for block in data.blocks(self._file, record, offset):
            if is_first and is_pointer(block, planned.size):
                self._pointers[planned.path] = Remarked(path=planned.path, remark=Remark.LFS_POINTER)
            is_first = False
            yield block
