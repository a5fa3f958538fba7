from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credentials.build_machine import ROOT, Machine, build_machine
from tests.credentials.lease_api import KEY, LEASE_ID, TOKEN, Said, in_an_hour, lease, lease_api, problem

HOST = b"protocol=https\nhost=github.example\n"
LENT = HOST + b"username=x-access-token\npassword=" + TOKEN.encode() + b"\n"
ORIGIN = "https://github.example"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with build_machine(tmp_path) as ready:
        yield ready


def assert_quits(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.stdout == b"quit=1\n"
    assert done.returncode == 1
    assert done.stderr.startswith(b"forgekey: ")
    assert b"Traceback" not in done.stderr
    assert KEY.encode() not in done.stderr
    assert TOKEN.encode() not in done.stderr


# get


def test_get_prints_what_was_lent_and_when_it_ends(machine: Machine) -> None:
    end = in_an_hour()
    machine.api.says(lease(ORIGIN, lease_expires_at=end.isoformat()))

    done = machine.script("get", text=HOST)

    lines = f"username=x-access-token\npassword={TOKEN}\npassword_expiry_utc={int(end.timestamp())}\n"
    assert (done.stdout, done.stderr, done.returncode) == (lines.encode(), b"", 0)
    (call,) = machine.api.calls
    assert call.body == {"user": "alice", "repository_url": ORIGIN, "purpose": "nightly build"}


def test_get_asks_for_the_repository_when_git_names_it(machine: Machine) -> None:
    machine.script("get", text=HOST + "path=acme/Fälle & more.git\n\n".encode())

    assert machine.api.calls[0].body["repository_url"] == f"{ORIGIN}/acme/F%C3%A4lle%20%26%20more.git"


def test_get_passes_over_what_a_newer_git_adds(machine: Machine) -> None:
    added = b"capability[]=authtype\ncapability[]=state\nwwwauth[]=Basic\nwwwauth[]=Bearer\nfoo=1\nfoo=2\n"

    assert TOKEN.encode() in machine.script("get", text=HOST + added + b"\n").stdout


def test_get_ignores_a_user_name_of_the_address(machine: Machine) -> None:
    assert b"username=x-access-token\n" in machine.script("get", text=HOST + b"username=octo\n").stdout


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"protocol=https\n",
        b"host=github.example\n",
        b"protocol=https\nhost=\n",
        b"protocol=\nhost=github.example\n",
        b"protocol=https\nhost\n",
        HOST + b"host=evil.example\n",
        HOST + b"protocol=http\n",
        b"protocol=https\r\nhost=github.example\r\n",
        b"protocol=https\nhost=evil.example\rhost=github.example\n",
        HOST + b"path=a\rb\n",
        HOST + b"ignored=a\rb\n",
        HOST + b"\n\r",
        b"protocol=https\nhost=github.example\0.evil.example\n",
        HOST + b"path=a\0b\n",
        b"protocol=https\nhost=evil.example%0ahost=github.example\n",
        b"protocol=https\nhost=github.example/@evil.example\n",
        b"protocol=https\nhost=eve@github.example\n",
        b"protocol=https\nhost=g\xc3\xaethub.example\n",
        b"protocol=https\nhost=\xff\n",
        b"protocol=http\nhost=github.example\n",
        b"protocol=ssh\nhost=github.example\n",
        b"protocol=https\n\nhost=github.example\n",
        HOST + b"x=" + b"y" * 70_000 + b"\n",
    ],
)
def test_a_request_git_would_not_write_gets_quit_and_reaches_nobody(machine: Machine, text: bytes) -> None:
    assert_quits(machine.script("get", text=text))
    assert machine.api.calls == []


@pytest.mark.parametrize(
    "other",
    [
        "https://evil.example",
        "https://github.example:8443",
        "https://github.example.evil.example",
        "https://sub.github.example/acme",
        "http://127.0.0.1",
    ],
)
def test_an_answer_for_another_origin_is_not_given_to_git(machine: Machine, other: str) -> None:
    machine.api.says(lease(other))

    done = machine.script("get", text=HOST)

    assert_quits(done)
    assert b"another host" in done.stderr


def test_the_same_origin_spelled_otherwise_is_given_to_git(machine: Machine) -> None:
    machine.api.says(lease("https://GITHUB.example:443/acme/cases"))

    assert TOKEN.encode() in machine.script("get", text=HOST).stdout


@pytest.mark.parametrize(
    "changes",
    [
        {"password": f"{TOKEN}\nhost=evil.example"},
        {"password": f"{TOKEN}\0"},
        {"password": f"{TOKEN}\r"},
        {"password": ""},
        {"username": "x\nurl=https://evil.example"},
        {"lease_expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_value_git_would_misread_or_could_not_use_is_kept_back(
    machine: Machine, changes: dict[str, object]
) -> None:
    machine.api.says(lease(ORIGIN, **changes))

    assert_quits(machine.script("get", text=HOST))
    assert not machine.leases.exists()


def test_a_verdict_is_told_on_standard_error(machine: Machine) -> None:
    steps = [{"text": "Connect an account at github.example.", "url": "https://forgekey.example/"}]
    verdict = {"code": "no_credential", "summary": "bob has no account\x1b[2J there.", "steps": steps}
    machine.api.says(problem(422, verdict=verdict))

    done = machine.script("get", text=HOST)

    assert_quits(done)
    assert done.stderr.decode() == (
        "forgekey: bob has no account [2J there.\n"
        "forgekey: Connect an account at github.example. https://forgekey.example/\n"
    )


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_any_refusal_makes_git_quit(machine: Machine, status: int) -> None:
    machine.api.says(problem(status))

    assert_quits(machine.script("get", text=HOST))


def test_a_redirect_makes_git_quit_and_does_not_carry_the_key(machine: Machine) -> None:
    with lease_api() as other:
        machine.api.says(Said(status=302, headers={"Location": f"{other.url}/api/v1/leases/"}))

        assert_quits(machine.script("get", text=HOST))
        assert other.calls == []


@pytest.mark.parametrize(
    "changes",
    [
        {"FORGEKEY_URL": ""},
        {"FORGEKEY_URL": "http://forgekey.example"},
        {"FORGEKEY_URL": "http://127.0.0.1:1"},
        {"FORGEKEY_USER": ""},
        {"FORGEKEY_KEY_FILE": "/nonexistent"},
        {"FORGEKEY_KEY_FILE": "", "FORGEKEY_KEY": "not a key"},
    ],
)
def test_a_wrong_environment_makes_git_quit(machine: Machine, changes: dict[str, str]) -> None:
    assert_quits(machine.script("get", text=HOST, **changes))


def test_a_key_file_others_may_read_makes_git_quit(machine: Machine) -> None:
    (machine.home / "service.key").chmod(0o640)

    assert_quits(machine.script("get", text=HOST))
    assert machine.api.calls == []


def test_a_word_of_a_later_git_is_passed_over(machine: Machine) -> None:
    done = machine.script("capability", text=HOST)

    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_a_person_who_types_it_is_told_how_it_is_used(machine: Machine) -> None:
    done = machine.script()

    assert (done.stdout, done.returncode) == (b"", 2)
    assert b"get|store|erase" in done.stderr


def test_it_runs_where_django_is_not_installed(machine: Machine) -> None:
    code = "import sys, credentials.git_credential_forgekey; print([m for m in sys.modules if 'django' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=machine.environ, cwd=ROOT, capture_output=True, check=True
    )

    assert done.stdout == b"[]\n"


# store and erase


@pytest.mark.parametrize(("word", "outcome"), [("store", "accepted"), ("erase", "rejected")])
def test_what_became_of_the_answer_is_reported_once(machine: Machine, word: str, outcome: str) -> None:
    machine.script("get", text=HOST)
    machine.api.calls.clear()

    for _ in range(2):
        done = machine.script(word, text=LENT + b"password_expiry_utc=1\n\n")
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)

    (call,) = machine.api.calls
    assert call.path == f"/api/v1/leases/{LEASE_ID}/report/"
    assert call.body == {"outcome": outcome}
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert list(machine.leases.iterdir()) == []


@pytest.mark.parametrize("word", ["store", "erase"])
@pytest.mark.parametrize(
    "text",
    [
        HOST,
        HOST + b"username=x-access-token\n",
        LENT.replace(b"password=", b"password=x"),
        LENT.replace(b"username=", b"username=x"),
        LENT.replace(b"host=", b"host=x"),
        LENT + b"path=a\rb\n",
        b"protocol=cert\nhost=\npassword=x\n",
    ],
)
def test_a_credential_of_somebody_else_is_nothing_to_report(machine: Machine, word: str, text: bytes) -> None:
    machine.script("get", text=HOST)
    machine.api.calls.clear()

    done = machine.script(word, text=text)

    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert machine.api.calls == []
    assert len(list(machine.leases.iterdir())) == 1


def test_a_report_forgekey_refuses_is_said_but_not_to_git(machine: Machine) -> None:
    machine.script("get", text=HOST)
    machine.api.says(problem(503))

    done = machine.script("store", text=LENT)

    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"status 503" in done.stderr


def test_nothing_secret_lies_in_the_lease_folder(machine: Machine) -> None:
    machine.script("get", text=HOST + b"path=acme/cases.git\n")

    (path,) = machine.leases.iterdir()
    lines = path.read_text().splitlines()
    assert lines[0] == LEASE_ID
    assert len(lines) == 2
    assert 0 < int(lines[1]) - time.time() <= 3600
    assert path.stat().st_mtime == int(lines[1])
    assert path.stat().st_mode & 0o777 == 0o600
    assert machine.leases.stat().st_mode & 0o777 == 0o700
    assert machine.leases.parent.stat().st_mode & 0o777 == 0o700
    for secret in (TOKEN, KEY, "github.example", "acme"):
        assert secret not in path.name + path.read_text()


def test_the_name_of_a_lease_cannot_be_found_without_the_service_key(machine: Machine) -> None:
    other_key = KEY[:-1] + "X"
    machine.api.says(lease(ORIGIN))

    machine.script("get", text=HOST)
    machine.script("get", text=HOST, FORGEKEY_KEY_FILE="", FORGEKEY_KEY=other_key)

    assert len(list(machine.leases.iterdir())) == 2


def test_leases_that_ended_long_ago_are_swept(machine: Machine) -> None:
    machine.script("get", text=HOST)
    (old,) = machine.leases.iterdir()
    kept = machine.leases / "kept"
    kept.write_text(LEASE_ID)
    os.utime(old, (time.time() - 3700,) * 2)
    os.utime(kept, (time.time() - 3500,) * 2)

    machine.script("get", text=b"protocol=https\nhost=gitlab.example\n")

    names = {path.name for path in machine.leases.iterdir()}
    assert "kept" in names
    assert old.name not in names
    assert len(names) == 2


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_lease_folder_open_to_others_is_not_used_but_the_clone_goes_on(machine: Machine, mode: int) -> None:
    machine.leases.mkdir(parents=True)
    machine.leases.parent.chmod(0o700)
    machine.leases.chmod(mode)

    done = machine.script("get", text=HOST)

    assert TOKEN.encode() in done.stdout
    assert b"not private" in done.stderr
    assert list(machine.leases.iterdir()) == []


def test_a_lease_folder_that_is_a_link_is_not_followed(machine: Machine) -> None:
    elsewhere = machine.home / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    machine.leases.parent.mkdir(mode=0o700)
    machine.leases.symlink_to(elsewhere)

    assert TOKEN.encode() in machine.script("get", text=HOST).stdout
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_a_lease_is_not_followed(machine: Machine) -> None:
    machine.script("get", text=HOST)
    (path,) = machine.leases.iterdir()
    path.rename(machine.home / "moved")
    path.symlink_to(machine.home / "moved")
    machine.api.calls.clear()

    machine.script("store", text=LENT)

    assert machine.api.calls == []


def test_the_runtime_folder_is_preferred(machine: Machine) -> None:
    runtime = machine.home / "runtime"
    runtime.mkdir(mode=0o700)

    machine.script("get", text=HOST, XDG_RUNTIME_DIR=str(runtime))

    assert len(list((runtime / "forgekey" / "leases").iterdir())) == 1
    assert not machine.leases.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_runtime_folder_of_somebody_else_is_not_used(machine: Machine) -> None:
    runtime = machine.home / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, 65534, 65534)

    machine.script("get", text=HOST, XDG_RUNTIME_DIR=str(runtime))

    assert list(runtime.iterdir()) == []
    assert len(list(machine.leases.iterdir())) == 1


def test_without_a_cache_setting_the_home_folder_holds_the_leases(machine: Machine) -> None:
    machine.script("get", text=HOST, XDG_CACHE_HOME="relative")

    assert len(list((machine.home / ".cache" / "forgekey" / "leases").iterdir())) == 1
