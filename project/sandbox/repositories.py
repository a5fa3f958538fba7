"""The bare Git repositories, built from cases.toml with fixed dates: the same commits everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from project.sandbox.seed import Repository

CASES_FILE = Path(__file__).with_name("cases.toml")
FIRST_COMMIT = 1_767_603_600  # 2026-01-05 09:00 UTC
DAY = 86_400
AUTHOR = "Alice Octo <octo-alice@example.test>"


def git_environment(home: Path) -> dict[str, str]:
    """The environment of every git child: nobody's configuration, no question on a terminal."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    slug: str
    title: str
    area: str
    goal: str
    steps: tuple[str, ...]

    def as_yaml(self) -> str:
        steps = "".join(f"  - {step}\n" for step in self.steps)
        head = f"id: {self.slug}\ntitle: {self.title}\narea: {self.area}\nguide: guides/{self.slug}.md\n"
        return f"{head}steps:\n{steps}"

    def as_guide(self) -> str:
        steps = "".join(f"{position}. {step}.\n" for position, step in enumerate(self.steps, 1))
        return f"# {self.title}\n\n{self.goal}\n\n## Steps\n\n{steps}"


def load_cases(path: Path = CASES_FILE) -> tuple[Case, ...]:
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["cases"]
    return tuple(Case(**entry | {"steps": tuple(entry["steps"])}) for entry in entries)


def _case_files(cases: Iterable[Case]) -> dict[str, str]:
    files: dict[str, str] = {}
    for case in cases:
        files[f"cases/{case.slug}.yaml"] = case.as_yaml()
        files[f"guides/{case.slug}.md"] = case.as_guide()
    return files


def _index(name: str, cases: Iterable[Case]) -> dict[str, str]:
    rows = "".join(f"  - cases/{case.slug}.yaml\n" for case in cases)
    return {"library.yaml": f"name: {name}\nversion: 1\ncases:\n{rows}"}


def _commits(repository: Repository) -> list[tuple[str, str, dict[str, str]]]:
    """Branch, message and files of each commit, oldest first."""
    cases = load_cases()[: repository.content]
    half = (len(cases) + 1) // 2
    readme = {"README.md": f"# {repository.full_name}\n\nA library of {len(cases)} use cases.\n"}
    notes = {"README.md": f"{readme['README.md']}\nOn this branch the next cases are written.\n"}
    first = readme | _case_files(cases[:half]) | _index(repository.name, cases[:half])
    rest = _case_files(cases[half:]) | _index(repository.name, cases)
    last = {"README.md": f"{readme['README.md']}\nSee `library.yaml` for the list.\n"}
    return [
        ("main", "Begin the library", first),
        ("main", "Complete the library", rest),
        ("main", "Say where the list is", last),
        ("dev", "Say what this branch is for", notes),
    ]


def _data(text: str) -> bytes:
    raw = text.encode()
    return b"data %d\n%s\n" % (len(raw), raw)


def _import_stream(commits: Iterable[tuple[str, str, Mapping[str, str]]]) -> bytes:
    """The repository in the language of `git fast-import`; the tag v1 names the second commit."""
    stream: list[bytes] = []
    for mark, (branch, message, files) in enumerate(commits, 1):
        when = f"{AUTHOR} {FIRST_COMMIT + mark * DAY} +0000"
        stream.append(f"commit refs/heads/{branch}\nmark :{mark}\ncommitter {when}\n".encode())
        stream.append(_data(message))
        if mark > 1:
            stream.append(f"from :{mark - 1}\n".encode())
        for path, text in sorted(files.items()):
            stream.append(f"M 100644 inline {path}\n".encode() + _data(text))
    tagged = f"tag v1\nfrom :2\ntagger {AUTHOR} {FIRST_COMMIT + 3 * DAY} +0000\n"
    return b"".join([*stream, tagged.encode(), _data("The first edition"), b"done\n"])


def build(repository: Repository, root: Path) -> Path:
    """Create the bare repository below `root` unless it is there. Raises CalledProcessError if git fails."""
    target = path_of(repository, root)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix="building-", dir=root))
    try:
        _git("init", "--quiet", "--bare", "--initial-branch=main", ".", cwd=workshop)
        _git("fast-import", "--quiet", "--done", cwd=workshop, stdin=_import_stream(_commits(repository)))
        workshop.chmod(0o755)
        workshop.rename(target)
    except BaseException:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
    return target


def path_of(repository: Repository, root: Path) -> Path:
    return root / repository.owner / f"{repository.name}.git"


def _git(*arguments: str, cwd: Path, stdin: bytes = b"") -> bytes:
    command = ["git", *arguments]
    result = subprocess.run(  # noqa: S603  a fixed program, no shell, arguments made here
        command, cwd=cwd, env=git_environment(cwd), input=stdin, capture_output=True, check=True
    )
    return result.stdout


def commit_of(reference: str, repository: Path) -> str | None:
    """The commit id of a branch, tag or commit; None if there is no such thing."""
    try:
        answer = _git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}", cwd=repository
        )
    except subprocess.CalledProcessError:
        return None
    return answer.decode().strip()


def archive(repository: Path, *, commit: str, kind: str, prefix: str) -> bytes:
    """A `zip` or `tar.gz` of one commit, everything below the folder `prefix`."""
    return _git("archive", f"--format={kind}", f"--prefix={prefix}/", commit, cwd=repository)
