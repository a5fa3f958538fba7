"""Web process, worker and refresher are killed in the middle of refreshes: no account is lost without a word.

The same run as ``python -m bench.killed``, only shorter; that one can go on for as long as somebody likes.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.postgresql import binaries
from tests.processes import ROOT

KILLS = 20
SECONDS = 150


@pytest.mark.timeout(SECONDS * 3)
@pytest.mark.skipif(binaries() is None, reason="needs PostgreSQL's server, for one of its own")
def test_every_account_lends_or_asks_for_its_owner_however_often_processes_are_killed() -> None:
    words = ("--kills", str(KILLS), "--seconds", str(SECONDS), "--settle", "120", "--accounts", "10")
    done = subprocess.run(
        [sys.executable, "-m", "bench.killed", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"lost silently +0\n", done.stdout), done.stdout
    assert re.search(r"audit trail +holds\n", done.stdout), done.stdout
