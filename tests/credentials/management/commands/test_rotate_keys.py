"""``rotate_keys`` as an operator runs it, and as a power cut ends it."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from credentials.crypto.secret import Secret
from credentials.models import Credential
from credentials.services import audit_proof, rotate, vault
from tests import builders
from tests.processes import ROOT, database_url, environment

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "k" * 36


def run(*words: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("rotate_keys", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_says_what_it_moved_and_where_to(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host(client_secret=Secret("s"), client_id="c"))
    first = builders.new_first_key(own_key_file)

    out, err = run()

    assert "credential: 1 re-wrapped\n" in out
    assert "host: 1 re-wrapped\n" in out
    assert out.endswith(f"Everything is under key {first}.\n")
    assert err == ""


def test_a_dry_run_counts_the_rows_of_each_key_and_changes_nothing(own_key_file: Path, alice: User) -> None:
    host = builders.host()
    old = vault.primary_key_id()
    builders.credential(alice, host, token=TOKEN)
    lost = builders.new_first_key(own_key_file)
    builders.credential(alice, host)
    builders.lose_all_keys_but(own_key_file, old)
    first = builders.new_first_key(own_key_file)
    before = list(Credential.objects.values_list("access_envelope", flat=True))

    out, _ = run("--dry-run")

    assert f"{old} (older): credential 1, purpose_key 2\n" in out
    assert f"{lost} (missing from the key ring): credential 1\n" in out
    assert out.endswith(f"4 rows to re-wrap under key {first}.\n")
    assert list(Credential.objects.values_list("access_envelope", flat=True)) == before
    assert rotate.remaining() == 4


def test_rows_that_do_not_open_are_named_and_the_command_fails(own_key_file: Path, alice: User) -> None:
    host = builders.host()
    good = builders.credential(alice, host)
    bad = builders.credential(alice, host, token=TOKEN)
    Credential.objects.filter(pk=bad.pk).update(access_envelope=good.access_envelope)
    first = builders.new_first_key(own_key_file)
    err = io.StringIO()

    with pytest.raises(CommandError, match="1 rows do not open; everything else is done"):
        call_command("rotate_keys", stdout=io.StringIO(), stderr=err)

    assert f"credential {bad.pk} was left as it is" in err.getvalue()
    good.refresh_from_db()
    assert good.key_id == first


def test_more_bad_rows_than_anybody_reads_are_counted(own_key_file: Path, alice: User) -> None:
    host = builders.host()
    for number in range(23):
        builders.credential(alice, host, token=f"ghp_{number:036d}")
    Credential.objects.update(access_envelope=bytes(200))
    builders.new_first_key(own_key_file)
    err = io.StringIO()
    with pytest.raises(CommandError, match="23 rows"):
        call_command("rotate_keys", stdout=io.StringIO(), stderr=err)
    assert err.getvalue().count("was left as it is") == 20
    assert "… and 3 more" in err.getvalue()


def test_a_ring_that_does_not_load_is_said_and_nothing_is_touched(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host())
    own_key_file.chmod(0o644)
    vault.forget()
    with pytest.raises(CommandError, match="chmod 600"):
        run()


@pytest.mark.parametrize("size", ["0", "10001", "-1"])
def test_a_batch_has_a_sensible_size(size: str) -> None:
    with pytest.raises(CommandError, match="from 1 to 10000"):
        run("--batch", size)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_that_fills(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host())
    builders.new_first_key(own_key_file)
    screen = Terminal()

    call_command("rotate_keys", stdout=io.StringIO(), stderr=screen)

    assert screen.getvalue().rstrip("\n").split("\r")[-1] == f"[{'#' * 40}] 3 of 3"


@pytest.fixture
def rotating(own_key_file: Path, tmp_path: Path) -> Iterator[Any]:
    """Starts the command as a process of its own on the tests' database; ends what is left of it."""
    started: list[subprocess.Popen[str]] = []
    variables = environment(
        tmp_path / "data", DATABASE_URL=database_url(), CREDENTIALS_KEY_SOURCE=f"file:{own_key_file}"
    )

    def start() -> subprocess.Popen[str]:
        argv = [sys.executable, "manage.py", "rotate_keys", "--batch", "2"]
        started.append(subprocess.Popen(argv, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_until_at_most(left: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while rotate.remaining() > left and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_at_any_moment_loses_nothing_and_is_finished_by_the_next(
    own_key_file: Path, rotating: Any, alice: User
) -> None:
    host = builders.host()
    stored = [builders.credential(alice, host, token=f"ghp_{number:036d}") for number in range(60)]
    dice = random.Random(11)
    killed = 0
    for _ in range(8):
        if rotate.remaining() < 20:
            builders.new_first_key(own_key_file)
        process = rotating()
        wait_until_at_most(dice.randint(1, rotate.remaining() - 1), process)
        time.sleep(dice.random() / 500)
        killed += process.poll() is None
        process.kill()
        process.wait()

        for number, credential in enumerate(stored):
            fresh = Credential.objects.select_related("host").get(pk=credential.pk)
            assert vault.open_credential(fresh, record=lambda: None).reveal() == f"ghp_{number:036d}"
        assert audit_proof.verify().holds

    process = rotating()
    assert process.communicate()[0].endswith(f"Everything is under key {vault.primary_key_id()}.\n")
    assert process.returncode == 0
    assert rotate.remaining() == 0
    assert audit_proof.verify().holds
    assert killed > 0
