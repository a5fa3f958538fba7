"""The product's main job on the real thing: the demo's processes, real HTTP, real git, and no token anywhere."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
# Host, kind and scopes of the tokens the help page tells people to make.
TOKENS = (
    ("github", "personal_token", "repo"),
    ("gitlab", "personal_token", "read_repository"),
    ("bitbucket", "api_token", "read:repository:bitbucket"),
    ("gitea", "personal_token", "read:repository"),
)

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A running demo: its addresses, its folder, and everything it printed."""

    base: str
    sandbox_port: int
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> str:
        return (self.data_dir / "demo-service.key").read_text("ascii")

    def api(self, method: str, path: str, **body: object) -> requests.Response:
        return requests.request(
            method,
            f"{self.base}/api/v1{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=environment(self.data_dir),
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        return done.stdout


def environment(data_dir: Path) -> dict[str, str]:
    """A plain environment: nothing of the test run's own settings."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return {**kept, "DATA_DIR": str(data_dir), "SECURE": "false", "PYTHONPATH": str(ROOT)}


def free_ports(count: int) -> int:
    """The first of ``count`` neighboring free ports below 32768."""
    for first in range(21_000 + os.getpid() % 500 * 10, 32_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """``manage.py demo`` in an empty folder, as ``make run`` starts it."""
    folder = tmp_path_factory.mktemp("demo")
    port = free_ports(5)
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "demo", "--port", str(port)),
                *("--sandbox-port", str(port + 1), "--data-dir", str(folder / "data")),
            ],
            cwd=ROOT,
            env=environment(folder / "data"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Demo(
        base=f"http://127.0.0.1:{port}",
        sandbox_port=port + 1,
        data_dir=folder / "data",
        log=log,
        process=process,
    )
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C ends everything" not in log.read_text("utf-8"):
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.2)
    yield running
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def clone(demo: Demo, host: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A plain ``git clone`` of a private repository, with our credential helper."""
    (folder / "key").write_text(demo.key)
    (folder / "key").chmod(0o600)
    helper = f"!{sys.executable} -m credentials.git_credential_forgekey"
    ports = {"github": 0, "gitlab": 1, "bitbucket": 2, "gitea": 3}
    address = f"http://127.0.0.1:{demo.sandbox_port + ports[host]}/acme/cases.git"
    return subprocess.run(
        [
            "git",
            "-c",
            "credential.helper=",
            "-c",
            f"credential.helper={helper}",
            "clone",
            "-q",
            address,
            host,
        ],
        check=False,
        cwd=folder,
        env={
            **environment(demo.data_dir),
            "FORGEKEY_URL": demo.base,
            "FORGEKEY_KEY_FILE": str(folder / "key"),
            "FORGEKEY_USER": "alice",
            "FORGEKEY_PURPOSE": "nightly import",
            "GIT_TERMINAL_PROMPT": "0",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def tokens(demo: Demo) -> dict[str, str]:
    """One token a host, made at the sandbox and pasted over the API for alice."""
    made = {}
    for host, kind, scope in TOKENS:
        token = demo.manage(
            "sandbox_token", "--host", host, "--account", "octo-alice", "--kind", kind, "--scope", scope
        ).strip()
        body = {"user": "alice", "host": host, "token": token}
        if host == "bitbucket":
            body["email"] = "octo-alice@example.test"
        answer = demo.api("POST", "/credentials/", **body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "valid"
        made[host] = token
    return made


@pytest.mark.parametrize("host", [host for host, _, _ in TOKENS])
def test_git_clones_a_private_repository_with_a_borrowed_credential(
    demo: Demo, tokens: dict[str, str], tmp_path: Path, host: str
) -> None:
    done = clone(demo, host, tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / host).rglob("*"))) > 20
    assert tokens[host] not in (tmp_path / host / ".git" / "config").read_text()
    assert tokens[host] not in done.stdout + done.stderr


def test_without_a_connection_git_is_refused_in_plain_words(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(demo.key)
    answer = demo.api("POST", "/leases/", user="charlie", host="github", purpose="import")

    assert answer.status_code == 422
    assert answer.json()["verdict"]["code"] == "no_credential"


def forms_of(token: str) -> set[bytes]:
    """A secret as it might lie somewhere: raw, hex, in an address, and in base64 at each alignment."""
    raw = token.encode()
    found = {raw, raw.hex().encode(), quote(token, safe="").encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw)
        found.add(encoded[4:-4])
    return found


def sweep(where: dict[str, bytes], tokens: dict[str, str]) -> list[str]:
    """The places in which any form of any token was found."""
    return [
        f"{host} in {name}"
        for name, content in where.items()
        for host, token in tokens.items()
        for form in forms_of(token)
        if form in content
    ]


def admin_pages(demo: Demo) -> dict[str, bytes]:
    """Every page a superuser reaches by following links from the admin's index."""
    session = requests.Session()
    login = f"{demo.base}/accounts/login/"
    form = session.get(login, timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token is not None
    session.post(
        login,
        data={"csrfmiddlewaretoken": token[1], "login": "admin", "password": "admin-demo"},
        headers={"Referer": login},
        timeout=30,
    )
    pages: dict[str, bytes] = {}
    waiting = ["/admin/"]
    while waiting and len(pages) < 120:
        path = waiting.pop(0)
        if path in pages or "logout" in path:
            continue
        pages[path] = session.get(f"{demo.base}{path}", timeout=30).content
        links = re.findall(r'href="(/admin/[^"#]*)"', pages[path].decode("utf-8", "replace"))
        waiting += [link for link in links if "?" not in link and link not in pages]
    assert len(pages) > 20
    return pages


def processes() -> dict[str, bytes]:
    """Command lines and environments of every process on this machine."""
    found = {}
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            try:
                found[str(path)] = path.read_bytes()
            except OSError:
                continue
    return found


def everything(demo: Demo) -> dict[str, bytes]:
    """Every place the product writes to, shows, or passes on."""
    files = {
        str(path.relative_to(demo.data_dir)): path.read_bytes()
        for path in demo.data_dir.rglob("*")
        # The sandbox plays the Git hosts: it is where the tokens were made.
        if path.is_file() and "sandbox" not in path.relative_to(demo.data_dir).parts
    }
    return {
        **files,
        **admin_pages(demo),
        **processes(),
        "log": demo.log.read_bytes(),
        "dumpdata": demo.manage("dumpdata").encode(),
    }


def test_after_the_whole_story_no_token_lies_anywhere(
    demo: Demo, tokens: dict[str, str], tmp_path: Path
) -> None:
    for host in tokens:
        assert clone(demo, host, tmp_path).returncode == 0
    demo.api("POST", "/credentials/", user="alice", host="github", token="ghp_refused-but-sent-all-the-same")
    secrets = {**tokens, "key": demo.key, "refused": "ghp_refused-but-sent-all-the-same"}
    places = everything(demo)
    places.pop("demo-service.key")

    assert sweep(places, secrets) == []


def test_the_sweep_finds_a_planted_token(demo: Demo, tokens: dict[str, str]) -> None:
    with sqlite3.connect(demo.data_dir / "forgekey.sqlite3") as database:
        database.execute("CREATE TABLE planted (text TEXT)")
        hidden = base64.b64encode(f"octo:{tokens['gitlab']}".encode()).decode()
        database.execute("INSERT INTO planted VALUES (?)", (hidden,))
    try:
        found = sweep(everything(demo), tokens)
    finally:
        with sqlite3.connect(demo.data_dir / "forgekey.sqlite3") as database:
            database.execute("DROP TABLE planted")

    assert any(place.startswith("gitlab in forgekey.sqlite3") for place in found)


def test_the_trail_of_the_story_holds(demo: Demo, tokens: dict[str, str]) -> None:
    assert "hold" in demo.manage("verify_audit")


def test_a_signal_ends_every_process_and_the_data_stays(demo: Demo, tokens: dict[str, str]) -> None:
    children = subprocess.run(
        ["pgrep", "-P", str(demo.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 3

    demo.process.send_signal(signal.SIGTERM)

    assert demo.process.wait(timeout=30) == 0
    assert all(not Path(f"/proc/{pid}").exists() for pid in children)
    with sqlite3.connect(demo.data_dir / "forgekey.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM credentials_credential").fetchone()[0] == len(tokens)
