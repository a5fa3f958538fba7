"""A slice of the fuzzing goes with every test run; the whole is ``make fuzz``. And it must find what is broken."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from credentials.sources import paths
from tests.credentials.sources.archive import grammar, oracle
from tests.credentials.sources.archive.building import Item, build

INPUTS = 6000


def fuzz(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz_archive", "--failures", str(folder), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_thousands_of_archives_do_no_harm(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "--inputs", str(INPUTS), "--worker", "slice")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["inputs"] >= INPUTS
    assert counts["guided"] >= INPUTS // 3
    assert counts["accepted"] > INPUTS // 50, "an archive that is refused at once proves little"
    assert counts["shown to zipfile"] > 0
    assert counts["memory"] <= 256 << 20
    reached, blocks = (int(word) for word in done.stderr.split() if word.isdigit())
    assert reached > 0.8 * blocks, "most of the reader is reached"
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, second = random.Random("a"), random.Random("a")
    for _number in range(50):
        made = grammar.archive(first)
        assert made == grammar.archive(second)
        assert grammar.mutated(first, made, [made]) == grammar.mutated(second, made, [made])


def test_the_oracle_sees_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows the rules by other means than the reader: where the reader forgets them, it does not."""
    monkeypatch.setattr(paths, "checked", lambda name: name)
    monkeypatch.setattr(paths, "git_folder", lambda name: None)
    for name in ("../a", "/a", "a\\b", "a\nb", ".GIT/x", "C:/a", "con", "a/e\u0301", "a.", "\u202ea"):
        with pytest.raises(AssertionError, match="unsafe"):
            oracle.judge(build(Item(name=name)), unwrap=False, subdirectory="")
    monkeypatch.setattr(paths.Names, "add", lambda self, path, entry: None)
    with pytest.raises(AssertionError, match="two names"):
        oracle.judge(build(Item(name="a"), Item(name="A")), unwrap=False, subdirectory="")


def test_a_failing_input_is_written_and_can_be_replayed(tmp_path: Path) -> None:
    """A file that is no archive at all is refused, which is right: the replay ends well."""
    path = tmp_path / "input.hex"
    path.write_text(build(Item(name="a")).hex(), "ascii")
    assert fuzz(tmp_path, "--replay", str(path)).returncode == 0
    path.write_text("not hexadecimal", "ascii")
    assert fuzz(tmp_path, "--replay", str(path)).returncode == 1
