"""Changing a key file: every old entry stays, whatever happens on the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.crypto.key_file import append_entry, prepend_entry, promote_entry
from credentials.crypto.keyring import KeyRing, generate_entry
from credentials.crypto.sources import FileSource
from credentials.errors import KeyRingInvalid, KeySourceUnsafe

ROOT = Path(__file__).parents[3]


def ids(path: Path) -> tuple[str, ...]:
    return FileSource(path).load().ids


def id_of(entry: str) -> str:
    return entry.partition(":")[0]


def test_a_prepended_key_is_first_and_an_appended_one_last(ring_file: Path, entry: str) -> None:
    first = prepend_entry(ring_file).ids[0]
    assert ids(ring_file) == (first, id_of(entry))

    last = append_entry(ring_file).ids[-1]

    assert ids(ring_file) == (first, id_of(entry), last)


def test_a_promoted_key_goes_first_and_the_others_keep_their_order(ring_file: Path) -> None:
    append_entry(ring_file)
    before = append_entry(ring_file).ids

    assert promote_entry(ring_file, before[2]).ids == (before[2], before[0], before[1])
    assert promote_entry(ring_file, before[2]).ids == (before[2], before[0], before[1])


def test_a_key_that_the_file_lacks_cannot_be_promoted(ring_file: Path) -> None:
    before = ring_file.read_bytes()
    with pytest.raises(KeyRingInvalid, match="no such key"):
        promote_entry(ring_file, "0" * 16)
    assert ring_file.read_bytes() == before


def test_what_people_wrote_around_the_entries_stays(ring_file: Path) -> None:
    one, two, three = generate_entry(), generate_entry(), generate_entry()
    ring_file.write_text(f"# head, not: an entry\n\n {one} , {two} # two\n{three} # old\n# end", "ascii")

    prepended = prepend_entry(ring_file).primary.id
    lines = ring_file.read_text("ascii").splitlines()
    assert lines[:2] == ["# head, not: an entry", ""]
    assert lines[2].startswith(prepended)
    assert lines[3:] == [f" {one} , {two} # two", f"{three} # old", "# end"]

    promote_entry(ring_file, id_of(two))
    lines = ring_file.read_text("ascii").splitlines()
    assert lines[2] == two
    assert lines[4:] == [f"{one}# two", f"{three} # old", "# end"]
    assert ids(ring_file) == (id_of(two), prepended, id_of(one), id_of(three))


def test_the_changed_file_is_private_whatever_the_umask(ring_file: Path) -> None:
    before = os.umask(0o777)
    try:
        prepend_entry(ring_file)
    finally:
        os.umask(before)
    found = ring_file.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_nlink) == (0o600, 1)
    assert [path.name for path in ring_file.parent.iterdir()] == [ring_file.name]


@pytest.mark.parametrize("change", [prepend_entry, append_entry, lambda path: promote_entry(path, "x")])
def test_a_file_that_a_start_would_refuse_is_not_changed(
    ring_file: Path, change: Callable[[Path], KeyRing]
) -> None:
    before = ring_file.read_bytes()
    ring_file.chmod(0o644)
    with pytest.raises(KeySourceUnsafe, match="chmod 600"):
        change(ring_file)
    ring_file.chmod(0o600)
    ring_file.parent.chmod(0o777)
    with pytest.raises(KeySourceUnsafe, match="chmod go-w"):
        change(ring_file)
    ring_file.parent.chmod(0o700)
    assert ring_file.read_bytes() == before
    ring_file.write_text("damaged", "ascii")
    with pytest.raises(KeyRingInvalid, match="Entry 1"):
        change(ring_file)
    assert ring_file.read_text("ascii") == "damaged"


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(KeyRingInvalid, match="does not exist"):
        prepend_entry(tmp_path / "absent")
    with pytest.raises(KeyRingInvalid, match="cannot be opened"):
        prepend_entry(tmp_path / "absent" / "key-ring")
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_refused_and_stays(ring_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(ring_file)
    with pytest.raises(KeySourceUnsafe, match="symbolic link"):
        prepend_entry(link)
    assert link.is_symlink()


def test_what_a_killed_run_left_behind_is_no_obstacle_and_does_not_stay(ring_file: Path) -> None:
    leftover = ring_file.with_name(f".{ring_file.name}.new")
    leftover.write_text("half", "ascii")
    prepend_entry(ring_file)
    assert not leftover.exists()


def program(body: str) -> list[str]:
    imports = (
        "import os, resource, signal, sys; from pathlib import Path\n"
        "from credentials.crypto.key_file import append_entry, prepend_entry\n"
        "path = Path(sys.argv[1])\n"
    )
    return [sys.executable, "-B", "-c", imports + body]


def test_many_that_add_a_key_at_the_same_time_lose_none(ring_file: Path) -> None:
    argv = [*program("print(prepend_entry(path).primary.id)"), str(ring_file)]
    started = [subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    made = {process.communicate()[0].strip() for process in started}

    assert len(made) == 5
    assert made < set(ids(ring_file))
    assert len(ids(ring_file)) == 6


def test_a_full_disk_leaves_the_file_as_it_was(ring_file: Path) -> None:
    before = ring_file.read_bytes()
    body = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: prepend_entry(path)\n"
        "except OSError: print('no room')"
    )
    answer = subprocess.run(
        [*program(body), str(ring_file)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout == "no room\n"
    assert ring_file.read_bytes() == before
    assert [path.name for path in ring_file.parent.iterdir()] == [ring_file.name]


def test_a_run_that_is_killed_at_any_moment_leaves_the_old_ring_or_the_new_one(
    ring_file: Path, entry: str
) -> None:
    body = "print('go', flush=True)\nwhile True: append_entry(path)"
    for delay in (0.0, 0.001, 0.003, 0.007, 0.011, 0.017):
        ring_file.write_text(entry, "ascii")
        with subprocess.Popen([*program(body), str(ring_file)], cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        assert ids(ring_file)[0] == id_of(entry)
    assert append_entry(ring_file).ids[0] == id_of(entry)
