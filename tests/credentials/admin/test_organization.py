"""Organizations in the admin: who reaches which, with evidence, and no more than that."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credentials.admin import organization as pages
from credentials.models import Organization
from tests import builders
from tests.credentials.admin.desk import browser, page, read, staff

pytestmark = pytest.mark.django_db


def known(owner: User, number: int = 0, state: str = "accessible", key: str = "acme") -> Organization:
    host = builders.Host.objects.first() or builders.host()
    held = builders.credential(
        owner, host, token="ghp_" + f"{number:036}", account_name=f"octo-{owner}-{number}"
    )
    return builders.access(held, key, state=state, evidence=f"GET /orgs/{key} {number}").organization


def test_the_list_counts_who_gets_in_and_who_does_not(desk: Client, alice: User, bob: User) -> None:
    known(alice, 1)
    known(bob, 2, state="not_approved")
    known(bob, 3, state="sso_required")
    named = builders.Host.objects.get().organizations.create(
        key="only-named", name="only-named", first_seen_at="2026-01-01T00:00:00Z"
    )

    text = read(desk.get(page(Organization, "changelist")))

    assert "acme acme Github 1 2" in text
    assert f"{named.key} {named.key} Github 0 0" in text


def test_a_page_shows_each_answer_with_its_evidence(desk: Client, alice: User, bob: User) -> None:
    organization = known(alice, 1)
    known(bob, 2, state="not_approved")
    known(bob, 3, key="elsewhere")

    text = read(desk.get(page(Organization, "change", organization.pk)))

    assert "alice octo-alice-1 accessible GET /orgs/acme 1" in text
    assert "bob octo-bob-2 not approved yet GET /orgs/acme 2" in text
    assert "octo-bob-3" not in text


def test_a_large_organization_shows_what_changed_last(
    desk: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_SHOWN", 3)
    for number in range(5):
        organization = known(alice, number)

    text = read(desk.get(page(Organization, "change", organization.pk)))

    assert [number for number in range(5) if f"octo-alice-{number} " in text] == [2, 3, 4]


def test_the_number_of_statements_does_not_grow(desk: Client, alice: User) -> None:
    counts = []
    for size in (range(1, 2), range(10, 20)):
        for number in size:
            organization = known(alice, number)
        desk.get(page(Organization, "change", organization.pk))
        with CaptureQueriesContext(connection) as queries:
            desk.get(page(Organization, "change", organization.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_nothing_can_be_changed_and_viewers_need_the_right(desk: Client, alice: User) -> None:
    address = page(Organization, "change", known(alice).pk)
    assert desk.post(address, {"name": "other"}).status_code == 403
    assert desk.get(page(Organization, "add")).status_code == 403
    assert browser(staff("dora")).get(address).status_code == 403
    assert browser(staff("fred", "view_organization")).get(address).status_code == 200
