"""The product's main job on the real thing: the demo's processes, real HTTP, real git, and no token anywhere."""

from __future__ import annotations

import base64
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.core import signing

from tests.demo import Browser, Demo, OAuthConnection, running_demo, surroundings
from tests.sweep import SQLITE, everything, files, sweep

# Host, kind and scopes of the tokens the help page tells people to make.
TOKENS = (
    ("github", "personal_token", "repo"),
    ("gitlab", "personal_token", "read_repository"),
    ("bitbucket", "api_token", "read:repository:bitbucket"),
    ("gitea", "personal_token", "read:repository"),
)
# One whose grant has no refresh token, and one whose grant has.
OAUTH = ("github", "gitlab")
REFUSED = "ghp_refused-but-sent-all-the-same"
PLANTED = "glpat-" + "pl4nted/+" * 5

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """``manage.py demo`` in an empty folder, as ``make run`` starts it."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


def clone(demo: Demo, host: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A plain ``git clone`` of a private repository, with our credential helper."""
    (folder / "key").write_text(demo.key)
    (folder / "key").chmod(0o600)
    helper = f"!{sys.executable} -m credentials.git_credential_forgekey"
    address = f"{demo.emulated[host]['web_url']}/acme/cases.git"
    return subprocess.run(
        [
            *("git", "-c", "credential.helper=", "-c", f"credential.helper={helper}"),
            *("clone", "-q", address, host),
        ],
        check=False,
        cwd=folder,
        env={
            **surroundings(demo.data_dir, demo.database),
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


@pytest.fixture(scope="module")
def connected(demo: Demo) -> dict[str, OAuthConnection]:
    """What alice connected by OAuth, by host; she stays signed in."""
    browser = Browser(demo.base, "alice")
    return {host: demo.connect_by_oauth(browser, host) for host in OAUTH}


@pytest.mark.parametrize("host", [host for host, _, _ in TOKENS])
def test_the_tokens_of_the_help_page_are_said_to_work_and_what_they_hide_is_unknown(
    demo: Demo, tokens: dict[str, str], host: str
) -> None:
    address = f"{demo.emulated[host]['web_url']}/acme/cases/"
    answer = demo.api("POST", "/diagnoses/", user="alice", repository_url=address)
    assert answer.status_code == 200, answer.text
    verdict = answer.json()["verdict"]
    assert (verdict["code"], verdict["host"]) == ("ok", host)
    assert tokens[host] not in answer.text

    held = demo.api("GET", f"/credentials/{verdict['credential']}/").json()
    name = held["account"] and held["account"]["name"]
    assert (name or None) == ("octo-alice" if host == "github" else None)
    assert held["scopes"] == (None if host == "gitea" else [scope for at, _, scope in TOKENS if at == host])


@pytest.mark.parametrize("host", [host for host, _, _ in TOKENS])
def test_git_clones_a_private_repository_with_a_borrowed_credential(
    demo: Demo, tokens: dict[str, str], tmp_path: Path, host: str
) -> None:
    done = clone(demo, host, tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / host).rglob("*"))) > 20
    assert tokens[host] not in (tmp_path / host / ".git" / "config").read_text()
    assert tokens[host] not in done.stdout + done.stderr


@pytest.mark.parametrize("host", OAUTH)
def test_what_was_connected_by_oauth_on_the_pages_is_lent(
    demo: Demo, connected: dict[str, OAuthConnection], host: str
) -> None:
    made = connected[host]

    lent = demo.api("POST", "/leases/", user="alice", credential=made.credential, purpose="import").json()

    assert lent["password"] == made.tokens[0]
    assert len(made.tokens) == (1 if host == "github" else 2)


def test_without_a_connection_git_is_refused_in_plain_words(demo: Demo) -> None:
    answer = demo.api("POST", "/leases/", user="charlie", host="github", purpose="import")

    assert answer.status_code == 422
    assert answer.json()["verdict"]["code"] == "no_credential"


def secrets_of(demo: Demo, tokens: dict[str, str], connected: dict[str, OAuthConnection]) -> dict[str, str]:
    """Everything that must lie nowhere, by what it is."""
    named = {f"token of {host}": token for host, token in tokens.items()}
    for host, made in connected.items():
        named |= {f"OAuth token {number} of {host}": token for number, token in enumerate(made.tokens)}
        named[f"code of {host}"] = made.code
    for host, emulated in demo.emulated.items():
        if emulated["client_secret"]:  # some hosts know no OAuth
            named[f"client secret of {host}"] = emulated["client_secret"]
    ring = (demo.data_dir / "key-ring").read_text("ascii").split(":", 1)[1].strip()
    return {**named, "service key": demo.key, "refused token": REFUSED, "encryption key": ring}


def test_after_the_whole_story_no_secret_lies_anywhere(
    demo: Demo, tokens: dict[str, str], connected: dict[str, OAuthConnection], tmp_path: Path
) -> None:
    for host in tokens:
        assert clone(demo, host, tmp_path).returncode == 0
    demo.api("POST", "/credentials/", user="alice", host="github", token=REFUSED)

    places = {**everything(demo), **files(tmp_path)}
    for file in ("demo-service.key", "key-ring", "key"):  # where a person or the operator keeps it
        places.pop(file)

    assert sweep(places, secrets_of(demo, tokens, connected)) == []


def write(demo: Demo, *statements: str) -> None:
    """Statements past the product, as whoever writes to its database by hand."""
    if demo.database:
        with psycopg.connect(demo.database) as server:
            for statement in statements:
                server.execute(statement.encode())
        return
    with closing(sqlite3.connect(demo.data_dir / SQLITE)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_the_sweep_finds_what_was_planted_in_a_text_a_blob_and_a_session(demo: Demo) -> None:
    secrets = {name: f"{PLANTED}{name}" for name in ("text", "blob", "session")}
    login = base64.b64encode(f"octo:{secrets['text']}".encode()).decode()
    raw = secrets["blob"].encode().hex()
    kept = signing.dumps({"token": secrets["session"], "rest": "x" * 2000}, key="any", compress=True)
    write(
        demo,
        f"CREATE TABLE planted_text AS SELECT '{login}' AS text",
        "CREATE TABLE planted_blob AS SELECT "
        + (f"'\\x{raw}'::bytea AS blob" if demo.database else f"X'{raw}' AS blob"),
        f"INSERT INTO django_session VALUES ('{'p' * 32}', '{kept}', '2099-01-01 00:00:00')",
    )
    try:
        found = sweep(everything(demo), secrets)
    finally:
        write(demo, "DROP TABLE planted_text", "DROP TABLE planted_blob")
        write(demo, f"DELETE FROM django_session WHERE session_key = '{'p' * 32}'")

    dumps = ("plain pg_dump", "custom pg_dump") if demo.database else ("dump",)
    assert {f"{name} in {place}" for name in ("text", "blob") for place in dumps} <= set(found)
    assert [place for place in found if place.startswith("session")] == ["session in sessions"]
    if not demo.database:
        assert {place.split()[0] for place in found if SQLITE in place} == {"text", "blob"}


@pytest.mark.parametrize(
    "written",
    [
        PLANTED,
        PLANTED.encode().hex(),
        PLANTED.encode().hex().upper(),
        quote(PLANTED, safe=""),
        json.dumps({"token": PLANTED}),
        json.dumps({"token": PLANTED}).replace("/", "\\/"),
        *(base64.b64encode(f"{'u' * length}:{PLANTED}:".encode()).decode() for length in range(3)),
        *(base64.urlsafe_b64encode(f"{'u' * length}{PLANTED}".encode()).decode() for length in range(3)),
    ],
)
def test_the_sweep_finds_a_secret_however_it_is_written(written: str) -> None:
    assert sweep({"log": f"…{written}…".encode()}, {"it": PLANTED}) == ["it in log"]


def test_the_trail_of_the_story_holds(
    demo: Demo, tokens: dict[str, str], connected: dict[str, OAuthConnection]
) -> None:
    assert "hold" in demo.manage("verify_audit")


def test_a_signal_ends_every_process_and_the_data_stays(
    demo: Demo, tokens: dict[str, str], connected: dict[str, OAuthConnection]
) -> None:
    children = subprocess.run(
        ["pgrep", "-P", str(demo.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 3

    demo.process.send_signal(signal.SIGTERM)

    assert demo.process.wait(timeout=30) == 0
    assert all(not Path(f"/proc/{pid}").exists() for pid in children)
    kept = json.loads(demo.manage("dumpdata", "credentials.credential"))
    assert len(kept) == len(tokens) + len(connected)
