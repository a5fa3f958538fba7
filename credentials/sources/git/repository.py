"""A bare repository in a folder of ours, and how much work in it may use of everything."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from credentials.errors import ContentRefused, StorageUnavailable, TimeExceeded
from credentials.sources.child import Limits, Running
from credentials.sources.content import ContentLimits, Progress
from credentials.sources.git import invocation, refusals
from credentials.sources.git.invocation import Journey, Said
from credentials.sources.git.messages import Messages
from credentials.verdicts.refusals import Refusal

FETCHED: Final = "refs/forgekey/fetched"

_MIB = 1 << 20
_LEAST_MEMORY = 512 * _MIB
_ANSWER_BYTES = 64 * 1024
# Git reads and checks at least as much in a second, also on a slow machine.
_BYTES_A_SECOND = 8 * _MIB
_LEAST_CPU_SECONDS = 20
_OUT_OF_TIME = (-signal.SIGKILL, -signal.SIGXCPU)


class Repository:
    """A repository that does not exist yet at ``path``; its work is over ``seconds`` from now.

    ``progress`` is told how many objects have arrived, of how many, at least twice a second while git works.
    """

    def __init__(self, path: Path, *, limits: ContentLimits, seconds: float, progress: Progress) -> None:
        self.path = path
        self.limits = limits
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._progress = progress
        self._messages = Messages()

    def seconds_left(self) -> float:
        """Raises TimeExceeded where there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._time_exceeded()
        return left

    def watch(self) -> None:
        """Tell how far it is."""
        self._progress(self._messages.done, self._messages.total)

    def make(self, *, object_format: str) -> None:
        """Make it. ``object_format`` is ``sha1`` or ``sha256``. Raises StorageUnavailable."""
        words = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]
        words += [f"--object-format={object_format}"]
        said = self._run(words, None, self._limits(file_bytes=_MIB, output_bytes=_ANSWER_BYTES))
        if said.outcome.status != 0:
            raise StorageUnavailable("the folder for this import cannot be written to")

    def fetch(
        self, journey: Journey, refspecs: Sequence[str], *, depth: int = 1, leaving_out: str = ""
    ) -> Said:
        """Fetch by full refspecs, ``depth`` commits of each; ``leaving_out`` is a filter of git-rev-list(1).

        Raises TimeExceeded, and what :func:`credentials.sources.git.invocation.started` raises.
        """
        words = ["fetch", "--progress", f"--depth={depth}", "--no-tags", "--no-recurse-submodules"]
        words += ["--no-write-fetch-head", "--no-auto-maintenance"]
        words += [f"--filter={leaving_out}"] if leaving_out else []
        words += ["--end-of-options", invocation.canonical_url(journey.remote), *refspecs]
        limits = self._limits(file_bytes=self._pack_bytes, output_bytes=_ANSWER_BYTES)
        return self._run(words, journey, limits)

    def raise_failure(self, said: Said, journey: Journey) -> None:
        """Raise what a fetch means that did not succeed: ContentRefused and StorageUnavailable before what concerns
        the host."""
        if said.outcome.status != 0:
            if problem := refusals.problem_in(said.text, self.limits):
                raise problem
            if refusals.is_out_of_time(said.text):
                raise TimeExceeded(limit=self._cpu_seconds)
        invocation.raise_failure("git fetch", said, journey)

    def commit_at(self, name: str) -> str:
        """The id of the commit that a full ref or an id leads to, empty where there is none."""
        words = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        said = self._run(words, None, self._limits(output_bytes=_ANSWER_BYTES))
        return said.outcome.output.decode("ascii").strip() if said.outcome.status == 0 else ""

    @contextmanager
    def started(
        self,
        words: Sequence[str],
        *,
        output_bytes: int,
        source: IO[bytes] | None = None,
        is_watched: bool = True,
    ) -> Iterator[Running]:
        """A git command that stays on this machine, to be read while it works. Where whoever reads tells how far it
        is, it need not be watched."""
        with invocation.started(
            words,
            journey=None,
            limits=self._limits(output_bytes=output_bytes),
            deadline=self._deadline,
            repository=self.path,
            source=source.fileno() if source else None,
            watch=self.watch if is_watched else None,
        ) as running:
            yield running

    def check(self, running: Running) -> None:
        """Raise TimeExceeded, or ContentRefused, where a command that was read to its end did not succeed."""
        if running.over_time:
            raise self._time_exceeded()
        status = running.outcome().status
        if status in _OUT_OF_TIME:
            raise TimeExceeded(limit=self._cpu_seconds)
        if status != 0:
            raise ContentRefused(Refusal.OBJECT_INVALID)

    @contextmanager
    def lines(self, lines: Iterable[str]) -> Iterator[IO[bytes]]:
        """A file that holds these lines and has no name. Raises StorageUnavailable."""
        try:
            file = tempfile.TemporaryFile(dir=self.path)  # noqa: SIM115  # closed below
        except OSError as problem:
            raise StorageUnavailable("the disk takes nothing at present") from problem
        with file:
            try:
                file.writelines(f"{line}\n".encode() for line in lines)
                file.seek(0)
            except OSError as problem:
                raise StorageUnavailable("the disk takes nothing at present") from problem
            yield file

    @property
    def _pack_bytes(self) -> int:
        # What lies in a pack is compressed, but for what cannot be; folders come on top.
        return self.limits.bytes + self.limits.bytes // 16 + 256 * self.limits.files + _MIB

    @property
    def _cpu_seconds(self) -> int:
        return _LEAST_CPU_SECONDS + self.limits.bytes // _BYTES_A_SECOND

    def _limits(self, *, output_bytes: int, file_bytes: int = 0) -> Limits:
        # A file that was sent as a difference is put together in memory, with what it differs from.
        memory = max(_LEAST_MEMORY, 128 * _MIB + 3 * self.limits.file_bytes)
        return Limits(
            cpu_seconds=self._cpu_seconds,
            memory_bytes=memory,
            file_bytes=file_bytes,
            output_bytes=output_bytes,
        )

    def _run(self, words: Sequence[str], journey: Journey | None, limits: Limits) -> Said:
        said = invocation.run(
            words,
            journey=journey,
            limits=limits,
            deadline=self._deadline,
            repository=self.path,
            watch=self.watch,
            sift=self._messages.sift,
        )
        if said.outcome.over_time:
            raise self._time_exceeded()
        return said

    def _time_exceeded(self) -> TimeExceeded:
        return TimeExceeded(limit=round(self._seconds))
