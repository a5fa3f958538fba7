"""Two workers are killed in the middle of imports, again and again.

    python -m bench.killed_imports --kills 200

Real processes on a PostgreSQL of their own, imports by Git from an emulated host and by ZIP. At the end every import
has succeeded, or failed with a reason; none twice; and nothing is left: no folder, no file in the storage that no row
names, no row without its file, no process.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.stage import Program, Stage, set_up

if TYPE_CHECKING:
    from credentials.models import Import

_OPEN_AT_ONCE = 10
_PEOPLE = 6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.killed_imports", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600, help="stop killing after so long")
    parser.add_argument("--settle", type=float, default=300, help="how long the rest may take afterwards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="an empty PostgreSQL database; without it a server is started")
    options = parser.parse_args(arguments)
    # Every snapshot stays, to be counted.
    environment = {"CREDENTIALS_SNAPSHOTS_KEPT": "0"}
    with set_up(provider="sandbox", database=options.database, environment=environment) as stage:
        found = run(stage, options)
    report(found)


@dataclass(kw_only=True)
class Found:
    """What a run did, and what is wrong afterwards."""

    kills: int = 0
    met: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(stage: Stage, options: argparse.Namespace) -> Found:
    """Ask for imports, kill, settle, look."""
    dice, found = random.Random(options.seed), Found()
    wanted = _Wanted(stage, dice)
    workers = [
        stage.program(f"worker-{number}", "manage.py", "worker", "--no-refresher") for number in (1, 2)
    ]
    for worker in workers:
        worker.start()
    started = time.monotonic()
    while found.kills < options.kills and time.monotonic() - started < options.seconds:
        wanted.keep_busy()
        time.sleep(dice.uniform(0.0, 3.0))
        worker = dice.choice(workers)
        worker.must_run()
        met = _at_work(worker)
        if not met:
            continue
        # As the kernel does it that is short of memory: the process alone, not what it started.
        worker.kill(alone=True)
        worker.start()
        found.kills += 1
        found.met.update(met)
    found.seconds = time.monotonic() - started
    _settle(workers, seconds=options.settle)
    for worker in workers:
        worker.stop()
    _look(stage, found)
    return found


class _Wanted:
    """People who keep asking for imports."""

    def __init__(self, stage: Stage, dice: random.Random) -> None:
        from tests import builders  # noqa: PLC0415  only once Django is set up

        self._dice = dice
        self._stage = stage
        sandbox: Any = stage.provider.running  # type: ignore[attr-defined]  # the sandbox's
        self._host = builders.sandbox_host(sandbox, "github")
        self._people = [builders.user(f"person-{number}") for number in range(_PEOPLE)]
        for person in self._people:
            minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
            builders.credential(person, self._host, token=minted.token)
        self._asked = 0

    def keep_busy(self) -> None:
        from credentials.models import Import  # noqa: PLC0415  as above

        for _ in range(_OPEN_AT_ONCE - Import.objects.filter(ended_at=None).count()):
            self._ask()

    def _ask(self) -> Import:
        from django.utils import timezone  # noqa: PLC0415  as above

        from credentials.services.imports import requests  # noqa: PLC0415  as above
        from tests import builders  # noqa: PLC0415  as above

        self._asked += 1
        person = self._dice.choice(self._people)
        given: dict[str, Any] = {"actor": builders.SYSTEM, "owner": person, "now": timezone.now()}
        given["library"] = f"Library {self._dice.randrange(3)}"
        if self._asked % 2:
            name, ref = self._dice.choice(["acme/cases", "acme/public-cases"]), self._dice.choice(["", "dev"])
            return requests.request_git(**given, repository_url=f"{self._host.web_url}/{name}", ref=ref)
        return requests.request_zip(**given, upload=_packed(self._asked, self._dice), file_name="cases.zip")


def _packed(number: int, dice: random.Random) -> Any:
    """Enough to be in the middle of it for a while; every fifth is one that was there before."""
    from django.core.files.base import ContentFile  # noqa: PLC0415  only once Django is set up

    made, content = io.BytesIO(), number % 5
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("number", str(number if content else 0))
        for file in range(dice.choice([100, 3000])):
            archive.writestr(f"folder-{file % 9}/{file}", f"{file} " * 500)
    return ContentFile(made.getvalue())


def _at_work(worker: Program) -> list[str]:
    """What the worker is doing: the stage of what it runs; nothing where it runs nothing."""
    from credentials.models import Import  # noqa: PLC0415  only once Django is set up

    assert worker.process is not None
    holders = Import.objects.filter(state="running").values_list("holder", "source", "stage")
    mine = f":{worker.process.pid}:"
    return [f"{source} {stage or 'begins'}" for holder, source, stage in holders if mine in holder]


def _settle(workers: Sequence[Program], *, seconds: float) -> None:
    from credentials.models import Import  # noqa: PLC0415  only once Django is set up

    deadline = time.monotonic() + seconds
    work = Path(os.environ["DATA_DIR"]) / "imports" / "work"
    while time.monotonic() < deadline:
        is_tidy = not Import.objects.exclude(ended_at__isnull=False, archive="").exists()
        if is_tidy and not any(work.iterdir()):
            break
        for worker in workers:
            worker.must_run()
        time.sleep(0.5)


def _look(stage: Stage, found: Found) -> None:
    from credentials.models import Import  # noqa: PLC0415  only once Django is set up

    for job in Import.objects.all():
        found.states[job.state] += 1
        found.attempts[job.attempts] += 1
        reason = (job.error or job.verdict or {}).get("code", "")
        if job.state == "failed":
            found.reasons[reason] += 1
        if job.state not in {"succeeded", "failed"} or (job.state == "failed" and not reason):
            found.wrong.append(f"an import is {job.state}, {reason or 'without a reason'}")
    found.wrong += [*_twice(), *_left(stage)]


def _twice() -> Iterator[str]:
    from bench import accounts  # noqa: PLC0415  only once Django is set up
    from credentials.models import AuditEvent, Import, Snapshot  # noqa: PLC0415  as above

    ends = AuditEvent.objects.filter(action__in=("import.succeeded", "import.failed"))
    told = Counter(ends.values_list("reference", flat=True))
    for job in Import.objects.all():
        if told[str(job.pk)] != 1:
            yield f"an import has ended {told[str(job.pk)]} times"
    made = Import.objects.filter(state="succeeded", is_unchanged=False)
    if made.count() != Snapshot.objects.count() or made.values("snapshot").distinct().count() != made.count():
        yield f"{made.count()} imports made {Snapshot.objects.count()} snapshots"
    trail = accounts.trail()
    if trail != "holds":
        yield f"the trail: {trail}"


def _left(stage: Stage) -> Iterator[str]:
    from credentials.models import Import, StoredTree  # noqa: PLC0415  as above

    data = Path(os.environ["DATA_DIR"])
    storage = data / "storage"
    files = {str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file()}
    trees = set(StoredTree.objects.values_list("archive", flat=True))
    # For another try by hand.
    failed = Import.objects.filter(state="failed", error__retryable=True, source="zip")
    kept = set(failed.values_list("upload", flat=True))
    yield from (f"a file that no row names: {name}" for name in files - trees - kept)
    yield from (f"a row without its file: {name}" for name in trees | kept if name not in files)
    yield from (f"a folder: {path.name}" for path in (data / "imports").glob("*/*"))
    yield from (f"a process: {words}" for words in _processes(str(stage.folder)))


def _processes(folder: str) -> Iterator[str]:
    """Those that know of this run's folder, but for the provider's."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
            if f"{folder}/data" in words and int(entry.name) != os.getpid() and "postgres" not in words:
                yield words


def report(found: Found) -> None:
    """Print the figures; SystemExit where anything is wrong."""
    print(f"killed       {found.kills} workers in {found.seconds:.0f} s")
    print("at work on   " + ", ".join(f"{what} {number}" for what, number in found.met.most_common()))
    print("imports      " + ", ".join(f"{state} {number}" for state, number in sorted(found.states.items())))
    print("reasons      " + (", ".join(f"{code} {n}" for code, n in sorted(found.reasons.items())) or "none"))
    print("attempts     " + ", ".join(f"{n} of {tries}" for tries, n in sorted(found.attempts.items())))
    print(f"wrong        {len(found.wrong)}")
    for line in found.wrong:
        print(f"  {line}")
    if found.wrong:
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
