"""The diagnosis as a whole: what it keeps to itself, and whom it spares. Its verdicts: test_verdict_table.py."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import TooManyRequests
from credentials.models import AuditEvent, Organization
from credentials.services import diagnose, organizations
from tests import builders
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def test_what_somebody_else_asked_about_leaves_no_trace_on_anybodys_board(
    sandbox: RunningSandbox, alice: User, bob: User
) -> None:
    """GitLab answers "unknown" for any name to a token that may not list groups."""
    host = builders.sandbox_host(sandbox, "gitlab")
    minted = sandbox.mint("gitlab", "octo-bob", "personal_token", ["read_repository", "read_user"])
    held = builders.credential(bob, host, token=minted.token)
    organizations.named(host, ["acquisition-of-initech"], now=timezone.now())
    diagnose.diagnose(
        actor=builders.SYSTEM, user=alice, repository_url=f"{host.web_url}/secret-plan/due-diligence/x"
    )

    organizations.refresh(actor=builders.SYSTEM, credential=held)

    assert {access.organization.key for access in held.organizations.all()} <= {"acme"}
    assert not Organization.objects.filter(key__startswith="secret-plan").exists()


def test_a_path_of_many_groups_asks_a_handful_of_questions(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_api", "read_repository"])
    builders.credential(alice, host, token=minted.token)
    deep = "/".join(f"g{number}" for number in range(20))

    diagnose.diagnose(actor=builders.SYSTEM, user=alice, repository_url=f"{host.web_url}/{deep}/cases")

    assert len(sandbox.calls("gitlab")) < 10
    assert not Organization.objects.exists()


def test_one_persons_repositories_are_looked_into_so_often_in_a_minute_and_no_more(
    alice: User, bob: User, settings: Any
) -> None:
    settings.CREDENTIALS_DIAGNOSES_PER_MINUTE = 2
    address = f"{builders.host().web_url}/acme/cases"
    for _ in range(2):
        diagnose.diagnose(actor=builders.SYSTEM, user=alice, repository_url=address)

    with pytest.raises(TooManyRequests):
        diagnose.diagnose(actor=builders.SYSTEM, user=alice, repository_url=address)

    diagnose.diagnose(actor=builders.SYSTEM, user=bob, repository_url=address)
    assert AuditEvent.objects.filter(action="repository.diagnosed").count() == 3
