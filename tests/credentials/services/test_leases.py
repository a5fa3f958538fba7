"""Leases afterwards: looked up, reported on, ended, answered again."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import Conflict, NotFound
from credentials.models import AuditEvent, Outcome
from credentials.services import clients, leases
from credentials.services.audit import Actor
from tests import builders
from tests.credentials.services.test_lend import ask

pytestmark = pytest.mark.django_db


def test_a_lease_ends_once_and_its_end_is_recorded_once(alice: User) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    lease = leases.get(client=client, lease_id=ask(key).lease_id or uuid4())

    for _ in range(2):
        leases.end(actor=clients.actor_of(client), lease=lease, now=timezone.now())

    lease.refresh_from_db()
    assert lease.ended_at is not None
    assert AuditEvent.objects.filter(action="lease.ended").count() == 1


def test_another_clients_lease_is_not_there(alice: User) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    other, _ = builders.client("other")

    with pytest.raises(NotFound):
        leases.get(client=other, lease_id=ask(key).lease_id or uuid4())


def test_a_report_is_kept_and_recorded(alice: User) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    lease = leases.get(client=client, lease_id=ask(key).lease_id or uuid4())

    leases.report(
        actor=clients.actor_of(client),
        lease=lease,
        outcome=Outcome.REJECTED,
        detail="HTTP 401",
        now=timezone.now(),
    )

    lease.refresh_from_db()
    assert (lease.outcome, lease.outcome_detail) == ("rejected", "HTTP 401")
    assert AuditEvent.objects.get(action="lease.reported").data["outcome"] == "rejected"


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.REJECTED])
def test_a_report_about_a_host_alone_is_kept_too_as_git_names_no_more_by_default(
    alice: User, outcome: Outcome
) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    borrowed = ask(key, repository_url="http://127.0.0.1:9")
    lease = leases.get(client=client, lease_id=borrowed.lease_id or uuid4())

    leases.report(actor=clients.actor_of(client), lease=lease, outcome=outcome, detail="", now=timezone.now())

    lease.refresh_from_db()
    assert lease.outcome == outcome


def test_a_repeated_request_gets_the_same_lease_and_a_further_event(alice: User) -> None:
    builders.credential(alice, builders.host(), token="ghp_again")
    client, key = builders.client()
    first = ask(key)
    assert first.lease_id

    again = leases.reopen(client=client, lease_id=first.lease_id, address="127.0.0.1")

    assert again.lease_id == first.lease_id
    assert again.password is not None
    assert again.password.reveal() == "ghp_again"
    assert AuditEvent.objects.filter(action="lease.repeated").count() == 1


def test_a_lease_that_ended_is_not_opened_again(alice: User) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    lease = leases.get(client=client, lease_id=ask(key).lease_id or uuid4())
    leases.end(actor=Actor.system(), lease=lease, now=timezone.now())

    with pytest.raises(Conflict):
        leases.reopen(client=client, lease_id=lease.pk, address="127.0.0.1")
