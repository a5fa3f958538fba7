"""Workers on two machines: one PostgreSQL database and one storage between them, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from credentials.models import AuditEvent, Duty, Import, Snapshot
from tests import storages
from tests.credentials.services.imports.asked import FILES, by_zip, packed
from tests.processes import ROOT, database_url, environment

SECONDS = 60
# The kernel is asked about processes of the same machine only, and a machine is known by its name.
MACHINE = (
    "import socket, sys; name = sys.argv.pop(1); socket.gethostname = lambda: name; "
    "import datetime, django; django.setup(); from credentials.services.imports import claims; "
    # So that nobody has to wait for three quarters of a minute; signs of life come every five seconds.
    "claims.SILENT = datetime.timedelta(seconds=12); "
    "from django.core.management import execute_from_command_line as run; run(sys.argv)"
)
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite: several machines need a database server"
    ),
]


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


@contextmanager
def machine(name: str, tmp_path: Path, key_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with a name, a data folder and a copy of the key ring of its own; the storage is mounted there."""
    data = tmp_path / name
    data.mkdir()
    (data / "storage").symlink_to(tmp_path / "storage")
    (data / "key-ring").write_bytes(key_file.read_bytes())
    (data / "key-ring").chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-c", MACHINE, name, "worker", "--no-refresher", "--verbosity", "0"],
        cwd=ROOT,
        env=environment(data, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="project.settings"),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def names(job: Import) -> list[str]:
    """The machines that have worked on an import, by its row."""
    return [
        str(holder).partition("-")[0]
        for holder in Import.objects.filter(pk=job.pk).values_list("holder", flat=True)
    ]


def state_of(job: Import) -> str:
    return Import.objects.values_list("state", flat=True).get(pk=job.pk)


def test_two_machines_share_the_imports_and_one_takes_up_what_the_other_leaves(
    alice: User, bob: User, key_file: Path, tmp_path: Path, settings: Any
) -> None:
    place = storages.use_folder(settings, tmp_path / "storage")
    held = by_zip(alice)
    upload = Path(default_storage.path(held.upload))
    upload.unlink()
    os.mkfifo(upload)  # whoever opens it waits for ever
    with machine("first", tmp_path, key_file) as first:
        wait_until(lambda: state_of(held) == "running")
        with machine("second", tmp_path, key_file) as second:
            others = [by_zip(owner, {"name": name.encode()}, name) for owner in (alice, bob) for name in "ab"]
            wait_until(lambda: {state_of(job) for job in others} == {"succeeded"})
            # It looked for what was left lying, and saw that the other machine lives.
            looked_after(14)
            assert (state_of(held), names(held)) == ("running", ["first"])
            first.send_signal(signal.SIGKILL)
            first.wait()
            upload.unlink()
            with packed(FILES).open() as content:
                upload.write_bytes(content.read())
            wait_until(lambda: looked_after(1) and state_of(held) == "succeeded")
            second.send_signal(signal.SIGTERM)
            assert second.wait(timeout=SECONDS) == 0
    assert (Import.objects.get(pk=held.pk).attempts, Snapshot.objects.count()) == (2, 5)
    assert AuditEvent.objects.filter(action="import.succeeded").count() == 5
    # Two people brought the same twice.
    assert len(storages.stored(place)) == 3
    assert list((tmp_path / "second" / "imports" / "work").iterdir()) == []


def looked_after(seconds: float) -> bool:
    """Let so much time pass, in which the duty that takes up what was left lying is due again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        Duty.objects.filter(pk="recover-imports").update(started_at=timezone.now() - timedelta(minutes=1))
        time.sleep(1)
    return True
