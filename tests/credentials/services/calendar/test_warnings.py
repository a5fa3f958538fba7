"""Warnings: 30, 14, 7 and 1 days ahead, each once, whoever looks how often and whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone, translation

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Host, Notice, Status
from credentials.providers.tokens import Kind
from credentials.services import audit_proof, calendar, connect, maintenance, notices
from credentials.services.connect import ManualEntry
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
START = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def host(db: None) -> Host:
    """Gitea: what ends there ends by the date that somebody typed in."""
    return builders.host("gitea")


def ending(owner: User, at: Host, when: datetime | None, **fields: Any) -> Credential:
    return builders.credential(
        owner, at, token=f"token-{Credential.objects.count()}", expires_at=when, **fields
    )


def told(of: Credential) -> list[int]:
    """How many days ahead it was warned of, in order, by the trail; every other channel agrees with it."""
    events = AuditEvent.objects.filter(action="credential.expiring", subject_id=str(of.pk)).order_by("seq")
    days = [event.data["days"] for event in events if "days" in event.data]
    assert Notice.objects.filter(credential=of, code__in=notices.OF_ENDS).count() == len(days)
    return days


def run(clock: Clock, end: datetime, every: timedelta) -> None:
    while clock() < end:
        calendar.warn_due(now=clock())
        maintenance.mark_ends(now=clock())
        clock.at += every


@pytest.mark.parametrize("every", [DAY, timedelta(hours=1), 7 * DAY], ids=["daily", "hourly", "weekly"])
def test_over_a_year_every_threshold_is_told_once(
    alice: User, host: Host, clock: Clock, every: timedelta
) -> None:
    held = [ending(alice, host, START + timedelta(days=days, hours=5)) for days in (3, 45, 364)]
    none = ending(alice, host, None)
    # What happens every hour is looked at in the last month; a whole year of hours would take minutes.
    run(clock, START + 333 * DAY, max(every, DAY))
    run(clock, START + 375 * DAY if every > DAY else START + 366 * DAY, every)

    if every > DAY:
        assert [told(one) for one in held] == [[7], [30, 14, 7], [30, 14, 1]], "some lie in a gap"
    else:
        assert [told(one) for one in held] == [[7, 1], [30, 14, 7, 1], [30, 14, 7, 1]]
    assert told(none) == []
    assert audit_proof.verify().holds
    assert set(Credential.objects.exclude(pk=none.pk).values_list("status", flat=True)) == {Status.EXPIRED}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=30, seconds=1), []),
        (timedelta(days=30), [30]),
        (timedelta(days=14, seconds=1), [30]),
        (timedelta(days=14), [14]),
        (timedelta(days=7), [7]),
        (timedelta(days=1, seconds=1), [7]),
        (timedelta(days=1), [1]),
        (timedelta(seconds=1), [1]),
        (timedelta(0), []),
        (-DAY, []),
    ],
)
def test_only_the_nearest_threshold_is_told(
    alice: User, host: Host, clock: Clock, left: timedelta, expected: list[int]
) -> None:
    held = ending(alice, host, clock() + left)
    assert calendar.warn_due(now=clock()) == len(expected)
    assert calendar.warn_due(now=clock()) == 0
    assert told(held) == expected


def test_a_duty_that_rested_for_weeks_tells_only_what_is_nearest(
    alice: User, host: Host, clock: Clock
) -> None:
    held = ending(alice, host, clock() + 30 * DAY)
    for rest in (0, 24):
        clock.step(days=rest)
        calendar.warn_due(now=clock())
    assert told(held) == [30, 7]


@pytest.mark.parametrize("hours", [24, -24])
@pytest.mark.parametrize("at", [2, 15, 16, 17, 22, 23, 28, 29])
@pytest.mark.parametrize("off", [3, -3])
def test_a_clock_that_jumps_by_a_day_and_back_doubles_and_drops_nothing(
    alice: User, host: Host, clock: Clock, hours: int, at: int, off: int
) -> None:
    held = ending(alice, host, clock() + timedelta(days=30, hours=off))
    for day in range(32):
        for jump in (hours, 0, hours, 0) if day == at else (0,):
            now = clock() + timedelta(hours=jump)
            maintenance.mark_ends(now=now)
            calendar.warn_due(now=now)
        clock.step(days=1)
    assert told(held) == [30, 14, 7, 1]


def test_a_date_that_moves_is_told_of_anew_and_one_that_trembles_is_not(
    alice: User, host: Host, clock: Clock
) -> None:
    held = ending(alice, host, clock() + 6 * DAY)
    calendar.warn_due(now=clock())
    for moved in (timedelta(hours=20), timedelta(hours=-20)):
        Credential.objects.filter(pk=held.pk).update(expires_at=clock() + 6 * DAY + moved)
        calendar.warn_due(now=clock())
    assert told(held) == [7]

    Credential.objects.filter(pk=held.pk).update(expires_at=clock() + 29 * DAY)
    calendar.warn_due(now=clock())
    assert told(held) == [7, 30]
    clock.step(days=23)
    calendar.warn_due(now=clock())
    assert told(held) == [7, 30, 7]


def test_a_new_token_is_warned_of_as_new_even_where_it_ends_on_the_same_day(
    alice: User, host: Host, clock: Clock
) -> None:
    held = ending(alice, host, clock() + 6 * DAY)
    calendar.warn_due(now=clock())
    entry = ManualEntry(token=Secret("a" * 40), expires_at=held.expires_at)
    held.refresh_from_db()

    connect.replace_token(actor=builders.SYSTEM, credential=held, entry=entry, now=clock)

    assert not notices.unread(alice).exists(), "the warning was about the old token"
    calendar.warn_due(now=clock())
    assert told(held) == [7, 7]


def test_a_nearer_warning_replaces_the_unread_one(alice: User, host: Host, clock: Clock) -> None:
    ending(alice, host, clock() + 30 * DAY)
    other = ending(alice, host, clock() + 28 * DAY)
    for _ in range(2):
        calendar.warn_due(now=clock())
        clock.step(days=20)
    assert notices.unread(alice).count() == 2
    [of_other] = notices.unread(alice).filter(credential=other)
    assert of_other.created_at == START + 20 * DAY


def test_news_of_an_end_that_was_put_off_counts_as_read(alice: User, clock: Clock) -> None:
    github = builders.host()
    long_ago = clock() - 360 * DAY
    held = ending(alice, github, None)
    Credential.objects.update(sealed_at=long_ago, created_at=long_ago, last_verified_at=long_ago)
    assert calendar.warn_due(now=clock()) == 1
    [notice] = notices.unread(alice)
    assert "may end on March 6, 2027" in notices.text_of(notice)

    Credential.objects.filter(pk=held.pk).update(last_verified_at=clock())
    assert calendar.warn_due(now=clock()) == 0
    assert not notices.unread(alice).exists()
    clock.step(days=360)
    calendar.warn_due(now=clock())
    assert told(held) == [7, 7], "after another year it is another end"


def test_a_likely_end_that_passed_while_nobody_looked_is_told_once(alice: User, clock: Clock) -> None:
    long_ago = clock() - 400 * DAY
    held = ending(alice, builders.host(), None)
    Credential.objects.update(sealed_at=long_ago, created_at=long_ago, last_verified_at=long_ago)
    for _ in range(3):
        calendar.warn_due(now=clock())
        clock.step(days=1)
    assert told(held) == [1]


def test_an_oauth_token_that_lives_for_hours_gives_no_warning(alice: User, clock: Clock) -> None:
    held = ending(alice, builders.host("gitea"), clock() + timedelta(minutes=30), kind=Kind.OAUTH)
    Credential.objects.update(sealed_at=clock())
    assert calendar.warn_due(now=clock()) == 0
    held.refresh_from_db()
    assert held.status == Status.VALID


def test_an_end_without_a_date_is_told_once_until_it_is_another_one(alice: User, clock: Clock) -> None:
    github = builders.host(client_id="new", client_secret=Secret("s"))
    held = ending(
        alice,
        github,
        None,
        kind=Kind.OAUTH,
        oauth_client_id="old",
        oauth_redirect_uri="https://us.example/callback/",
    )
    for client in ("new", "new", "newer", "old"):
        Host.objects.update(client_id=client)
        calendar.warn_due(now=clock.step(hours=1))
    assert told(held) == [0, 0]
    assert not notices.unread(alice).exists(), "its own client is back"


@pytest.mark.parametrize(
    "status", [Status.REJECTED, Status.EXPIRED, Status.QUARANTINED, Status.RECONNECT_REQUIRED]
)
def test_what_is_dead_or_held_already_is_not_warned_of(
    alice: User, host: Host, clock: Clock, status: Status
) -> None:
    ending(alice, host, clock() + DAY, status=status)
    assert calendar.warn_due(now=clock()) == 0


def test_nobody_is_told_what_nobody_could_mend(alice: User, host: Host, clock: Clock) -> None:
    held = ending(alice, host, clock() + 5 * DAY)
    Host.objects.update(is_enabled=False)
    assert calendar.warn_due(now=clock()) == 0
    Host.objects.update(is_enabled=True)
    User.objects.update(is_active=False)
    assert calendar.warn_due(now=clock()) == 0
    User.objects.update(is_active=True)
    calendar.warn_due(now=clock())
    assert told(held) == [7]


@pytest.mark.parametrize(
    ("before", "left", "after"),
    [
        (Status.VALID, timedelta(seconds=1), Status.EXPIRING),
        (Status.VALID, 14 * DAY, Status.EXPIRING),
        (Status.VALID, 15 * DAY, Status.VALID),
        (Status.LIMITED, DAY, Status.LIMITED),
        (Status.UNVERIFIED, DAY, Status.UNVERIFIED),
        (Status.EXPIRING, DAY, Status.EXPIRING),
    ],
)
def test_a_working_credential_near_its_end_counts_as_expiring(
    alice: User, host: Host, clock: Clock, before: Status, left: timedelta, after: Status
) -> None:
    held = ending(alice, host, clock() + left, status=before)
    calendar.warn_due(now=clock())
    held.refresh_from_db()
    assert held.status == after
    [event] = AuditEvent.objects.filter(action="credential.expiring")
    assert ("status_before" in event.data) is (before != after)


def test_a_window_of_ones_own_is_kept_and_recorded(
    alice: User, host: Host, clock: Clock, settings: Any
) -> None:
    settings.CREDENTIALS_EXPIRING_SECONDS = 60 * 86_400
    held = ending(alice, host, clock() + 50 * DAY)
    assert calendar.warn_due(now=clock()) == 0, "nobody is told yet"
    held.refresh_from_db()
    assert held.status == Status.EXPIRING
    assert AuditEvent.objects.filter(action="credential.expiring").count() == 1
    assert calendar.warn_due(now=clock()) == 0
    assert AuditEvent.objects.filter(action="credential.expiring").count() == 1


def test_the_warning_is_mailed_with_the_day_as_it_is_here(alice: User, host: Host, clock: Clock) -> None:
    ending(alice, host, datetime(2027, 3, 6, 18, tzinfo=UTC), label="at work")
    calendar.warn_due(now=clock())
    with timezone.override(ZoneInfo("Pacific/Auckland")):
        assert notices.mail_due(now=clock()) == 1
    [letter] = mail.outbox
    assert letter.to == ["alice@example.org"]
    assert "“at work” to Gitea ends on March 7, 2027" in letter.body


def test_a_warning_waits_for_a_mail_server_longer_than_a_day(alice: User, host: Host, clock: Clock) -> None:
    ending(alice, host, clock() + 29 * DAY)
    calendar.warn_due(now=clock())
    assert notices.mail_due(now=clock.step(days=3)) == 1


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_warning_has_a_text(alice: User, host: Host, clock: Clock, language: str) -> None:
    held = ending(alice, host, None, label="100 %(host)s")
    for at, certain in ((clock(), True), (clock(), False), (None, False)):
        notice = notices.about_end(held, kind="expiry", at=at, is_certain=certain, now=clock())
        with translation.override(language):
            assert "100 %(host)s" in notices.text_of(notice)
