"""What depends on credentials is read from leases and the board."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import Credential, Lease, ServiceClient, Status
from credentials.services import dependents
from tests import builders

pytestmark = pytest.mark.django_db


def lease(client: ServiceClient, credential: Credential, at: datetime, purpose: str, url: str = "") -> Lease:
    return Lease.objects.create(
        client=client,
        credential=credential,
        repository_url=url,
        purpose=purpose,
        created_at=at,
        expires_at=at + timedelta(hours=1),
        ended_at=at,
    )


def test_each_client_and_repository_is_one_line_with_its_last_purpose(alice: User) -> None:
    one, two = (builders.client(name)[0] for name in ("one", "two"))
    held = builders.credential(alice, builders.host())
    now = timezone.now()
    for hours, purpose in ((2, "newest"), (30, "older")):
        lease(one, held, now - timedelta(hours=hours), purpose, "https://x/a")
    lease(two, held, now - timedelta(days=89), "seldom", "https://x/a")
    lease(two, held, now - timedelta(days=91), "long ago", "https://x/b")
    lease(one, held, now, "any")

    found = dependents.borrowers([held.pk], now=now)

    assert [(d.client, d.repository, d.purpose, d.is_active) for d in found] == [
        ("one", "", "any", True),
        ("one", "https://x/a", "newest", False),
        ("two", "https://x/a", "seldom", False),
    ]
    assert dependents.borrowers([], now=now) == []


@pytest.mark.parametrize(
    ("status", "dark"), [(Status.VALID, False), (Status.REJECTED, True), (Status.QUARANTINED, True)]
)
def test_only_a_credential_that_works_keeps_an_organization_open(
    alice: User, bob: User, status: Status, dark: bool
) -> None:
    host = builders.host()
    hers = builders.credential(alice, host)
    his = builders.credential(bob, host, token="ghp_" + "b" * 36, status=status)
    for held in (hers, his):
        builders.access(held, "acme", state="accessible")

    assert [one.key for one in dependents.going_dark([hers.pk])] == (["acme"] if dark else [])
