"""Receipts as people see them: reminded until it is done, and never led to end what still works."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Revocation, RevocationReason
from credentials.providers.facts import Revocation as Said
from credentials.providers.facts import RevocationResult
from credentials.providers.tokens import Kind
from credentials.services.audit import Actor
from credentials.services.revocation import attempts, receipts
from tests import builders
from tests.credentials.services.revocation.dying import closed, fresh

pytestmark = pytest.mark.django_db


def by_hand(owner: User, **fields: object) -> Revocation:
    """A token that only a person can end."""
    values = {"kind": Kind.PERSONAL_TOKEN, **fields}
    credential = builders.credential(owner, gitea(), **values)  # type: ignore[arg-type]  # free fields
    return attempts.attempt(closed(credential), actor=builders.SYSTEM)


def gitea() -> builders.Host:
    return builders.Host.objects.filter(slug="gitea").first() or builders.host("gitea")


def test_a_person_is_reminded_until_they_say_that_it_is_done(alice: User, bob: User) -> None:
    made = by_hand(alice)
    assert receipts.reminders(alice) == [made]
    assert receipts.reminders(bob) == []

    for _twice in range(2):
        receipts.acknowledge(actor=Actor.user(alice), revocation=made, now=timezone.now())

    assert receipts.reminders(alice) == []
    assert fresh(made).state == "manual", "nobody has proved it"
    (event,) = AuditEvent.objects.filter(actor_name="alice", action="credential.revocation")
    assert event.data["outcome"] == "done by hand"


def test_what_waits_for_its_host_may_be_done_sooner_and_is_not_said_to_be_done(alice: User) -> None:
    made = closed(builders.credential(alice, builders.host()))
    assert receipts.reminders(alice) == [], "not before the host was asked"
    attempts.attempt(made, actor=builders.SYSTEM)
    assert receipts.reminders(alice) == [made]

    receipts.acknowledge(actor=Actor.user(alice), revocation=made, now=timezone.now())
    assert receipts.reminders(alice) == [made]


@pytest.mark.parametrize("reason", [RevocationReason.REPLACED, RevocationReason.DISCONNECTED])
def test_nobody_is_led_to_a_page_that_ends_the_newer_connection_too(
    alice: User, reason: RevocationReason
) -> None:
    made = by_hand(alice, kind=Kind.OAUTH, account_name="octo-alice")
    Revocation.objects.filter(pk=made.pk).update(reason=reason)
    assert receipts.reminders(alice) == [made]

    builders.credential(alice, gitea(), kind=Kind.OAUTH, token="newer", account_name="octo-alice")

    assert receipts.reminders(alice) == []
    assert receipts.result_of(made) == RevocationResult(outcome=Said.MANUAL)


def test_another_account_at_the_same_host_is_another_matter(alice: User, bob: User) -> None:
    made = by_hand(alice, kind=Kind.OAUTH, account_name="octo-alice")
    builders.credential(alice, gitea(), kind=Kind.OAUTH, token="newer", account_name="octo-bob")
    builders.credential(bob, gitea(), kind=Kind.OAUTH, token="bobs", account_name="octo-alice")
    assert receipts.reminders(alice) == [made]


def test_a_receipt_of_the_disconnection_is_not_that_of_a_replaced_token(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    closed(credential, reason=RevocationReason.OFFBOARDED)
    made = Revocation.objects.get()
    Revocation.objects.create(
        host=made.host,
        credential=made.credential,
        row=made.row,
        owner_id=made.owner_id,
        generation=1,
        reason=RevocationReason.REPLACED,
        requested_at=timezone.now(),
    )
    assert receipts.of(Credential.objects.get()) == made
    assert receipts.result_of(None).outcome is Said.ALREADY_INVALID


def test_many_reminders_are_asked_for_in_two_statements(
    alice: User, django_assert_num_queries: object
) -> None:
    for number in range(6):
        by_hand(alice, kind=Kind.OAUTH, token=f"token-{number}")
    with django_assert_num_queries(2):  # type: ignore[operator]  # pytest-django's fixture
        assert len(receipts.reminders(alice)) == 6


def test_the_receipts_of_a_credential_are_found_by_an_index() -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Revocation._meta.db_table)
    assert any(one["index"] and one["columns"] == ["row"] for one in found.values())
