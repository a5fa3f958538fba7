"""Leases in the admin, read as sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import Lease, Outcome
from credentials.services import clients, leases
from tests import builders
from tests.credentials.admin.desk import borrow, page, read

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(alice: User) -> Lease:
    chosen = builders.credential(alice, builders.host(name="GitHub"), account_name="octo-alice")
    _client, key = builders.client()
    return borrow(key.reveal(), chosen, repository_url="http://127.0.0.1:9/acme/cases.git")


def test_a_lease_reads_as_a_sentence(desk: Client, lease: Lease) -> None:
    text = read(desk.get(page(Lease, "changelist")))

    assert "backend borrowed alice's GitHub credential for acme/cases" in text
    assert "import 42" in text
    assert "running" in text


def test_without_a_repository_the_sentence_ends_earlier(desk: Client, alice: User) -> None:
    chosen = builders.credential(alice, builders.host(name="GitHub"))
    _client, key = builders.client()
    borrow(key.reveal(), chosen)

    assert "backend borrowed alice's GitHub credential import 42" in read(desk.get(page(Lease, "changelist")))


def test_its_page_tells_the_whole_story(desk: Client, lease: Lease) -> None:
    actor = clients.actor_of(lease.client)
    leases.report(
        actor=actor, lease=lease, outcome=Outcome.REJECTED, detail="403 from git", now=timezone.now()
    )
    leases.end(actor=actor, lease=lease, now=timezone.now())

    text = read(desk.get(page(Lease, "change", lease.pk)))

    for word in ("acme/cases", "import 42", "job-7", "octo-alice", "ended", "rejected", "403 from git"):
        assert word in text


def test_a_lease_whose_time_is_over_has_ended(desk: Client, lease: Lease) -> None:
    Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    assert "running" not in read(desk.get(page(Lease, "change", lease.pk)))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "backend"}, 1),
        ({"q": "alice"}, 1),
        ({"q": "acme/cases"}, 1),
        ({"q": "job-7"}, 1),
        ({"q": "bob"}, 0),
        ({"outcome__exact": ""}, 1),
        ({"outcome__exact": "rejected"}, 0),
        ({"created_at__gte": "2020-01-01 00:00:00+00:00"}, 1),
        ({"created_at__lt": "2020-01-01 00:00:00+00:00"}, 0),
    ],
)
def test_leases_are_found_by_who_where_and_how_they_ended(
    desk: Client, lease: Lease, query: dict[str, str], found: int
) -> None:
    assert desk.get(page(Lease, "changelist"), query).context["cl"].result_count == found


def test_leases_are_filtered_by_client_and_host(desk: Client, lease: Lease) -> None:
    builders.client("other")
    for query, found in (
        ({"client": "backend"}, 1),
        ({"client": "other"}, 0),
        ({"host": "github"}, 1),
        ({"host": "gitlab"}, 0),
    ):
        assert desk.get(page(Lease, "changelist"), query).context["cl"].result_count == found
