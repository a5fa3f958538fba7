"""The mail to administrators: once a day at most, only where there is something new, never a secret."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection

from credentials.models import Host
from credentials.services import audit, calendar, duties, hosts
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
TOKEN = "ghp_" + "d" * 36


@pytest.fixture
def clock(settings: Any) -> Clock:
    settings.ADMINS = [("", "root@example.org")]
    return Clock(datetime(2027, 3, 1, 8, tzinfo=UTC))


class Silent(BaseEmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise ConnectionRefusedError


def warned(owner: User, at: Host, clock: Clock, number: int = 1) -> None:
    for _ in range(number):
        builders.credential(owner, at, token=TOKEN, expires_at=clock() + 5 * DAY, account_name="octo")
    assert calendar.warn_due(now=clock()) == number


def test_it_counts_and_names_and_shows_no_secret(alice: User, bob: User, clock: Clock) -> None:
    warned(alice, builders.host(), clock, 2)
    warned(bob, builders.host("gitea"), clock)
    assert calendar.mail_administrators(now=clock.step(minutes=1)) == 1
    [letter] = mail.outbox
    assert letter.to == ["root@example.org"]
    assert "3 connections end soon" in letter.body
    assert "  gitea: 1\n  github: 2" in letter.body
    assert "  alice, github: March 6, 2027" in letter.body
    assert "  bob, gitea: March 6, 2027" in letter.body
    assert TOKEN not in letter.body


def test_it_comes_once_a_day_and_only_with_something_new(alice: User, clock: Clock) -> None:
    github = builders.host()
    assert calendar.mail_administrators(now=clock()) == 0, "nothing to tell"
    warned(alice, github, clock)
    assert calendar.mail_administrators(now=clock.step(hours=1)) == 1
    warned(alice, github, clock)
    assert calendar.mail_administrators(now=clock.step(hours=5)) == 0, "today's has gone out"
    assert calendar.mail_administrators(now=clock.step(hours=18)) == 1
    assert "1 connection ends soon" in mail.outbox[1].body
    assert calendar.mail_administrators(now=clock.step(hours=24)) == 0, "nothing new"


def test_a_client_that_a_host_refuses_is_told_to_those_who_can_mend_it(clock: Clock) -> None:
    subject = hosts.subject_of(builders.host())
    audit.record("host.client_refused", actor=builders.SYSTEM, subject=subject)
    assert calendar.mail_administrators(now=clock()) == 1
    assert "Github refuses the OAuth client" in mail.outbox[0].body


def test_a_long_list_is_cut_and_says_so(alice: User, clock: Clock) -> None:
    warned(alice, builders.host(), clock, 53)
    assert calendar.mail_administrators(now=clock()) == 1
    assert "… and 3 more" in mail.outbox[0].body


def test_where_nobody_is_named_nothing_is_sent(alice: User, clock: Clock, settings: Any) -> None:
    settings.ADMINS = []
    warned(alice, builders.host(), clock)
    assert calendar.mail_administrators(now=clock()) == 0
    settings.ADMINS = [("", "root@example.org")]
    assert calendar.mail_administrators(now=clock()) == 1, "it was not counted as sent"


def test_a_mail_server_that_is_down_is_tried_again(alice: User, clock: Clock, settings: Any) -> None:
    warned(alice, builders.host(), clock)
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.Silent"
    assert calendar.mail_administrators(now=clock.step(minutes=1)) == 0
    settings.EMAIL_BACKEND = working
    assert calendar.mail_administrators(now=clock.step(minutes=1)) == 1


def test_a_worker_that_is_killed_before_it_could_note_the_mail_tells_it_again(
    alice: User, clock: Clock
) -> None:
    warned(alice, builders.host(), clock)

    def killer(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if mail.outbox:
            raise KeyboardInterrupt
        return execute(sql, params, many, context)

    with connection.execute_wrapper(killer), pytest.raises(KeyboardInterrupt):
        calendar.mail_administrators(now=clock())
    assert calendar.mail_administrators(now=clock.step(hours=1)) == 1
    assert calendar.mail_administrators(now=clock.step(hours=24)) == 0


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_sends(alice: User, clock: Clock) -> None:
    warned(alice, builders.host(), clock)
    sent: list[int] = []
    [duty] = [one for one in duties.REGISTRY if one.name == "mail-administrators"]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            sent.append(duties.carry_out(duty, force=True, clock=clock).done)
        except BaseException as problem:
            failures.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(sent) == len(mail.outbox) == 1
