"""Imports from real repositories at the emulated hosts, with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import Conflict
from credentials.models import AuditEvent, Import, ImportState, Snapshot, StoredTree
from credentials.providers.tokens import Kind
from credentials.services.imports import requests
from credentials.services.imports.outcomes import verdict_of
from credentials.services.libraries import snapshots
from tests import builders, storages
from tests.credentials.services import stored
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


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("assxxx/ABC", "organization_not_approved"),
        ("sso-corp/cases", "sso_required"),
        ("acme/nothing-here", "not_found_or_no_access"),
    ],
)
def test_what_stands_in_the_way_is_kept_as_its_verdict(
    place: str, code: str, sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    stored.store(sandbox, alice, host, kind=Kind.OAUTH, scopes=["repo", "read:org"])
    job = ran(by_git(alice, f"{host.web_url}/{place}"))
    verdict = verdict_of(job)
    assert job.state == ImportState.FAILED
    assert verdict is not None
    assert verdict.code.value == code
    assert verdict.checked
    assert verdict.offer_zip


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
