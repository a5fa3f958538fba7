"""``generate_key``: printing, creating, adding and promoting an entry."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from credentials.crypto.keyring import KeyRing
from credentials.crypto.sources import FileSource


def run(*words: object) -> str:
    out = io.StringIO()
    call_command("generate_key", *map(str, words), stdout=out)
    return out.getvalue()


def ids(path: Path) -> tuple[str, ...]:
    return FileSource(path).load().ids


def test_alone_it_prints_an_entry_and_nothing_else() -> None:
    assert len(KeyRing.parse(run()).ids) == 1
    assert run().count("\n") == 1


def test_a_new_file_is_made_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key-ring"
    said = run("--file", path)
    assert said.startswith(f"Key {ids(path)[0]} is in {path}.")
    with pytest.raises(CommandError, match="never overwritten"):
        run("--file", path)


def test_a_key_on_one_machine_goes_first_at_once(own_key_file: Path) -> None:
    (old,) = ids(own_key_file)

    said = run("--prepend", "--file", own_key_file)

    new = ids(own_key_file)[0]
    assert ids(own_key_file) == (new, old)
    assert said.startswith(f"Key {new} is new and first in {own_key_file}.")
    assert "then run rotate_keys" in said


def test_a_key_for_several_machines_is_last_until_it_is_promoted(own_key_file: Path) -> None:
    (old,) = ids(own_key_file)

    said = run("--append", "--file", own_key_file)
    new = ids(own_key_file)[1]
    assert said.startswith(f"Key {new} is new and last")
    assert "copy it to every machine and restart every process; then use --promote" in said

    said = run("--promote", new, "--file", own_key_file)
    assert ids(own_key_file) == (new, old)
    assert said.startswith(f"Key {new} is first")


def test_no_key_is_ever_printed_beside_a_file(own_key_file: Path) -> None:
    said = run("--prepend", "--file", own_key_file) + run("--append", "--file", own_key_file)
    for line in own_key_file.read_text("ascii").splitlines():
        assert line.startswith("#") or line.partition(":")[2] not in said


@pytest.mark.parametrize("how", [("--prepend",), ("--append",), ("--promote", "0" * 16)])
def test_changing_needs_a_file_that_is_there(tmp_path: Path, how: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Name the key file"):
        run(*how)
    with pytest.raises(CommandError, match="does not exist"):
        run(*how, "--file", tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_only_one_change_at_a_time(own_key_file: Path) -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        run("--prepend", "--append", "--file", own_key_file)
    assert len(ids(own_key_file)) == 1


def test_a_refusal_says_what_to_do(own_key_file: Path) -> None:
    with pytest.raises(CommandError, match="no such key"):
        run("--promote", "0" * 16, "--file", own_key_file)
    own_key_file.chmod(0o644)
    with pytest.raises(CommandError, match="chmod 600"):
        run("--prepend", "--file", own_key_file)


def test_the_help_says_which_way_to_use_when(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("generate_key", "--help")
    said = capsys.readouterr().out
    assert "  generate_key --append --file PATH      on one machine; copy the file to the others\n" in said
    assert "answers 503 key_unavailable" in said
