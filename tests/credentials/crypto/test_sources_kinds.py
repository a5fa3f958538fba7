"""Key sources other than a plain file, and how a source is named."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from credentials.crypto.sources import CommandSource, EnvSource, FileSource, source_from
from credentials.errors import ConfigurationError, KeyRingInvalid, KeySourceUnsafe
from tests.credentials.crypto.tracebacks import shown_by


def id_of(entry: str) -> str:
    return entry.partition(":")[0]


def test_an_environment_variable_is_removed_when_it_is_read(entry: str) -> None:
    environ = {"KEY_RING": entry, "OTHER": "x"}

    ring = EnvSource("KEY_RING", environ).load()

    assert ring.ids == (id_of(entry),)
    assert environ == {"OTHER": "x"}


@pytest.mark.parametrize("environ", [{}, {"KEY_RING": ""}])
def test_a_missing_or_empty_variable_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(KeyRingInvalid, match="variable KEY_RING is missing or empty"):
        EnvSource("KEY_RING", environ).load()


def test_a_variable_that_is_no_text_is_refused() -> None:
    with pytest.raises(KeyRingInvalid, match="not UTF-8"):
        EnvSource("KEY_RING", {"KEY_RING": "\udcff"}).load()


def test_a_source_does_not_print_the_environment(entry: str) -> None:
    assert entry not in repr(EnvSource("KEY_RING", {"KEY_RING": entry}))


def test_a_command_prints_the_ring(script: Callable[[str], str], entry: str) -> None:
    program = script(f"echo '{entry}'; echo a warning >&2")
    assert CommandSource([program]).load().ids == (id_of(entry),)


def test_arguments_reach_the_command_as_they_are(script: Callable[[str], str], entry: str) -> None:
    program = script('printf "%s" "$2"')
    assert CommandSource([program, "; false $HOME *", entry]).load().ids == (id_of(entry),)


def test_a_command_sees_neither_our_environment_nor_our_input(
    script: Callable[[str], str], entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "canary")
    program = script(f'[ -z "$SECRET_OF_OURS" ] && ! read line && [ "$PWD" = / ] && echo "{entry}"')
    assert CommandSource([program]).load().ids == (id_of(entry),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "status 3"),
        ("kill -9 $$", "status -9"),
        ("true", "missing or empty"),
        ("printf '\\377'", "not UTF-8"),
        ("echo nonsense", "Entry 1"),
        ("head -c 65537 /dev/zero", "64 KiB"),
        ("exec cat /dev/zero", "64 KiB"),
    ],
)
def test_a_command_that_gives_no_ring_is_refused(script: Callable[[str], str], body: str, words: str) -> None:
    with pytest.raises(KeyRingInvalid, match=words):
        CommandSource([script(body)]).load()


@pytest.mark.parametrize("body", ["sleep 60", "sleep 60 & wait", "exec >&-; sleep 60", "sleep 60 & exit 0"])
def test_a_command_that_is_late_is_stopped_with_its_children(
    script: Callable[[str], str], tmp_path: Path, body: str
) -> None:
    # Whoever lives on holds the pipe open; its end can be read once nobody does.
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    program = script(f"exec 9>{tmp_path}/alive; echo started >&9\n{body}")
    begun = time.monotonic()

    with pytest.raises(KeyRingInvalid, match="did not end in time"):
        CommandSource([program], seconds=1.0).load()

    assert time.monotonic() - begun < 10
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"started\n"
    assert time.monotonic() - begun < 30


def test_what_a_failing_command_printed_is_not_shown(script: Callable[[str], str], entry: str) -> None:
    for body in (f"echo '{entry}'; exit 1", f"echo '{entry}x'", f"echo '{entry}'; sleep 60"):
        with pytest.raises(KeyRingInvalid) as refusal:
            CommandSource([script(body)], seconds=0.5).load()
        assert entry[17:40] not in shown_by(refusal.value)


@pytest.mark.parametrize("argv", [[], ["print-key"], ["./print-key"], [""]])
def test_a_command_without_an_absolute_path_is_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="absolute path"):
        CommandSource(argv).load()


def test_a_command_that_cannot_be_run_says_why(tmp_path: Path, ring_file: Path) -> None:
    with pytest.raises(KeyRingInvalid, match="No such file"):
        CommandSource([str(tmp_path / "absent")]).load()
    with pytest.raises(KeyRingInvalid, match="Permission denied"):
        CommandSource([str(ring_file)]).load()


def test_no_source_shows_a_key_in_an_error_report(ring_file: Path, entry: str) -> None:
    broken = entry[:-2] + "*="
    ring_file.write_text(broken, encoding="utf-8")
    for source in (FileSource(ring_file), EnvSource("KEY_RING", {"KEY_RING": broken})):
        with pytest.raises(KeyRingInvalid) as refusal:
            source.load()
        assert entry[17:40] not in shown_by(refusal.value)


def test_every_kind_of_source_is_found_by_its_name(
    ring_file: Path, entry: str, script: Callable[[str], str]
) -> None:
    program = script('[ "$1" = "two words" ] && echo "$2"')
    environ = {"KEY_RING": entry, "CREDENTIALS_DIRECTORY": str(ring_file.parent)}
    ring_file.chmod(0o440)
    for text in (f"command:{program} 'two words' {entry}", "env:KEY_RING", "credential:key-ring"):
        assert source_from(text, environ).load().ids == (id_of(entry),)
    ring_file.chmod(0o600)
    assert source_from(f"file:{ring_file}", environ).load().ids == (id_of(entry),)
    ring_file.chmod(0o444)
    with pytest.raises(KeySourceUnsafe):
        source_from(f"file:{ring_file}", environ).load()
    assert source_from(f"file:{ring_file}", environ, allow_mode_0444=True).load().ids == (id_of(entry),)


@pytest.mark.parametrize("mode", [0o444, 0o460, 0o450, 0o660])
def test_a_systemd_credential_open_to_more_than_its_access_list_is_refused(
    ring_file: Path, mode: int
) -> None:
    ring_file.chmod(mode)
    with pytest.raises(KeySourceUnsafe):
        source_from("credential:key-ring", {"CREDENTIALS_DIRECTORY": str(ring_file.parent)}).load()


@pytest.mark.parametrize("name", ["../key-ring", "a/b", ".", "..", "/etc/passwd"])
def test_the_name_of_a_credential_never_leaves_its_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no slash"):
        source_from(f"credential:{name}", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "run"}])
def test_a_credential_outside_a_systemd_unit_says_so(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="LoadCredential"):
        source_from("credential:key-ring", environ)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env:",
        "file:",
        "file:key-ring",
        "credential:",
        "command:",
        "command:print-key",
        "vault:x",
        "key-ring",
    ],
)
def test_any_other_source_is_refused_with_the_forms_that_exist(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must read env:NAME"):
        source_from(text, {})


def test_a_key_put_in_place_of_its_source_is_not_repeated(entry: str) -> None:
    for text in (entry, entry[17:], f"file:{entry}", f"command:/bin/echo '{entry}"):
        with pytest.raises(ConfigurationError) as refusal:
            source_from(text, {})
        assert entry[17:40] not in shown_by(refusal.value)
