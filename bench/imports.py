"""How long an import takes and how much memory, beside the plain tools: git's own shallow clone, and unzip.

python -m bench.imports [--files 5000] [--megabytes 100] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.sandbox import start_sandbox

if TYPE_CHECKING:
    from credentials.sources.content import Content, ContentLimits

ROOT = Path(__file__).resolve().parent.parent
WORDS = [word.encode() for word in Path(__file__).read_text("utf-8").split()]
_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What one run took: seconds, and the most memory that our process had, in MiB; 0 for other programs."""

    seconds: float
    megabytes: int


def run(*command: str, cwd: Path) -> Taken:
    """A program from start to end; ours tell their memory themselves."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        sys.exit(f"{command[0]} {command[1]} ended with {done.returncode}: {done.stderr}")
    told = re.search(r"MEMORY (\d+)", done.stdout)
    return Taken(seconds=time.monotonic() - started, megabytes=int(told[1]) if told else 0)


def peak() -> int:
    """The most memory that this process ever had, in MiB (VmHWM, proc(5))."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) // 1024 if found else 0


def make_tree(folder: Path, *, files: int, megabytes: int) -> None:
    """Text that packs about as well as text does, in files of very different sizes."""
    chance = random.Random(5)
    weights = [chance.paretovariate(1.2) for _file in range(files)]
    scale = megabytes * _MIB / sum(weights)
    for number, weight in enumerate(weights):
        place = folder / f"area-{number % 40:02}" / f"topic-{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        size = min(max(1, int(weight * scale)), 8 * _MIB)
        words = b" ".join(chance.choices(WORDS, k=min(size // 6 + 1, 20_000)))
        (place / f"case-{number:05}.md").write_bytes((words * (size // len(words) + 1))[:size])


def make_repository(tree: Path, target: Path) -> None:
    """A bare repository with one commit, in place of one that the sandbox serves to everybody."""
    shutil.rmtree(target)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main", "."], cwd=tree, check=True)
    subprocess.run([*git, "add", "--all"], cwd=tree, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Everything"], cwd=tree, check=True)
    subprocess.run([*git, "clone", "--quiet", "--bare", ".", str(target)], cwd=tree, check=True)


# --- What runs in a process of its own ---------------------------------------------------------------------


def import_git(url: str, folder: Path) -> None:
    from credentials.sources import git  # noqa: PLC0415  only in the measured process
    from credentials.sources.git.fetch import fetch  # noqa: PLC0415  as above

    repository = folder / "repository"
    repository.mkdir()
    content = fetch(
        git.Remote(url=url, allow_private=True),
        login=None,
        ref="",
        subdirectory="",
        folder=repository,
        limits=limits(),
        timeout_seconds=600,
        progress=lambda _done, _total: None,
    )
    store(content, folder)


def import_zip(archive: Path, folder: Path) -> None:
    from credentials.sources.archive import open_archive  # noqa: PLC0415  only in the measured process

    with archive.open("rb") as opened:
        store(open_archive(opened, limits=limits(), unwrap=False), folder)


def limits() -> ContentLimits:
    from credentials.sources.content import ContentLimits  # noqa: PLC0415  only in the measured process

    return ContentLimits(files=20_000, bytes=512 * _MIB, file_bytes=128 * _MIB)


def store(content: Content, folder: Path) -> None:
    from credentials.sources.stored_zip import write_archive  # noqa: PLC0415  as above

    with (folder / "archive.zip").open("w+b") as target:
        manifest = write_archive(content, target, progress=lambda _files, _bytes: None)
    print(manifest.digest)


# --- The rounds ---------------------------------------------------------------------------------------------


def measure(options: argparse.Namespace, folder: Path) -> None:
    sandbox = start_sandbox(folder)
    try:
        tree = folder / "tree"
        tree.mkdir()
        make_tree(tree, files=options.files, megabytes=options.megabytes)
        target = next(folder.rglob("github/**/acme/public-cases.git"), None) or next(
            folder.rglob("acme/public-cases.git")
        )
        make_repository(tree, target)
        shutil.rmtree(tree / ".git")
        archive = folder / "tree.zip"
        shutil.make_archive(str(archive.with_suffix("")), "zip", tree)
        url = f"{sandbox.hosts['github'].web_url}/acme/public-cases"
        me = (sys.executable, "-m", "bench.imports")
        work: dict[str, tuple[str, ...]] = {
            "git clone --bare --depth 1": (
                "git",
                "clone",
                "--quiet",
                "--bare",
                "--depth=1",
                url,
                "clone.git",
            ),
            "import by Git": (*me, "--git", url),
            "unzip": ("unzip", "-q", str(archive), "-d", "out"),
            "import by ZIP": (*me, "--zip", str(archive)),
        }
        table(rounds(work, options.rounds, folder))
    finally:
        sandbox.stop()


def rounds(work: dict[str, tuple[str, ...]], count: int, folder: Path) -> dict[str, list[Taken]]:
    """Everything in turns; whoever came first in one round comes last in the next."""
    taken: dict[str, list[Taken]] = {name: [] for name in work}
    for number in range(count):
        names = list(work) if number % 2 else list(reversed(work))
        for name in names:
            place = Path(tempfile.mkdtemp(dir=folder))
            taken[name].append(run(*work[name], cwd=place))
            shutil.rmtree(place)
    return taken


def table(taken: dict[str, list[Taken]]) -> None:
    names = list(taken)
    floors = {names[1]: names[0], names[3]: names[2]}
    print(f"{'':28}{'seconds':>9}{'ratio':>7}{'MiB':>6}")
    for name, runs in taken.items():
        floor = taken[floors.get(name, name)]
        ratio = statistics.median(one.seconds / other.seconds for one, other in zip(runs, floor, strict=True))
        seconds = statistics.median(one.seconds for one in runs)
        print(f"{name:28}{seconds:9.2f}{ratio:7.2f}{max(one.megabytes for one in runs) or '':>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--git", help=argparse.SUPPRESS)
    parser.add_argument("--zip", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.git or options.zip:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        os.environ.setdefault("DATA_DIR", str(Path.cwd()))
        act: Callable[[], None] = (
            (lambda: import_git(options.git, Path.cwd()))
            if options.git
            else (lambda: import_zip(Path(options.zip), Path.cwd()))
        )
        act()
        print(f"MEMORY {peak()}")
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
