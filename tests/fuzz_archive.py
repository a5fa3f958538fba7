"""Feeds the reader of ZIP archives with made-up ones, and looks whether what must hold does hold.

    python -m tests.fuzz_archive --inputs 2000000 --seed 1 --workers 2

Of ten inputs, six come from a grammar and from changes to what it makes; four are led by coverage: what reaches a
part of the reader that was not reached before is kept, and changed further (tests/block_coverage.py). Of those
that are accepted, each is shown to Python's zipfile, and one in 20 to ``unzip -l`` and ``bsdtar -t``: all must
see the same names and sizes. A worker may use 256 MiB of memory.

The same seed gives the same inputs. An input that fails is written, in hexadecimal, into a file; give that to
``--replay``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests import peak
from tests.block_coverage import Marks, mark

if TYPE_CHECKING:
    pass

MEMORY: Final = 256 << 20
_PYTHON_SEES, _OTHERS_SEE = 1, 20
_GUIDED_IN_TEN: Final = 4
_CHILDREN: Final = 3
"""How many changed ones follow each archive of the grammar."""
_SUBDIRECTORIES = ("", "", "", "", "docs", "a", "é", "../a")
_SEEDS: Final = 4096


class Worker:
    """One process's share: makes inputs, judges them, and stops at the first that fails."""

    def __init__(self, *, seed: str, inputs: int, failures: Path, marks: Marks) -> None:
        # These are marked while they are imported, so not before.
        from tests.credentials.sources.archive import grammar, oracle  # noqa: PLC0415

        self.counts: Counter[str] = Counter()
        self._grammar, self._judge = grammar, oracle.judge
        self._chance = random.Random(seed)
        self._seed, self._inputs, self._failures, self._marks = seed, inputs, failures, marks
        self._kept = [grammar.archive(self._chance) for _number in range(20)]
        self._reached = 0
        self._recent: list[bytes] = list(self._kept)

    def run(self) -> None:
        while self.counts["inputs"] < self._inputs:
            if self.counts["guided"] * 10 < self.counts["inputs"] * _GUIDED_IN_TEN:
                self._guided()
            else:
                self._from_grammar()

    def _from_grammar(self) -> None:
        data = self._grammar.archive(self._chance)
        self._recent[self._chance.randrange(len(self._recent))] = data
        self.look(data)
        for _number in range(_CHILDREN):
            self.look(self._grammar.mutated(self._chance, data, self._recent))

    def _guided(self) -> None:
        data = self._grammar.mutated(self._chance, self._chance.choice(self._kept), self._kept)
        self.counts["guided"] += 1
        self.look(data)

    def look(self, data: bytes) -> None:
        """Judge one input, and keep it where it reached something new."""
        self.counts["inputs"] += 1
        try:
            self._look(data)
        except Exception as error:
            path = self._failures / f"archive-{os.getpid()}-{self.counts['inputs']}.hex"
            path.write_text(data.hex() + "\n", "ascii")
            error.add_note(f"seed {self._seed}, input {self.counts['inputs']}, written to {path}")
            raise
        reached = self._marks.taken()
        if reached & ~self._reached and len(self._kept) < _SEEDS and len(data) < _SEEDS:
            self._reached |= reached
            self._kept.append(data)

    def _look(self, data: bytes) -> None:
        found = self._judge(
            data, unwrap=self._chance.random() < 0.5, subdirectory=self._chance.choice(_SUBDIRECTORIES)
        )
        if isinstance(found, str):
            self.counts[found] += 1
            return
        self.counts["accepted"] += 1
        if not self.counts["accepted"] % _PYTHON_SEES:
            self._compare(data, outside=not self.counts["accepted"] % _OTHERS_SEE)

    def _compare(self, data: bytes, *, outside: bool) -> None:
        from tests.credentials.sources.archive import agreement  # noqa: PLC0415

        agreement.check_python(data)
        self.counts["shown to zipfile"] += 1
        if outside:
            self.counts["shown to unzip and bsdtar"] += agreement.check_others(data)

    @property
    def blocks(self) -> tuple[int, int]:
        return self._reached.bit_count(), len(self._marks.marks)


def main(words: list[str] | None = None) -> int:
    """Run the workers and print what became of the inputs; 1 where one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz_archive", description="Fuzz the reader of archives."
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="how many, over all workers")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--failures", type=Path, default=Path(tempfile.gettempdir()), help="where failing inputs go"
    )
    parser.add_argument("--replay", type=Path, help="judge the one input in this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.worker or given.replay:
        return _work(given)
    return _lead(given)


def _lead(given: argparse.Namespace) -> int:
    started = time.monotonic()
    share = -(-given.inputs // given.workers)
    common = ["--inputs", str(share), "--failures", str(given.failures)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz_archive", *common, "--worker", f"{given.seed}/{number}"],
            stdout=subprocess.PIPE,
        )
        for number in range(given.workers)
    ]
    counts: Counter[str] = Counter()
    said = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        return 1
    memory = 0
    for answer in map(json.loads, said):
        memory = max(memory, answer.pop("memory"))
        counts.update(answer)
    _print(counts, memory, time.monotonic() - started)
    return 0


def _print(counts: Counter[str], memory: int, seconds: float) -> None:
    rate = counts["inputs"] / seconds
    print(f"{counts['inputs']:,} inputs in {seconds:.0f} s ({rate:,.0f} a second), none of them escaped.")
    print(f"Most memory of a worker: {memory / (1 << 20):.0f} MiB.")
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        print(f"{count:>10,}  {name}")


def _work(given: argparse.Namespace) -> int:
    marks = mark("credentials.sources.archive", "credentials.sources.paths")
    worker = Worker(seed=given.worker or "replay", inputs=given.inputs, failures=given.failures, marks=marks)
    if given.replay:
        worker.look(bytes.fromhex(given.replay.read_text("ascii")))
        return 0
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    worker.run()
    # Not ru_maxrss: that also counts what the process had that started this one.
    memory = peak.resident(os.getpid())
    reached, blocks = worker.blocks
    print(json.dumps({**worker.counts, "memory": memory}))
    print(f"Worker {given.worker}: {reached} of {blocks} blocks reached.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
