"""``panic`` as an operator runs it."""

from __future__ import annotations

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from credentials.models import Credential, Notice, Status
from tests import builders
from tests.credentials.services.stored import store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words: str) -> str:
    out = StringIO()
    call_command("panic", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def codes() -> list[str]:
    return list(Notice.objects.filter(read_at=None).values_list("code", flat=True))


def statuses() -> set[str]:
    return set(Credential.objects.values_list("status", flat=True))


def test_it_says_what_became_of_everything_and_writes_a_report_for_its_eyes_only(
    sandbox: RunningSandbox, alice: User, tmp_path: Path
) -> None:
    minted = [
        store(sandbox, alice, builders.sandbox_host(sandbox, slug), account_name="octo-alice")[1]
        for slug in ("github", "bitbucket")
    ]
    file = tmp_path / "report.json"
    file.write_text("of an earlier run")
    file.chmod(0o644)

    said = run("--all-hosts", "--yes", "--report", str(file))

    assert "2 quarantined in " in said
    assert "a second)" in said
    assert "github: revoked 1" in said
    assert "bitbucket: manual 1" in said
    assert "To be revoked by hand: 1" in said
    assert "alice at bitbucket (octo-alice): http" in said
    assert statuses() == {Status.DISCONNECTED}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(file.read_text())
    assert told["hosts"] == {"github": {"revoked": 1}, "bitbucket": {"manual": 1}}
    assert [one["user"] for one in told["by_hand"]] == ["alice"]
    assert not any(one.token in said + file.read_text() for one in minted)


def test_without_revoking_everything_can_be_released_again(alice: User) -> None:
    builders.credential(alice, builders.host())

    assert "github: quarantined 1" in run("--host", "github", "--yes", "--no-revoke")

    assert statuses() == {Status.QUARANTINED}
    assert codes() == ["credential_quarantined"], "nobody has to connect again"


def test_who_was_told_of_a_release_is_told_when_it_is_revoked_after_all(
    sandbox: RunningSandbox, alice: User
) -> None:
    store(sandbox, alice, builders.sandbox_host(sandbox, "github"))
    run("--all-hosts", "--yes", "--no-revoke")
    run("--all-hosts", "--yes")
    run("--all-hosts", "--yes")
    assert codes() == ["credential_stopped"]


def test_its_status_says_that_something_is_not_settled(alice: User) -> None:
    builders.credential(alice, builders.host("gitlab"), token="glpat-" + "a" * 20)

    with pytest.raises(CommandError, match="Not settled: 1"):
        run("--host", "gitlab", "--yes")

    assert statuses() == {Status.DISCONNECTED}


@pytest.mark.parametrize(("typed", "done"), [("github\n", True), ("yes\n", False), ("", False)])
def test_it_asks_for_the_hosts_name(
    alice: User, monkeypatch: pytest.MonkeyPatch, typed: str, done: bool
) -> None:
    builders.credential(alice, builders.host())
    monkeypatch.setattr("sys.stdin", StringIO(typed))

    if done:
        run("--host", "github", "--no-revoke")
    else:
        with pytest.raises(CommandError, match="Nothing was done"):
            run("--host", "github", "--no-revoke")

    assert statuses() == {Status.QUARANTINED if done else Status.VALID}


def test_a_host_nobody_knows_stops_nothing(alice: User) -> None:
    builders.credential(alice, builders.host())

    with pytest.raises(CommandError, match="There is no host gitlab"):
        run("--host", "github", "--host", "gitlab", "--yes")

    assert statuses() == {Status.VALID}
