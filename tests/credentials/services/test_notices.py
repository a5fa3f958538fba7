"""News: kept until read, mailed once, and no bad address stands before the others."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.utils import translation

from credentials.models import Notice, OrganizationAccess
from credentials.services import notices
from credentials.services.notices import Code
from tests import builders
from tests.clock import Clock

pytestmark = pytest.mark.django_db

HERE = f"{__name__}.{{}}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(alice: User) -> OrganizationAccess:
    return builders.access(builders.credential(alice, builders.host()), "acme", name="Acme %(host)s Inc.")


def test_a_notice_is_its_owners_until_read(access: OrganizationAccess, alice: User, bob: User) -> None:
    clock = Clock()
    notice = notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    assert list(notices.unread(alice)) == [notice]
    assert not notices.unread(bob).exists()
    notices.read(notice, now=clock.step(seconds=5))
    notices.read(notice, now=clock.step(seconds=5))
    assert not notices.unread(alice).exists()
    notice.refresh_from_db()
    assert notice.read_at == clock() - timedelta(seconds=5), "the first time counts"


def test_news_of_an_organization_replaces_what_was_said_of_it_before(
    access: OrganizationAccess, alice: User
) -> None:
    clock = Clock()
    other = builders.access(access.credential, "umbra", name="Umbra")
    of_another = notices.about_organization(other, Code.ORGANIZATION_OPENED, now=clock())
    notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock.step(seconds=5))
    closed = notices.about_organization(access, Code.ORGANIZATION_CLOSED, now=clock.step(seconds=5))
    assert list(notices.unread(alice)) == [closed, of_another]
    assert notices.mail_due(now=clock.step(seconds=5)) == 2, "what is no longer true is not mailed either"


def test_news_of_a_credential_leaves_news_of_its_organizations(
    access: OrganizationAccess, alice: User
) -> None:
    clock = Clock()
    opened = notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    notices.about_credential(access.credential, Code.CREDENTIAL_LIMITED, now=clock.step(seconds=5))
    rejected = notices.about_credential(
        access.credential, Code.CREDENTIAL_REJECTED, now=clock.step(seconds=5)
    )
    assert list(notices.unread(alice)) == [rejected, opened]
    notices.settle(access.credential, now=clock())
    assert list(notices.unread(alice)) == [opened]


@pytest.mark.parametrize("code", [code for code in Code if code.startswith("credential_")])
def test_every_notice_of_a_credential_has_a_text_that_names_account_and_host(
    access: OrganizationAccess, code: Code
) -> None:
    access.credential.label = "work %(host)s"
    (notice,) = notices.about_credentials([access.credential], code, now=Clock()(), person="bob")
    for language in ("en", "zh-hans"):
        with translation.override(language):
            text = notices.text_of(notice)
        assert "work %(host)s" in text, "a label is no template"
        assert "Github" in text


@pytest.mark.parametrize("code", [code for code in Code if code.startswith("organization_")])
def test_every_notice_has_a_text_that_names_organization_and_host(
    access: OrganizationAccess, code: Code
) -> None:
    notice = notices.about_organization(access, code, now=Clock()())
    for language in ("en", "zh-hans"):
        with translation.override(language):
            text = notices.text_of(notice)
        assert "Acme %(host)s Inc." in text, "a name is no template"
        assert "Github" in text


def test_a_notice_is_mailed_to_its_person_once(access: OrganizationAccess, clock: Clock) -> None:
    notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    assert notices.mail_due(now=clock.step(seconds=5)) == 1
    assert notices.mail_due(now=clock.step(seconds=5)) == 0
    [letter] = mail.outbox
    assert letter.to == ["alice@example.org"]
    assert "now lets your connection to Github in" in letter.body


def test_who_has_no_address_reads_it_on_the_page(
    access: OrganizationAccess, alice: User, clock: Clock
) -> None:
    User.objects.filter(pk=alice.pk).update(email="")
    notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    assert notices.mail_due(now=clock()) == 0
    assert notices.unread(alice).count() == 1


def test_who_is_not_active_any_more_gets_no_mail(
    access: OrganizationAccess, alice: User, bob: User, clock: Clock
) -> None:
    code = Code.CREDENTIAL_GIVEN_AWAY
    for person in (alice, bob):
        notices.about_credentials([access.credential], code, now=clock(), to=person, person="charlie")
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert notices.mail_due(now=clock.step(seconds=5)) == 1
    assert [letter.to for letter in mail.outbox] == [["bob@example.org"]]


class Silent(BaseEmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise ConnectionRefusedError


class Choosy(BaseEmailBackend):
    """A mail server that knows nobody called alice."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        for message in messages:
            if message.to == ["alice@example.org"]:
                raise smtplib.SMTPRecipientsRefused({"alice@example.org": (550, b"no such user")})
        mail.outbox.extend(messages)
        return len(messages)


def test_while_the_mail_server_is_down_it_is_tried_again_for_a_day(
    access: OrganizationAccess, clock: Clock, settings: Any
) -> None:
    notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, HERE.format("Silent")
    assert notices.mail_due(now=clock.step(hours=1)) == 0
    settings.EMAIL_BACKEND = working
    assert notices.mail_due(now=clock() + timedelta(hours=23, seconds=1)) == 0, "no news any more"
    assert notices.mail_due(now=clock() + timedelta(hours=22)) == 1


def test_an_address_that_is_refused_does_not_stand_before_the_others(
    access: OrganizationAccess, bob: User, clock: Clock, settings: Any
) -> None:
    notices.about_organization(access, Code.ORGANIZATION_OPENED, now=clock())
    theirs = builders.access(builders.credential(bob, access.credential.host), "acme")
    notices.about_organization(theirs, Code.ORGANIZATION_OPENED, now=clock.step(seconds=1))
    settings.EMAIL_BACKEND = HERE.format("Choosy")
    assert notices.mail_due(now=clock.step(seconds=1)) == 1
    assert [letter.to for letter in mail.outbox] == [["bob@example.org"]]
    assert notices.mail_due(now=clock.step(minutes=1)) == 0
    assert notices.unread(access.credential.owner).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_sends(access: OrganizationAccess, clock: Clock) -> None:
    for number in range(8):
        one = builders.access(access.credential, f"acme-{number}")
        notices.about_organization(one, Code.ORGANIZATION_OPENED, now=clock())
    failures: list[BaseException] = []
    sent: list[int] = []

    def work() -> None:
        try:
            sent.append(notices.mail_due(now=clock()))
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
    assert sum(sent) == len(mail.outbox) == 8
    assert not Notice.objects.filter(mailed_at=None).exists()
