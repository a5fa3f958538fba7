"""The canonical form of a tree: a sorted manifest, and a digest that is equal for equal content.

The text of a manifest is one line that names the format, then for each file, sorted by the bytes of its path::

    <mode> <sha256> <size> <path>\\n

``mode`` is ``100644``, or ``100755`` where the file may be executed, as Git writes them; the path is in UTF-8 and
composed (NFC), and holds no line end. The digest is the SHA-256 of this text, so whoever has the manifest can
prove it, and whoever has the files can make it again with nothing but ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FORMAT: Final = "forgekey-tree-v1"
PLAIN, EXECUTABLE = "100644", "100755"

# No number and no mode can be written in two ways.
_LINE = re.compile(rf"({PLAIN}|{EXECUTABLE}) ([0-9a-f]{{64}}) (0|[1-9][0-9]{{0,18}}) ([^\n]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file: ``size`` in bytes, ``sha256`` in hexadecimal."""

    path: str
    size: int
    sha256: str
    executable: bool = False

    @property
    def mode(self) -> str:
        return EXECUTABLE if self.executable else PLAIN


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one tree, sorted by the bytes of their paths.

    Raises ValueError for entries in another order, for a path that comes twice, and for one with a line end in
    it: such a tree would have the text of another one.
    """

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if any(not entry.path or "\n" in entry.path for entry in self.entries):
            raise ValueError("a manifest has a path that no file may have")
        names = (entry.path.encode() for entry in self.entries)
        if any(one >= other for one, other in pairwise(names)):
            raise ValueError("a manifest's paths are not sorted, or come twice")

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Manifest:
        """The manifest of ``entries``, in whatever order they come."""
        return cls(tuple(sorted(entries, key=lambda entry: entry.path.encode())))

    @property
    def files(self) -> int:
        return len(self.entries)

    @property
    def total_bytes(self) -> int:
        return sum(entry.size for entry in self.entries)

    @property
    def text(self) -> bytes:
        """The text whose SHA-256 is the digest."""
        return b"".join(self._lines())

    def _lines(self) -> Iterator[bytes]:
        yield f"{FORMAT}\n".encode()
        for entry in self.entries:
            yield f"{entry.mode} {entry.sha256} {entry.size} {entry.path}\n".encode()

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        found = hashlib.sha256()
        for line in self._lines():
            found.update(line)
        return found.hexdigest()

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """The manifest that :attr:`text` wrote; raises ValueError for anything else."""
        head, *lines = text.decode().split("\n")
        if head != FORMAT or lines[-1:] != [""]:
            raise ValueError("no manifest of this format")
        return cls(tuple(_entries(lines[:-1])))


def _entries(lines: Sequence[str]) -> Iterator[Entry]:
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError("a manifest has a line that says something else")
        mode, sha256, size, path = found.groups()
        yield Entry(path=path, size=int(size), sha256=sha256, executable=mode == EXECUTABLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What one tree has that another has not, each sorted by path.

    ``moved`` are pairs (before, after) of the same content under another name.
    """

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    moved: tuple[tuple[Entry, Entry], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.moved)


def difference(before: Manifest, after: Manifest) -> Difference:
    """What became of ``before`` in ``after``."""
    old = {entry.path: entry for entry in before.entries}
    new = {entry.path: entry for entry in after.entries}
    added = [entry for path, entry in new.items() if path not in old]
    removed = [entry for path, entry in old.items() if path not in new]
    moved = _moved(removed, added)
    gone, come = {pair[0].path for pair in moved}, {pair[1].path for pair in moved}
    return Difference(
        added=tuple(entry for entry in added if entry.path not in come),
        removed=tuple(entry for entry in removed if entry.path not in gone),
        changed=tuple(
            (old[path], entry) for path, entry in new.items() if path in old and old[path] != entry
        ),
        moved=tuple(moved),
    )


def _moved(removed: Sequence[Entry], added: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """The same content under another name; an empty file is nobody's."""
    places: dict[tuple[str, bool], list[Entry]] = {}
    for entry in reversed(removed):
        if entry.size:
            places.setdefault((entry.sha256, entry.executable), []).append(entry)
    pairs = []
    for entry in added:
        if waiting := places.get((entry.sha256, entry.executable)):
            pairs.append((waiting.pop(), entry))
    return pairs
