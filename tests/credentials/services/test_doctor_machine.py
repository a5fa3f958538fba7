"""What lies around the database: files nobody else may read, git, and hosts that answer."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from credentials.services import doctor_machine, hosts
from credentials.services.remarks import Level, Remark
from tests import builders
from tests.sandbox import RunningSandbox


def levels(remarks: Any) -> list[tuple[Level, str]]:
    return [(remark.level, remark.text) for remark in remarks]


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """A data folder whose files anybody could read, were it not for the folder."""
    tmp_path.chmod(0o700)
    for name in ("secret-key", "audit-anchor", "key-ring"):
        (tmp_path / name).write_text("", "ascii")
        (tmp_path / name).chmod(0o644)
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'key-ring'}"
    return tmp_path


def test_a_closed_folder_is_enough(folder: Path) -> None:
    (found,) = doctor_machine.files()
    assert found.level is Level.OK


def test_in_an_open_folder_every_open_file_is_named_with_what_mends_it(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "audit-anchor").chmod(0o600)

    found = list(doctor_machine.files())

    assert [remark.remedy for remark in found] == [
        f"chmod 700 {folder}",
        f"chmod 600 {folder / 'secret-key'}",
        f"chmod 600 {folder / 'key-ring'}",
    ]
    assert {remark.level for remark in found} == {Level.PROBLEM}


@pytest.mark.skipif("sqlite" not in connection.vendor, reason="only SQLite keeps its data in files of ours")
def test_the_files_of_sqlite_are_looked_at_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "in").mkdir(mode=0o711)
    for end in ("", "-wal", "-shm"):
        (folder / "in" / f"db{end}").write_text("", "ascii")
        (folder / "in" / f"db{end}").chmod(0o640)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(folder / "in" / "db"))
    assert [remark.remedy.rpartition("/")[2] for remark in doctor_machine.files()] == [
        "db",
        "db-wal",
        "db-shm",
    ]


def test_a_data_folder_that_is_not_there_is_a_problem(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_DATA_DIR = tmp_path / "gone"
    (found,) = doctor_machine.files()
    assert (found.level, found.remedy) == (Level.PROBLEM, "Create it.")


def test_git_is_found_and_says_its_version() -> None:
    (found,) = doctor_machine.git_program()
    assert found.level is Level.OK
    assert found.text.startswith("git version")


@pytest.mark.parametrize("body", [None, "exit 1", "sleep 60"])
def test_without_a_git_that_runs_there_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None
) -> None:
    if body is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{body}\n", "ascii")
        (tmp_path / "git").chmod(0o700)
    monkeypatch.setattr(doctor_machine, "_SECONDS", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin" if body else str(tmp_path))
    (found,) = doctor_machine.git_program()
    assert found.level is Level.PROBLEM


def asked(slug: str) -> Remark:
    return {remark.check: remark for remark in doctor_machine.reachable_hosts()}[f"host {slug}"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS]
)
def test_any_answer_of_a_host_will_do(sandbox: RunningSandbox, status: int) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    sandbox.control("gitlab", "POST", "faults", {"status": int(status), "path_prefix": "/api"})
    assert host.is_enabled
    assert asked("gitlab").level is Level.OK


@pytest.mark.django_db
def test_a_host_that_is_down_is_a_problem_that_names_the_way_to_it(sandbox: RunningSandbox) -> None:
    builders.host()
    found = asked("github")
    assert found.level is Level.PROBLEM
    assert "http://127.0.0.1:9/api/v3 does not answer" in found.text
    assert "firewall" in found.remedy


@pytest.mark.django_db
def test_a_host_on_a_private_network_without_permission_says_how_to_give_it() -> None:
    builders.host(web_url="https://127.0.0.1:9", api_url="https://127.0.0.1:9", allow_private_network=False)
    assert "--allow-private-network" in asked("github").remedy


@pytest.mark.django_db
def test_a_disabled_host_is_not_asked() -> None:
    hosts.set_enabled(actor=builders.SYSTEM, host=builders.host(), enabled=False)
    assert list(doctor_machine.reachable_hosts()) == []
