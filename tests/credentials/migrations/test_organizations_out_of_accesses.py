"""A database as it was before the board: its organizations become rows of their own, and none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.processes import ROOT, environment, fresh_database

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """What the upgraded database holds; PostgreSQL's, where the tests run on it."""
    if request.param == "postgresql" and connection.vendor != "postgresql":
        pytest.skip("the tests run on SQLite")
    name = f"{connection.settings_dict['NAME']}_upgraded"
    place = nullcontext(f"sqlite:///{tmp_path}/db") if request.param == "sqlite" else fresh_database(name)
    with place as address:
        done = subprocess.run(
            [sys.executable, "-m", "tests.credentials.migrations.upgrade"],
            cwd=ROOT,
            env=environment(tmp_path, DATABASE_URL=address),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_organization_has_one_row_and_every_access_its_own(migrated: dict[str, Any]) -> None:
    assert migrated["organizations"] == [
        ["github", "acme", "Acme Inc."],
        ["github", "sso-corp", "SSO Corp"],
        ["gitlab", "acme", "Acme"],
        ["gitlab", "acme/sub", "Sub"],
        ["gitlab", "twice", "Twice"],
    ]
    assert migrated["accesses"] == [
        ["github", "alice", "acme", "accessible", True, True],
        ["github", "bob", "acme", "not_approved", True, True],
        ["github", "bob", "sso-corp", "sso_required", True, True],
        ["gitlab", "alice", "acme", "unknown", True, True],
        ["gitlab", "alice", "acme/sub", "accessible", True, True],
        ["gitlab", "bob", "twice", "policy_blocked", True, True],
    ]
    # The trail is searched by organization.
    assert migrated["audited"] == ["host", "organization", "seq"]
