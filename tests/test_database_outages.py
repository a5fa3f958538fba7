"""The database stops, takes no writes, or its disk is full: said within seconds, nothing lent, and over by itself.

Real processes and a real PostgreSQL of the test's own, on whichever database the rest of the suite runs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests
from django_tasks_db.models import DBTaskResult

from credentials.management.commands.demo import web_words
from tests.disks import fill, folder, small_disk
from tests.postgres import OwnPostgres, own_postgres
from tests.processes import ROOT, environment, free_ports

START_SECONDS = 60
# Within this a borrower hears that nothing can be lent.
SOON = 2.0
# Within this all is as before once the database is, without a restart of anything.
RECOVERY_SECONDS = 15
PLANT = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from tests import builders
builders.credential(builders.user("alice"), builders.host())
print(builders.client()[1].reveal())
"""

ENQUEUE = """
import django; django.setup()
from uuid import uuid4
from credentials.services import queue
queue.verify_later(uuid4())
"""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A running web process: where it is, and a key to ask with."""

    base: str
    key: str
    variables: dict[str, str]

    def lend(self) -> requests.Response:
        """Ask for a lease; it is answered soon, whatever the answer."""
        started = time.monotonic()
        answer = requests.post(
            f"{self.base}/api/v1/leases/",
            json={"user": "alice", "host": "github", "purpose": "outage"},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        assert time.monotonic() - started < SOON
        assert answer.status_code in {201, 503}, answer.text
        return answer

    def ready(self) -> tuple[int, str]:
        """What a load balancer sees: the status, and the code."""
        answer = requests.get(f"{self.base}/readyz", timeout=30)
        assert "postgres" not in answer.text
        return answer.status_code, answer.json().get("code", "")

    def lends(self) -> bool:
        return self.lend().status_code == 201

    def is_ready(self) -> bool:
        return self.ready() == (200, "")


@contextmanager
def started(words: tuple[str, ...], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=variables)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def installed(database: str, data_dir: Path) -> Iterator[Installation]:
    """Tables, a credential, a client, and the web process."""
    variables = environment(data_dir, DATABASE_URL=database, DJANGO_SETTINGS_MODULE="project.settings")
    planted = subprocess.run(
        [sys.executable, "-c", PLANT], cwd=ROOT, env=variables, check=True, capture_output=True, text=True
    )
    port = free_ports(1)
    installation = Installation(
        base=f"http://127.0.0.1:{port}", key=planted.stdout.strip(), variables=variables
    )
    with started(web_words(port), variables):
        wait_until(lambda: answers(installation.base), START_SECONDS)
        assert installation.lends()
        assert installation.is_ready()
        yield installation


def answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/livez", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait_until(true: Callable[[], bool], seconds: float = RECOVERY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def refused(installation: Installation) -> None:
    """Nothing is lent; the borrower is told to come back, and nothing about the database."""
    answer = installation.lend()
    assert answer.status_code == 503
    assert answer.json()["retryable"] is True
    assert answer.headers["Retry-After"] == "5"
    assert "postgres" not in answer.text
    assert "password" not in answer.json()


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with folder() as place, own_postgres(place) as running:
        yield running


@pytest.fixture(scope="module")
def installation(server: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(server.url, tmp_path_factory.mktemp("outage")) as running:
        yield running


def test_a_database_that_stopped_is_said_and_its_return_noticed(
    server: OwnPostgres, installation: Installation
) -> None:
    for _outage in range(2):
        server.stop()
        for _request in range(8):  # more than there are threads, each with a connection of its own
            refused(installation)
        assert installation.ready() == (503, "database_unavailable")
        server.start()
        wait_until(installation.lends)
        wait_until(installation.is_ready)


def test_a_database_that_takes_no_writes_is_said_and_so_is_one_that_does_again(
    server: OwnPostgres, installation: Installation
) -> None:
    server.say("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        wait_until(lambda: installation.ready() == (503, "database_read_only"))
        for _request in range(8):
            refused(installation)
    finally:
        server.say(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
    wait_until(installation.lends)
    wait_until(installation.is_ready)


def test_a_worker_outlives_an_outage_and_goes_on_with_its_duties(
    server: OwnPostgres, installation: Installation
) -> None:
    words = ("manage.py", "worker", "--verbosity", "0")
    with started(words, {**installation.variables, "CREDENTIALS_SEAL_SECONDS": "1"}) as worker:
        wait_until(lambda: sealed(server) is not None, START_SECONDS)
        server.stop()
        time.sleep(7)
        server.start()
        back = sealed(server)
        wait_until(lambda: sealed(server) != back, 30)
        wait_until(lambda: tasks_are_taken(server, installation.variables), 30)
        assert worker.poll() is None


def sealed(server: OwnPostgres) -> object:
    """When the trail was last looked after."""
    return value(server, "SELECT finished_at FROM credentials_duty WHERE name = 'seal-trail'")


def tasks_are_taken(server: OwnPostgres, variables: dict[str, str]) -> bool:
    """Whether the worker that is there takes from the queue what is put there now."""
    subprocess.run([sys.executable, "-c", ENQUEUE], cwd=ROOT, env=variables, check=True)
    time.sleep(2)
    table = DBTaskResult._meta.db_table
    return value(server, f"SELECT count(*) FROM {table} WHERE status = 'SUCCESSFUL'") != 0


def value(server: OwnPostgres, question: str) -> object:
    with psycopg.connect(server.url) as asking:
        row = asking.execute(question).fetchone()
    return row[0] if row else None


def test_a_full_disk_is_said_and_when_there_is_room_again_leases_go_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(megabytes=160))
        server = stack.enter_context(own_postgres(disk))
        installation = stack.enter_context(installed(server.url, tmp_path))
        fill(disk / "filler")
        wait_until(lambda: installation.ready() == (503, "disk_full"))
        # What it still has room for in pages and log that it holds already, it may still write.
        wait_until(lambda: not installation.lends(), 60)
        refused(installation)
        assert installation.ready()[1] in {"disk_full", "database_unavailable"}
        (disk / "filler").unlink()
        if not server.runs:
            server.start()  # PostgreSQL gives up where it cannot write its log; that takes a person
        wait_until(installation.lends)
        wait_until(installation.is_ready)


def test_a_full_disk_is_said_with_sqlite_too() -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(megabytes=16))
        installation = stack.enter_context(installed(f"sqlite:///{disk / 'forgekey.sqlite3'}", disk))
        fill(disk / "filler")
        wait_until(lambda: not installation.lends())
        refused(installation)
        assert installation.ready() == (503, "disk_full")
        (disk / "filler").unlink()
        wait_until(installation.lends)
        wait_until(installation.is_ready)
