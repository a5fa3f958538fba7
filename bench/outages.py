"""What is around the product breaks in the middle of refreshes, and comes back: is anything lost?

    python -m bench.outages [--only postgresql-stopped --only clock-ahead] [--seconds 8]

The product runs as it is, web, worker and refresher, on a PostgreSQL and a Redis of its own, with accounts at
django-oauth-toolkit whose access tokens end every few seconds. Afterwards every account lends a token that the
provider accepts, nobody was asked to connect again, and the audit trail proves itself; or the run fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.borrowers import Borrowers
from bench.servers import free_port
from bench.stage import Stage, set_up, wait_until_it_answers

_CLOCK = Path(__file__).with_name("clock.c")
_DISK_MEGABYTES = 220
_SETTLE_SECONDS = 600


@dataclass(kw_only=True)
class Surroundings:
    """What can break."""

    stage: Stage
    disk: Path | None
    clock: Clock | None
    redis: Redis | None


class Redis:
    """A Redis of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port(27_000 + os.getpid() % 500)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        self.process = subprocess.Popen([*words, str(self.folder)], stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Clock:
    """The wall clock of the product's processes, by bench/clock.c; PostgreSQL's and the provider's go right."""

    def __init__(self, folder: Path) -> None:
        self.library, self.file = folder / "clock.so", folder / "clock"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self.library, _CLOCK], check=True)
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """So many seconds ahead of the true time, or behind it."""
        mode = "r+b" if self.file.exists() else "xb"
        with self.file.open(mode) as file:  # processes have it mapped: it stays the same file
            file.write(struct.pack("=q", seconds))

    @property
    def surroundings(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "FORGEKEY_CLOCK": str(self.file)}


@contextmanager
def _postgresql_stopped(around: Surroundings) -> Iterator[None]:
    assert around.stage.server is not None
    around.stage.server.stop()
    yield
    around.stage.server.start()


@contextmanager
def _read_only(around: Surroundings) -> Iterator[None]:
    assert around.stage.server is not None
    around.stage.server.read_only(True)
    yield
    around.stage.server.read_only(False)


@contextmanager
def _disk_full(around: Surroundings) -> Iterator[None]:
    """Not one byte is left where PostgreSQL keeps its data; if it gives up, it is started once there is room."""
    assert around.disk is not None
    assert around.stage.server is not None
    ballast = around.disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    yield
    ballast.unlink()
    server = around.stage.server
    if server.process is None or server.process.poll() is not None:
        server.start()
    server.wait()


@contextmanager
def _redis_stopped(around: Surroundings) -> Iterator[None]:
    assert around.redis is not None
    around.redis.stop()
    yield
    around.redis.start()


@contextmanager
def _black_hole(around: Surroundings) -> Iterator[None]:
    """The provider accepts connections and never answers; what was asked meanwhile it never does."""
    around.stage.provider.fault(path_prefix="/", latency_ms=3_600_000, status=503)
    yield
    around.stage.provider.fault(clear=True)


@contextmanager
def _page(around: Surroundings) -> Iterator[None]:
    """The provider shows a page where an answer is due."""
    around.stage.provider.fault(path_prefix="/oauth", html=True)
    yield
    around.stage.provider.fault(clear=True)


def _clock(seconds: int) -> Callable[[Surroundings], Any]:
    @contextmanager
    def jumped(around: Surroundings) -> Iterator[None]:
        """The clock of the product's machine jumps, and later back."""
        assert around.clock is not None
        around.clock.jump(seconds)
        yield
        around.clock.jump(0)

    return jumped


SCENARIOS: Mapping[str, Callable[[Surroundings], Any]] = {
    "postgresql-stopped": _postgresql_stopped,
    "postgresql-read-only": _read_only,
    "disk-full": _disk_full,
    "redis-stopped": _redis_stopped,
    "provider-black-hole": _black_hole,
    "provider-page": _page,
    "clock-ahead": _clock(86_400),
    "clock-behind": _clock(-86_400),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one outage did."""

    name: str
    ready: str
    during: Counter[str]
    refreshes: int
    recovered: float
    fates: Counter[str]
    trail: str

    @property
    def good(self) -> bool:
        return set(+self.fates) == {"live"} and self.trail == "holds"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with ExitStack() as stack:
        around, borrowers, port = _prepared(stack, options)
        print("| Outage | /readyz | leases around it | refreshes | all well again after | accounts | trail |")
        print("|---|---|---|---|---|---|---|", flush=True)
        outcomes = [
            _told(_suffer(name, around, borrowers, port, options))
            for name in options.only or SCENARIOS
            if _can(name, around)
        ]
    if not outcomes or not all(one.good for one in outcomes):
        sys.exit("FAILED")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.outages", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--only", action="append", choices=sorted(SCENARIOS), help="may be given several times"
    )
    parser.add_argument("--seconds", type=float, default=8, help="how long each outage lasts")
    parser.add_argument("--accounts", type=int, default=12)
    parser.add_argument("--callers", type=int, default=3)
    parser.add_argument(
        "--no-refresher", action="store_true", help="web processes call the provider themselves"
    )
    parser.add_argument("--lives", type=int, default=8, help="seconds an access token lives")
    return parser.parse_args(arguments)


def _prepared(stack: ExitStack, options: argparse.Namespace) -> tuple[Surroundings, Borrowers, int]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forgekey-outages-")))
    disk, redis = stack.enter_context(_small_disk()), None
    environment, clock = (
        {"CREDENTIALS_READ_TIMEOUT_SECONDS": "4", "CREDENTIALS_CONNECT_TIMEOUT_SECONDS": "2"},
        None,
    )
    if shutil.which("redis-server"):
        redis = Redis(folder)
        stack.callback(redis.stop)
        environment["CACHE_URL"] = f"rediscache://127.0.0.1:{redis.port}/0"
    stage = stack.enter_context(set_up(provider="toolkit", disk=disk, environment=environment))
    if shutil.which("cc"):
        clock = Clock(folder)
    stage.provider.lives_for(options.lives)
    users = [row.owner.get_username() for row in stage.connect(options.accounts)]
    port = free_port(23_000 + os.getpid() % 2_000)
    _start(stage, port, clock.surroundings if clock else {}, refresher=not options.no_refresher)
    around = Surroundings(stage=stage, disk=disk, clock=clock, redis=redis)
    return around, Borrowers(port=port, key=stage.key, users=users), port


def _start(stage: Stage, port: int, surroundings: Mapping[str, str], *, refresher: bool) -> None:
    from credentials.management.commands.demo import web_words  # noqa: PLC0415  only once Django is set up

    more = () if refresher else ("--no-refresher",)
    stage.program("web", *web_words(port), **surroundings).start()
    stage.program("worker", "manage.py", "worker", *more, **surroundings).start()
    wait_until_it_answers(f"http://127.0.0.1:{port}/livez", stage.programs["web"])


@contextmanager
def _small_disk() -> Iterator[Path | None]:
    """A file system that can be filled; None where this person may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="forgekey-disk-"))
    words = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MEGABYTES}m,mode=0755", "forgekey", str(folder)]
    mounted = subprocess.run(words, check=False, capture_output=True).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        folder.rmdir()


def _can(name: str, around: Surroundings) -> bool:
    missing = {
        "disk-full": around.disk is None,
        "redis-stopped": around.redis is None,
        "clock-ahead": around.clock is None,
        "clock-behind": around.clock is None,
    }
    if missing.get(name):
        print(f"{name}: cannot be tried on this machine")
    return not missing.get(name)


def _suffer(
    name: str, around: Surroundings, borrowers: Borrowers, port: int, options: argparse.Namespace
) -> Outcome:
    """Let it break, look at what is said about it, mend it, and wait until all is well."""
    from bench import accounts  # noqa: PLC0415  only once Django is set up

    before = around.stage.provider.refreshes()
    borrowers.counts.clear()
    with borrowers.borrowing(options.callers, around.stage.provider):
        time.sleep(2)
        with SCENARIOS[name](around):
            time.sleep(options.seconds)
            ready = _ready(port)
        during = Counter(borrowers.counts)
        time.sleep(1)
    mended = time.monotonic()
    for program in around.stage.programs.values():
        program.must_run()
    fates = accounts.settled(around.stage.provider, borrowers, seconds=_SETTLE_SECONDS)
    for line in accounts.undecided():
        print(f"{name}: {line}")
    return Outcome(
        name=name,
        ready=ready,
        during=during,
        refreshes=around.stage.provider.refreshes() - before,
        recovered=time.monotonic() - mended,
        fates=Counter({fate.value: number for fate, number in fates.items()}),
        trail=accounts.trail(),
    )


def _ready(port: int) -> str:
    try:
        return str(requests.get(f"http://127.0.0.1:{port}/readyz", timeout=20).status_code)
    except requests.RequestException as problem:
        return type(problem).__name__


def _told(one: Outcome) -> Outcome:
    during = ", ".join(f"{number} {name}" for name, number in sorted(one.during.items()))
    fates = ", ".join(f"{number} {name}" for name, number in sorted(one.fates.items()))
    print(
        f"| {one.name} | {one.ready} | {during} | {one.refreshes} | {one.recovered:.0f} s | {fates} | {one.trail} |",
        flush=True,
    )
    return one


if __name__ == "__main__":
    main()
