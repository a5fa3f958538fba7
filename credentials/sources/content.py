"""What every source offers: the files that will be taken, what is left out, and each file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from credentials.verdicts.refusals import Remark


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFile:
    """A file that will be taken. ``size`` in bytes, as it was announced; ``key`` is the source's own name for it."""

    path: str
    size: int
    executable: bool
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Remarked:
    """Something that was left out or taken otherwise than it came; ``path`` is made for people to read."""

    path: str
    remark: Remark


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentLimits:
    """What one import may bring: ``files``, ``bytes`` of all of them, ``file_bytes`` of one."""

    files: int
    bytes: int
    file_bytes: int


class Content(Protocol):
    """Planned content. Nothing of it has been read yet, but everything that is wrong with the plan was said."""

    @property
    def files(self) -> Sequence[PlannedFile]:
        """Sorted by the bytes of their paths."""

    @property
    def remarks(self) -> Sequence[Remarked]:
        """In the order of their paths. Some are seen only in a file's bytes: complete once :meth:`read` has been
        read to its end."""

    def read(self) -> Generator[tuple[PlannedFile, Iterator[bytes]], None, None]:
        """Every file in the order of :attr:`files` with its bytes, in blocks of at most 1 MiB; each must be read to
        its end before the next. Raises ContentRefused where the bytes are not what was announced, or hold a
        bomb; never yields more than the announced size. Whoever stops before the end closes it
        (:func:`contextlib.closing`): a program may be at work behind it."""


# Told now and then how much was done, of how much; what it raises ends the work.
Progress = Callable[[int, int], None]
