"""The web process, the worker or the refresher is killed in the middle of refreshes, again and again.

    python -m bench.killed --kills 1000 --target web
    python -m bench.killed --kills 20 --target all --seconds 120

Real processes on a PostgreSQL of their own, and accounts at django-oauth-toolkit whose access tokens end every
few seconds. Callers borrow over HTTP all the while. At the end every account either lends a token that the
provider accepts, or asks its owner to connect again and has told so; anything else was lost silently, and the
run fails. An account that is flagged meanwhile is connected again, as its owner would do it.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.borrowers import Borrowers
from bench.servers import free_port
from bench.stage import Program, Stage, set_up, wait_until_it_answers

if TYPE_CHECKING:
    from bench.accounts import Fate

TARGETS = ("web", "worker", "refresher")
_WORK_SECONDS = 60


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with set_up(provider="toolkit", database=options.database) as stage:
        killed = run(stage, options)
    report(options, killed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.killed", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--target", choices=(*TARGETS, "all"), default="all")
    parser.add_argument("--seconds", type=float, default=3600, help="stop killing after so long")
    parser.add_argument("--settle", type=float, default=180, help="how long the rest may take afterwards")
    parser.add_argument("--accounts", type=int, default=24)
    parser.add_argument("--callers", type=int, default=6)
    parser.add_argument("--lives", type=int, default=4, help="seconds an access token lives")
    parser.add_argument(
        "--slow", type=int, default=40, help="milliseconds before the provider works, and after"
    )
    parser.add_argument(
        "--no-refresher", action="store_true", help="web processes and jobs call the provider themselves"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="an empty PostgreSQL database; without it a server is started")
    options = parser.parse_args(arguments)
    if options.no_refresher and options.target == "refresher":
        parser.error("without a refresher none can be killed")
    return options


class Killed:
    """What a run did and found."""

    def __init__(self) -> None:
        self.kills: Counter[str] = Counter()
        self.lent: Counter[str] = Counter()
        self.fates: Counter[Fate] = Counter()
        self.events: dict[str, int] = {}
        self.reconnected = 0
        self.refreshes = 0
        self.reuses = 0
        self.seconds = 0.0
        self.trail = ""


def run(stage: Stage, options: argparse.Namespace) -> Killed:
    """Furnish, lend, kill, settle, count."""
    from bench import accounts  # noqa: PLC0415  only once Django is set up

    stage.provider.lives_for(options.lives)
    stage.provider.slow_down(options.slow)
    made = stage.connect(options.accounts)
    port = free_port(23_000 + os.getpid() % 2_000)
    programs = _programs(stage, port, refresher=not options.no_refresher)
    for program in programs.values():
        program.start()
    wait_until_it_answers(f"http://127.0.0.1:{port}/livez", programs["web"])
    _wait_for_a_refresher(options)
    found = Killed()
    borrowers = Borrowers(port=port, key=stage.key, users=[row.owner.username for row in made])
    with borrowers.borrowing(options.callers, stage.provider):
        _kill_again_and_again(stage, programs, borrowers, options, found)
    wait_until_it_answers(f"http://127.0.0.1:{port}/livez", programs["web"])
    found.fates = accounts.settled(stage.provider, borrowers, seconds=options.settle)
    for line in accounts.undecided():
        print(line)
    found.lent, found.events = borrowers.counts, accounts.events()
    found.refreshes, found.reuses = stage.provider.refreshes(), stage.provider.reuses()
    found.trail = accounts.trail()
    return found


def _programs(stage: Stage, port: int, *, refresher: bool) -> dict[str, Program]:
    from credentials.management.commands.demo import web_words  # noqa: PLC0415  only once Django is set up

    more = () if refresher else ("--no-refresher",)
    return {
        "web": stage.program("web", *web_words(port)),
        "worker": stage.program("worker", "manage.py", "worker", *more),
    }


def _kill_again_and_again(
    stage: Stage,
    programs: dict[str, Program],
    borrowers: Borrowers,
    options: argparse.Namespace,
    found: Killed,
) -> None:
    from bench import accounts  # noqa: PLC0415  only once Django is set up

    dice, started = random.Random(options.seed), time.monotonic()
    targets = list(TARGETS if options.target == "all" else (options.target,))
    if options.no_refresher and "refresher" in targets:
        targets.remove("refresher")
    while found.kills.total() < options.kills and time.monotonic() - started < options.seconds:
        target = targets[found.kills.total() % len(targets)]
        _wait_until_all_work(stage, programs, borrowers)
        time.sleep(dice.uniform(0, 1.0))
        if _kill(programs, target):
            found.kills[target] += 1
        found.reconnected += accounts.reconnect_flagged(stage.provider)
    found.seconds = time.monotonic() - started


def _wait_for_a_refresher(options: argparse.Namespace) -> None:
    """Until then web processes renew tokens themselves."""
    from django.utils import timezone  # noqa: PLC0415  only once Django is set up

    from credentials.services import processes  # noqa: PLC0415  as above

    deadline = time.monotonic() + _WORK_SECONDS
    while not options.no_refresher and not processes.alive(processes.Kind.REFRESHER, timezone.now()):
        assert time.monotonic() < deadline, "no refresher has come up"
        time.sleep(0.1)


def _wait_until_all_work(stage: Stage, programs: dict[str, Program], borrowers: Borrowers) -> None:
    """Until tokens are lent and renewed, so that the next kill meets somebody at work."""
    refreshes, lent = stage.provider.refreshes(), borrowers.counts["lent"]
    deadline = time.monotonic() + _WORK_SECONDS
    while stage.provider.refreshes() <= refreshes or borrowers.counts["lent"] <= lent:
        for program in programs.values():
            program.must_run()
        assert time.monotonic() < deadline, "nothing is renewed any more"
        time.sleep(0.02)


def _kill(programs: dict[str, Program], target: str) -> bool:
    """SIGKILL, and start again what nobody else would; whether there was something to kill."""
    if target == "refresher":
        found = refreshers()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)
    # Granian would start a new worker in place of a killed one: the whole web process goes. Of the job worker only
    # itself, as the kernel does it that is short of memory; what becomes of its refresher is what we want to see.
    programs[target].kill(alone=target == "worker")
    programs[target].start()
    return True


def refreshers() -> list[int]:
    """The refreshers whose parents this run has started, and those left over by killed ones."""
    mine = os.environ["DATA_DIR"].encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"refresher" in words and mine in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def report(options: argparse.Namespace, found: Killed) -> None:
    """Print the figures; SystemExit where something was lost silently."""
    from bench.accounts import Fate  # noqa: PLC0415  Django is set up

    interrupted = found.events["interrupted"]
    flagged = found.events["refused"]
    kills = ", ".join(f"{number} {name}" for name, number in sorted(found.kills.items()))
    print(f"killed                {kills} in {found.seconds:.0f} s")
    print(f"refreshes             {found.refreshes} at the provider, {found.events['refreshed']} stored")
    print(f"interrupted           {interrupted}: healed {max(interrupted - flagged, 0)}, flagged {flagged}")
    print(f"connected again       {found.reconnected}")
    print("leases                " + ", ".join(f"{name} {n}" for name, n in sorted(found.lent.items())))
    print("accounts at the end   " + ", ".join(f"{fate} {n}" for fate, n in sorted(found.fates.items())))
    print(f"lost silently         {found.fates[Fate.LOST] + found.fates[Fate.UNDECIDED]}")
    print(f"audit trail           {found.trail}")
    if found.fates[Fate.LOST] or found.fates[Fate.UNDECIDED] or found.trail != "holds":
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
