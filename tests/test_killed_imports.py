"""Two workers are killed in the middle of imports: each ends, with a reason where it fails, and nothing is left.

The same run as ``python -m bench.killed_imports``, only shorter; that one can go on for as long as somebody likes.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.postgresql import binaries
from tests.processes import ROOT

KILLS = 5
SECONDS = 120


@pytest.mark.timeout(SECONDS * 3)
@pytest.mark.skipif(binaries() is None, reason="needs PostgreSQL's server, for one of its own")
def test_every_import_ends_and_nothing_is_left_however_often_workers_are_killed() -> None:
    words = ("--kills", str(KILLS), "--seconds", str(SECONDS), "--settle", "120")
    done = subprocess.run(
        [sys.executable, "-m", "bench.killed_imports", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"wrong +0\n", done.stdout), done.stdout
