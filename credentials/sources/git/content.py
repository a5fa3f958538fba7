"""The files of a fetched commit, and their bytes out of the repository."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence

from credentials.errors import ContentRefused
from credentials.sources import lfs
from credentials.sources.child import Running
from credentials.sources.content import PlannedFile, Remarked
from credentials.sources.git.repository import Repository
from credentials.sources.git.tree import Planned
from credentials.sources.paths import shown
from credentials.verdicts.refusals import Refusal, Remark

_HEAD = re.compile(rb"(?P<id>[0-9a-f]{40,64}) blob (?P<size>[0-9]+)")
_HEAD_BYTES = 200
_BEGINNING_BYTES = 1024


class GitContent:
    """Planned content of one commit (:class:`credentials.sources.content.Content`).

    ``ref`` is the full name of the branch or tag it was fetched by, empty where that was the ``commit``'s id.
    """

    def __init__(self, repository: Repository, planned: Planned, *, ref: str, commit: str) -> None:
        self.ref = ref
        self.commit = commit
        self._repository = repository
        self._files = planned.files
        self._remarks = dict.fromkeys(planned.remarks)

    @property
    def files(self) -> Sequence[PlannedFile]:
        """Sorted by the bytes of their paths."""
        return self._files

    @property
    def remarks(self) -> Sequence[Remarked]:
        """In the order of their paths; complete once everything was read."""
        return sorted(self._remarks, key=lambda remarked: (remarked.path.encode(), remarked.remark))

    def read(self) -> Generator[tuple[PlannedFile, Iterator[bytes]], None, None]:
        """See :meth:`credentials.sources.content.Content.read`. Git works until the last file was read, or the
        iterator is closed. Raises ContentRefused, TimeExceeded and StorageUnavailable."""
        # Each file's head, and the line end after it.
        most = sum(file.size + _HEAD_BYTES for file in self._files)
        with self._repository.lines(file.key for file in self._files) as source:
            words = ["cat-file", "--batch", "--buffer"]
            with self._repository.started(
                words, output_bytes=most, source=source, is_watched=False
            ) as running:
                stream = _Stream(running, self._repository)
                for file in self._files:
                    blocks = self._blocks(stream, file)
                    yield file, blocks
                    for _unread in blocks:
                        pass

    def _blocks(self, stream: _Stream, file: PlannedFile) -> Iterator[bytes]:
        """One file's bytes; git checked their hash when they came, here it is checked that they are still the same."""
        match = _HEAD.fullmatch(stream.line())
        if match is None or (match["id"].decode("ascii"), int(match["size"])) != (file.key, file.size):
            raise ContentRefused(Refusal.OBJECT_INVALID, entry=shown(file.path))
        digest = hashlib.new(_algorithm(file.key), b"blob %d\0" % file.size, usedforsecurity=False)
        beginning = b""
        for block in stream.take(file.size):
            digest.update(block)
            beginning = (beginning + block[:_BEGINNING_BYTES])[:_BEGINNING_BYTES]
            yield block
        if stream.line() or digest.hexdigest() != file.key:
            raise ContentRefused(Refusal.OBJECT_INVALID, entry=shown(file.path))
        if lfs.is_pointer(beginning, file.size):
            self._remarks[Remarked(path=shown(file.path), remark=Remark.LFS_POINTER)] = None


def _algorithm(key: str) -> str:
    return "sha1" if len(key) == hashlib.sha1(usedforsecurity=False).digest_size * 2 else "sha256"


class _Stream:
    """What git prints, cut into lines and pieces of a known size."""

    def __init__(self, running: Running, repository: Repository) -> None:
        self._blocks = running.blocks()
        self._running = running
        self._repository = repository
        self._rest = b""

    def line(self) -> bytes:
        while b"\n" not in self._rest[:_HEAD_BYTES]:
            if len(self._rest) > _HEAD_BYTES:
                raise ContentRefused(Refusal.OBJECT_INVALID)
            self._rest += self._next()
        line, _end, self._rest = self._rest.partition(b"\n")
        return line

    def take(self, size: int) -> Iterator[bytes]:
        while size:
            block = self._rest or self._next()
            part, self._rest = block[:size], block[size:]
            size -= len(part)
            yield part

    def _next(self) -> bytes:
        block = next(self._blocks, b"")
        if not block:
            self._repository.check(self._running)
            raise ContentRefused(Refusal.OBJECT_INVALID)
        return block
