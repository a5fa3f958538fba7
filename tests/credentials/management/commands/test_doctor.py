"""``doctor`` on the command line: a line for each remark, JSON for machines, and a status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from credentials.services import audit_proof, vault
from tests import builders
from tests.processes import ROOT, environment

pytestmark = pytest.mark.django_db


def run(*words: str) -> tuple[str, str]:
    """What it prints, and what it fails with."""
    out = io.StringIO()
    try:
        call_command("doctor", *words, stdout=out, no_color=True)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_a_healthy_installation_is_told_line_by_line(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host())

    out, failure = run("--offline")

    assert failure == ""
    assert "ok       canary: A canary credential was sealed, stored, read and opened" in out
    assert out.endswith("No problem. Warnings: 0.\n")


def test_a_problem_has_its_remedy_below_and_makes_it_fail(own_key_file: Path, alice: User) -> None:
    builders.credential(alice, builders.host())
    own_key_file.chmod(0o644)
    vault.forget()

    out, failure = run("--offline")

    assert "problem  key ring: The key file" in out
    assert "chmod 600" in out
    assert failure == "Problems: 1. Warnings: 1."


def test_hosts_are_asked_unless_it_is_offline(own_key_file: Path) -> None:
    builders.host()
    audit_proof.seal(now=timezone.now())
    assert "problem  host github: http://127.0.0.1:9/api/v3 does not answer" in run()[0]
    assert "github" not in run("--offline")[0]


def test_machines_get_one_json_object_and_nothing_else(own_key_file: Path) -> None:
    builders.host()

    out, failure = run("--json")

    told = json.loads(out)
    assert told["ok"] is False
    assert failure.startswith("Problems: 1")
    assert {tuple(remark) for remark in told["findings"]} == {("check", "level", "text", "remedy")}
    assert {remark["level"] for remark in told["findings"]} == {"ok", "problem"}
    assert json.loads(run("--json", "--offline")[0])["ok"] is True


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_real_process_ends_with_status_1_where_there_is_a_problem(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    variables = environment(tmp_path / "data", DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/db")
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", *words],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 1
    assert "correct DATABASE_URL" in done.stdout
    assert done.stderr == "CommandError: Problems: 1. Warnings: 0.\n"
