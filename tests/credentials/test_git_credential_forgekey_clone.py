from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credentials.build_machine import GitHost, Machine, ProcessWatch, bare_projects, build_machine
from tests.credentials.lease_api import KEY, TOKEN, running

ORIGIN = "https://github.example"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with build_machine(tmp_path) as ready:
        yield ready


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    return bare_projects(tmp_path)


@pytest.fixture
def git_host(projects: Path) -> Iterator[GitHost]:
    host = GitHost(projects, TOKEN)
    with running(host):
        yield host


def test_git_fills_a_credential_from_forgekey(machine: Machine) -> None:
    done = machine.git("credential", "fill", text=b"url=https://github.example/acme/cases.git\n\n")

    assert done.returncode == 0, done.stderr
    assert f"password={TOKEN}\n" in done.stdout.decode()
    assert machine.api.calls[0].body["repository_url"] == ORIGIN


def test_git_names_the_repository_when_told_to(machine: Machine) -> None:
    text = b"url=https://github.example/acme/a%20b.git\n\n"
    done = machine.git("-c", "credential.useHttpPath=true", "credential", "fill", text=text)

    assert done.returncode == 0, done.stderr
    assert machine.api.calls[0].body["repository_url"] == f"{ORIGIN}/acme/a%20b.git"


def test_git_gives_up_without_asking_anybody_else_when_nothing_is_lent(machine: Machine) -> None:
    machine.environ["FORGEKEY_USER"] = "charlie"
    other = f"!touch {machine.home}/asked; echo"

    done = machine.git(
        "-c",
        f"credential.helper={other}",
        "credential",
        "fill",
        text=b"protocol=https\nhost=github.example\n\n",
    )

    assert done.returncode != 0
    assert b"told us to quit" in done.stderr
    assert not (machine.home / "asked").exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_private_repository_is_cloned_and_the_token_shows_nowhere(
    machine: Machine, git_host: GitHost
) -> None:
    basic = git_host.expected.removeprefix("Basic ")
    with ProcessWatch(
        TOKEN, KEY, basic, "FORGEKEY_PURPOSE=nightly", "credentials.git_credential_forgekey"
    ) as watch:
        done = machine.git("clone", f"{git_host.url}/acme/cases.git", "clone")

    assert done.returncode == 0, done.stderr
    assert (machine.home / "clone" / ".git" / "refs" / "remotes").exists()
    # The watch did see Git's processes, and the program while it ran.
    assert watch.found[b"FORGEKEY_PURPOSE=nightly"] == {"environ"}
    assert "cmdline" in watch.found[b"credentials.git_credential_forgekey"]
    for secret in (TOKEN, KEY, basic):
        assert watch.found[secret.encode()] == set()
        assert secret.encode() not in done.stdout + done.stderr
        assert holders(machine.home, secret) == ({"service.key"} if secret == KEY else set())


def holders(folder: Path, secret: str) -> set[str]:
    """The names of the files below ``folder`` that hold ``secret``."""
    return {
        path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    }


def test_after_a_clone_forgekey_knows_that_the_host_accepted(machine: Machine, git_host: GitHost) -> None:
    done = machine.git("clone", f"{git_host.url}/acme/cases.git", "clone")

    assert done.returncode == 0, done.stderr
    assert git_host.refused == [""]
    lent, *reports = machine.api.calls
    assert lent.body["repository_url"] == git_host.url
    assert [call.body for call in reports] == [{"outcome": "accepted"}]
    assert list(machine.leases.iterdir()) == []


def test_after_a_refused_clone_forgekey_knows_that_the_host_rejected(
    machine: Machine, projects: Path
) -> None:
    host = GitHost(projects, "another token")
    with running(host):
        done = machine.git("clone", f"{host.url}/acme/cases.git", "clone")

    assert done.returncode != 0
    assert b"Authentication failed" in done.stderr
    assert TOKEN.encode() not in done.stderr
    lent, *reports = machine.api.calls
    assert lent.body["repository_url"] == host.url
    assert [call.body for call in reports] == [{"outcome": "rejected"}]
    assert list(machine.leases.iterdir()) == []
