"""The administrators' calendar: by week, narrowed by host, kind and certainty, each number a link to its list."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.models import Credential, Status
from credentials.providers.tokens import Kind
from credentials.services import demo_people
from tests import builders
from tests.credentials.admin.desk import Stock, browser, found_in, page, read, staff

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def calendar(client: Client, query: str = "") -> Any:
    answer = client.get(page(Credential, "calendar") + query)
    assert answer.status_code == 200
    return answer


@pytest.fixture
def held(alice: User, bob: User) -> list[Credential]:
    now = timezone.now()
    gitea, github = builders.host("gitea"), builders.host("github")
    made = [
        builders.credential(alice, gitea, token="a", label="typed", expires_at=now + 9 * DAY),
        builders.credential(bob, github, token="b", label="told", expires_at=now + 30 * DAY),
        builders.credential(bob, github, token="c", label="unused"),
    ]
    past = now - 330 * DAY
    Credential.objects.filter(pk=made[2].pk).update(sealed_at=past, created_at=past, last_verified_at=past)
    return made


def test_it_shows_who_loses_what_in_which_week(desk: Client, held: list[Credential]) -> None:
    said = read(calendar(desk))
    assert "3 connections end within 90 days" in said
    for name in ("alice", "bob", "typed", "told", "unused"):
        assert name in said


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?host=github", {"told", "unused"}),
        ("?certain=yes", {"typed", "told"}),
        ("?certain=no", {"unused"}),
        ("?kind=expiry&host=gitea", {"typed"}),
        ("?kind=unused", {"unused"}),
        ("?kind=nonsense", set()),
        ("?host=nowhere", set()),
    ],
)
def test_it_is_narrowed(desk: Client, held: list[Credential], query: str, names: set[str]) -> None:
    body = calendar(desk, query).content.decode()
    linked = set(re.findall(r'/change/">([^<]+)</a>', body))
    assert linked == names


def test_every_number_leads_to_a_list_of_as_many(desk: Client, held: list[Credential]) -> None:
    seen = 0
    for query in ("", "?host=github", "?certain=no", "?certain=yes&kind=expiry"):
        body = unescape(calendar(desk, query).content.decode())
        for address, number in re.findall(r'href="(/admin/[^"]*ends=[^"]*)">\s*(?:[^<]*: )?(\d+)', body):
            listed = desk.get(address)
            assert listed.status_code == 200
            assert listed.context["cl"].result_count == int(number), address
            seen += 1
    assert seen >= 12


def test_a_list_of_no_week_is_empty(desk: Client, held: list[Credential]) -> None:
    for value in ("nonsense", "2027-13-99", "..", "any-day.expiry.yes.more"):
        assert desk.get(f"{page(Credential, 'changelist')}?ends={value}").context["cl"].result_count == 0


def test_the_list_of_credentials_leads_to_it(desk: Client, held: list[Credential]) -> None:
    assert page(Credential, "calendar") in desk.get(page(Credential, "changelist")).content.decode()


@pytest.mark.parametrize("name", ["audrey", "olivia"])
def test_auditors_and_operators_read_it(held: list[Credential], name: str) -> None:
    User.objects.filter(username__in=("alice", "bob")).delete()
    demo_people.create()
    assert "What ends when" in read(calendar(browser(User.objects.get(username=name))))


def test_nobody_else_does(held: list[Credential], alice: User) -> None:
    address = page(Credential, "calendar")
    assert browser(staff("dora")).get(address).status_code == 403
    assert browser(alice).get(address).status_code == 302
    assert Client().get(address).status_code == 302


def test_it_holds_no_secret(desk: Client, stocked: Stock) -> None:
    Credential.objects.update(expires_at=timezone.now() + DAY)
    answer = calendar(desk)
    assert "octo-3" in read(answer)
    assert found_in(answer.content, stocked.secrets) == []


def test_ten_thousand_credentials_take_as_many_statements_as_one(desk: Client, alice: User) -> None:
    now, host = timezone.now(), builders.host("gitea")
    calendar(desk)
    counts = []
    for number in (1, 10_000):
        Credential.objects.bulk_create(
            [
                Credential(
                    owner=alice,
                    host=host,
                    kind=Kind.PERSONAL_TOKEN,
                    status=Status.VALID,
                    expires_at=now + timedelta(days=1 + one % 89),
                )
                for one in range(number)
            ],
            batch_size=500,
        )
        began = time.process_time()
        with CaptureQueriesContext(connection) as seen:
            calendar(desk)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 12
    assert time.process_time() - began < 10
