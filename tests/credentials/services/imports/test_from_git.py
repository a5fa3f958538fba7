"""Imports from real repositories at the emulated hosts, with real git."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, TokenRejected
from credentials.models import AuditEvent, Credential, Import, ImportState, Snapshot, StoredTree
from credentials.providers.facts import GitLogin
from credentials.providers.tokens import Kind
from credentials.services import diagnose, vault
from credentials.services.imports import canceling, requests
from credentials.services.imports.outcomes import verdict_of
from credentials.services.libraries import snapshots
from credentials.sources import git
from credentials.sources.git import fetch
from credentials.verdicts import VerdictCode
from credentials.verdicts.wording import verdict
from tests import builders, storages
from tests.credentials.services import stored, verdict_rows
from tests.credentials.services.imports.asked import (
    again,
    by_git,
    by_zip,
    git_archive,
    ran,
    repository_of,
)
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)


def connected(sandbox: RunningSandbox, owner: User, slug: str = "github") -> str:
    """A person's account at an emulated host; where that is."""
    host = builders.sandbox_host(sandbox, slug)
    stored.store(sandbox, owner, host)
    return host.web_url


@pytest.mark.parametrize("prefix", ["", "cases-main/"])
def test_the_same_content_by_git_and_by_zip_is_the_same_tree(
    prefix: str, sandbox: RunningSandbox, alice: User, storage: Path
) -> None:
    web_url = connected(sandbox, alice)
    by_the_one = ran(by_git(alice, f"{web_url}/acme/cases"))
    archive = git_archive(repository_of(sandbox, "github", "acme/cases"), prefix=prefix)
    by_the_other = ran(by_zip(alice, archive, "Uploaded"))
    assert (by_the_one.state, by_the_other.state) == (ImportState.SUCCEEDED, ImportState.SUCCEEDED)
    one, other = by_the_one.snapshot, by_the_other.snapshot
    assert one is not None
    assert other is not None
    assert one.tree == other.tree
    assert len(snapshots.manifest_of(one).entries) == one.tree.files >= 20
    assert storages.stored(storage) == [one.tree.archive]


def test_the_same_commit_again_stores_nothing_new(sandbox: RunningSandbox, alice: User) -> None:
    web_url = connected(sandbox, alice)
    first, second = (ran(by_git(alice, f"{web_url}/acme/cases")) for _ in range(2))
    assert (second.state, second.is_unchanged, second.snapshot) == ("succeeded", True, first.snapshot)
    assert (Snapshot.objects.count(), StoredTree.objects.count()) == (1, 1)


def test_a_snapshot_says_which_commit_it_is(sandbox: RunningSandbox, alice: User) -> None:
    web_url = connected(sandbox, alice)
    repository = repository_of(sandbox, "github", "acme/cases")
    tagged = subprocess.run(
        ["git", "rev-parse", "v1^{commit}"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()
    found = [
        ran(by_git(alice, f"{web_url}/acme/cases", library, ref=ref, subdirectory=folder))
        for library, ref, folder in (("a", "v1", ""), ("b", tagged, "cases"), ("c", "dev", ""))
    ]
    made = [job.snapshot for job in found if job.snapshot is not None]
    assert [(one.ref, one.subdirectory) for one in made] == [
        ("refs/tags/v1", ""),
        ("", "cases"),
        ("refs/heads/dev", ""),
    ]
    assert made[0].commit == made[1].commit == tagged != made[2].commit
    assert all("/" not in entry.path for entry in snapshots.manifest_of(made[1]).entries)


def test_a_public_repository_needs_no_credential(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    assert ran(by_git(alice, f"{host.web_url}/acme/public-cases")).state == ImportState.SUCCEEDED
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_the_credential_is_opened_for_the_import_and_the_trail_says_so(
    sandbox: RunningSandbox, alice: User
) -> None:
    web_url = connected(sandbox, alice)
    ran(by_git(alice, f"{web_url}/acme/cases"))
    opened = AuditEvent.objects.filter(action="credential.opened", purpose="import").get()
    assert (opened.owner_name, opened.repository) == ("alice", f"{web_url}/acme/cases")
    assert opened.reference == str(Import.objects.get().pk)


# What organizations, policies and owners stand in the way with; the words and steps: test_verdict_table.py.
FAQ = (
    "organization_not_approved",
    "organization_requested",
    "organization_denied",
    "sso_required",
    "organization_policy",
    "token_pending",
    "ip_blocked",
    "scope_missing",
    "not_found_or_no_access",
    "no_credential",
    "reconnect_required",
)


@pytest.mark.parametrize("code", FAQ)
def test_what_stands_in_the_way_is_kept_as_its_verdict(
    code: str, sandbox_process: RunningSandbox, alice: User
) -> None:
    row = next(
        row for row in verdict_rows.rows("github") + verdict_rows.rows("gitlab") if row.verdict == code
    )
    played = verdict_rows.stage(row, sandbox_process, alice)
    job = ran(by_git(alice, played.address))
    told = verdict_of(job)
    assert (job.state, job.error) == (ImportState.FAILED, None)
    assert told is not None
    assert told.code.value == code
    assert told.checked
    assert told.steps
    assert not Snapshot.objects.exists()
    assert AuditEvent.objects.get(action="import.failed").data["code"] == code


def test_a_host_that_does_not_answer_is_asked_again_before_it_is_given_up(
    sandbox: RunningSandbox, alice: User
) -> None:
    web_url = connected(sandbox, alice)
    job = by_git(alice, f"{web_url}/acme/cases")
    sandbox.control("github", "POST", "faults", {"status": 503})
    assert (ran(job).state, again(job).attempts) == (ImportState.QUEUED, 1)
    assert (again(job).verdict or {})["code"] == "host_unreachable"


def test_a_branch_or_a_folder_that_is_not_there_is_said(sandbox: RunningSandbox, alice: User) -> None:
    web_url = connected(sandbox, alice)
    address = f"{web_url}/acme/cases"
    branch, folder = ran(by_git(alice, address, ref="nope")), ran(by_git(alice, address, subdirectory="nope"))
    assert [(job.state, (job.error or {})["code"]) for job in (branch, folder)] == [
        ("failed", "ref_not_found"),
        ("failed", "subdirectory_not_found"),
    ]


def test_a_library_is_updated_from_where_it_came(sandbox: RunningSandbox, alice: User) -> None:
    web_url = connected(sandbox, alice)
    first = ran(by_git(alice, f"{web_url}/acme/cases", ref="dev", subdirectory="guides"))
    job = requests.update(actor=builders.SYSTEM, library=first.library, now=timezone.now())
    assert (job.ref, job.subdirectory, ran(job).is_unchanged) == ("refs/heads/dev", "guides", True)
    uploaded = ran(by_zip(alice, library="Uploaded"))
    with pytest.raises(Conflict):
        requests.update(actor=builders.SYSTEM, library=uploaded.library, now=timezone.now())
    assert Import.objects.count() == 3


def answers_with(monkeypatch: pytest.MonkeyPatch, *meanwhile: Callable[[], object]) -> list[GitLogin | None]:
    """Before git is sent out for the first, the second … time, something happens; the logins it went with."""
    real, logins, steps = fetch.fetch, list[GitLogin | None](), iter(meanwhile)

    def fetched(remote: git.Remote, **named: Any) -> Any:
        logins.append(named["login"])
        next(steps, lambda: None)()
        return real(remote, **named)

    monkeypatch.setattr(fetch, "fetch", fetched)
    return logins


def is_refused() -> None:
    raise TokenRejected(evidence="git fetch 401")


def test_a_secret_that_was_replaced_meanwhile_is_opened_anew_and_git_sent_once_more(
    sandbox: RunningSandbox, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_url = connected(sandbox, alice)
    held = Credential.objects.get()
    fresh = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])

    def is_replaced() -> None:
        held.generation += 1
        held.access_envelope = vault.seal_secret(Secret(fresh.token), held.binding("access"))
        held.save()
        is_refused()

    logins = answers_with(monkeypatch, is_replaced)
    assert ran(by_git(alice, f"{web_url}/acme/cases")).state == ImportState.SUCCEEDED
    assert [login.password.reveal() == fresh.token for login in logins if login] == [False, True]
    assert AuditEvent.objects.filter(action="credential.opened", purpose="import").count() == 2


def test_a_token_that_would_end_meanwhile_is_renewed_first(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    minted = sandbox.mint("gitlab", "octo-alice", "oauth", ["read_api", "read_repository"])
    ends = timezone.now() + timedelta(minutes=5)
    held = builders.credential(
        *(alice, host),
        token=minted.token,
        refresh=minted.refresh_token or "",
        kind=Kind.OAUTH,
        expires_at=ends,
    )
    Credential.objects.filter(pk=held.pk).update(sealed_at=ends - timedelta(hours=2))
    assert ran(by_git(alice, f"{host.web_url}/acme/cases")).state == ImportState.SUCCEEDED
    assert Credential.objects.get().generation == held.generation + 1


def test_a_token_that_is_revoked_meanwhile_ends_with_what_the_host_says_of_it(
    sandbox: RunningSandbox, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    _held, minted = stored.store(sandbox, alice, host)
    answers_with(
        monkeypatch, lambda: sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    )
    job = ran(by_git(alice, f"{host.web_url}/acme/cases"))
    assert (job.state, (job.verdict or {})["code"]) == ("failed", "token_rejected")
    assert Credential.objects.get().status == "rejected"


def test_a_token_that_only_git_refuses_rests_and_is_verified(
    sandbox: RunningSandbox, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_url = connected(sandbox, alice)
    answers_with(monkeypatch, is_refused, is_refused)
    job = ran(by_git(alice, f"{web_url}/acme/cases"))
    assert (job.state, (job.verdict or {})["code"]) == ("failed", "token_rejected")
    held = Credential.objects.get()
    assert (held.refusals, held.hold_reason) == (1, "refused")
    assert DBTaskResult.objects.filter(task_path__endswith="verify_credential").count() == 1


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:8/forge/acme/cases.git", "http://127.0.0.1:9/acme/cases.git"]
)
def test_no_address_of_another_place_is_fetched_whatever_the_host_tells(
    elsewhere: str, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = builders.host("gitlab", web_url="http://127.0.0.1:9/forge")
    told = diagnose.Diagnosis(verdict=verdict(VerdictCode.OK), clone_url=elsewhere)
    monkeypatch.setattr(diagnose, "diagnose", lambda **_named: told)
    logins = answers_with(monkeypatch)
    job = ran(by_git(alice, f"{host.web_url}/acme/cases"))
    assert (job.state, (job.verdict or {})["code"], logins) == ("queued", "unknown", [])


def test_a_person_who_looked_into_much_just_now_waits_a_minute_and_nothing_fails(
    sandbox: RunningSandbox, alice: User, settings: Any
) -> None:
    web_url = connected(sandbox, alice)
    settings.CREDENTIALS_DIAGNOSES_PER_MINUTE = 1
    ran(by_git(alice, f"{web_url}/acme/cases"))
    job = ran(by_git(alice, f"{web_url}/acme/cases"))
    assert (job.state, job.attempts, (job.error or {})["code"]) == ("queued", 0, "too_many_requests")
    settings.CREDENTIALS_DIAGNOSES_PER_MINUTE = 60
    assert ran(job, later=1).state == ImportState.SUCCEEDED


def test_who_stops_an_import_while_git_fetches_leaves_no_process_and_no_folder(
    sandbox: RunningSandbox, alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_url = connected(sandbox, alice)
    job = by_git(alice, f"{web_url}/acme/cases")

    def stops_and_stalls() -> None:
        sandbox.control("github", "POST", "faults", {"latency_ms": 20_000, "path_prefix": "/acme/cases"})
        canceling.cancel(actor=builders.SYSTEM, job=job, now=timezone.now())

    answers_with(monkeypatch, stops_and_stalls)
    began = time.monotonic()
    assert ran(job).state == ImportState.CANCELED
    assert time.monotonic() - began < 8
    assert list((tmp_path / "imports" / "work").iterdir()) == []
    children = Path("/proc/self/task").glob("*/children")
    words = [Path(f"/proc/{pid}/cmdline") for path in children for pid in path.read_text().split()]
    assert not [path for path in words if path.exists() and b"git" in path.read_bytes()]
