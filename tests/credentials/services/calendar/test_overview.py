"""Everybody's ends by week: each in its week, none twice, and the same ones behind every number."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import Credential
from credentials.services.calendar import EndKind
from credentials.services.calendar.overview import ANY_DAY, Wanted, coming, of_week, weeks
from tests import builders

pytestmark = pytest.mark.django_db

# A Wednesday.
NOW = datetime(2027, 3, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVERYTHING = Credential.objects.all


@pytest.fixture
def held(alice: User) -> list[Credential]:
    host = builders.host("gitea")
    ends = (timedelta(hours=1), 4 * DAY, 5 * DAY, 89 * DAY, 91 * DAY, None, -DAY)
    return [
        builders.credential(alice, host, token=f"t{n}", expires_at=None if left is None else NOW + left)
        for n, left in enumerate(ends)
    ]


def test_each_end_lies_in_its_week(held: list[Credential]) -> None:
    found = weeks(EVERYTHING(), now=NOW)
    filled = {week.key: [row for row, _end in week.ends] for week in found if week.number}
    assert filled == {
        ANY_DAY: [held[6]],  # over, and nobody has marked it yet
        "2027-03-01": [held[0], held[1]],
        "2027-03-08": [held[2]],
        "2027-05-31": [held[3]],
    }
    begins = [week.begins for week in found[1:]]
    assert begins == [date(2027, 3, 1) + n * 7 * DAY for n in range(14)]


def test_the_list_behind_a_number_holds_just_these(held: list[Credential]) -> None:
    for week in weeks(EVERYTHING(), now=NOW):
        assert of_week(EVERYTHING(), week.key, now=NOW) == [row for row, _end in week.ends]
    assert of_week(EVERYTHING(), "no week", now=NOW) == []


def test_a_week_begins_where_the_people_are(held: list[Credential]) -> None:
    Credential.objects.filter(pk=held[0].pk).update(expires_at=datetime(2027, 3, 7, 20, tzinfo=UTC))
    with timezone.override(ZoneInfo("Pacific/Auckland")):
        assert held[0] in of_week(EVERYTHING(), "2027-03-08", now=NOW)
    assert held[0] in of_week(EVERYTHING(), "2027-03-01", now=NOW)


def test_what_is_wanted_narrows_it(alice: User) -> None:
    hub = builders.host("github")
    past = NOW - 300 * DAY
    builders.credential(alice, hub, expires_at=NOW + 80 * DAY)
    Credential.objects.update(sealed_at=past, created_at=past, last_verified_at=past)

    def kinds(wanted: Wanted) -> list[EndKind]:
        return [end.kind for _row, end in coming(EVERYTHING(), now=NOW, wanted=wanted)]

    assert kinds(Wanted()) == [EndKind.UNUSED], "the first of each counts"
    assert kinds(Wanted(is_certain=True)) == [EndKind.EXPIRY]
    assert kinds(Wanted(kind="expiry")) == [EndKind.EXPIRY]
    assert kinds(Wanted(kind="expiry", is_certain=False)) == []
