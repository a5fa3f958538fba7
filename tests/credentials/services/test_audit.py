"""Writing the trail: gapless, append-only, free of secrets, and durable before anything is opened."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from credentials.errors import AuditUnavailable
from credentials.models import AuditEvent, AuditHead, AuditSeal
from credentials.services import audit, audit_proof
from credentials.services.audit import Actor, Subject
from tests import builders

pytestmark = pytest.mark.django_db

THING = Subject(kind="host", id="1", name="thing")


def write(number: int = 1, **data: Any) -> list[AuditEvent]:
    return [
        audit.record("host.changed", actor=builders.SYSTEM, subject=THING, data=data) for _ in range(number)
    ]


def test_events_are_numbered_without_a_gap_from_one_on() -> None:
    write(5)

    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4, 5]
    assert AuditHead.objects.get().seq == 5


def test_an_event_that_is_rolled_back_leaves_no_gap() -> None:
    write(2)
    with transaction.atomic():
        write(1)
        transaction.set_rollback(True)
    write(1)

    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]
    assert audit_proof.verify().holds


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credentials_auditevent SET actor_name = 'nobody'",
        "UPDATE credentials_auditevent SET seq = seq + 10",
        "DELETE FROM credentials_auditevent",
        "DELETE FROM credentials_audithead",
        "UPDATE credentials_audithead SET seq = 0",
        "UPDATE credentials_audithead SET seq = seq + 2",
        "UPDATE credentials_auditseal SET seq = 1",
        "DELETE FROM credentials_auditseal",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_the_trail(statement: str) -> None:
    write(3)
    audit_proof.seal(now=AuditEvent.objects.latest("seq").at)

    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert AuditEvent.objects.count() == 3
    assert AuditSeal.objects.count() == 1


def test_emptying_the_table_at_once_is_refused_too() -> None:
    write(1)
    statement = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"{statement} credentials_auditevent")


def test_an_event_outlives_the_person_and_the_things_it_names(alice: User) -> None:
    audit.record("user.changed", actor=Actor.user(alice), subject=Subject(kind="user", id="1", name="alice"))
    alice.delete()

    event = AuditEvent.objects.get(action="user.changed")
    assert (event.actor_name, event.subject_name) == ("alice", "alice")
    assert AuditEvent.objects.get(action="user.removed").subject_name == "alice"


@pytest.mark.parametrize(
    "data",
    [{"token": "ghp_x"}, {"status": b"valid"}, {"scopes": [1]}, {"generation": "1"}, {"kind": None}],
)
def test_data_outside_the_allow_list_is_refused_so_that_no_secret_slips_in(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"may not carry|may list"):
        write(**data)

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_trail_that_cannot_be_written_stops_the_change_that_goes_with_it() -> None:
    write(1)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_auditevent RENAME TO set_aside")
    try:
        with pytest.raises(AuditUnavailable), transaction.atomic():
            builders.host()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_auditevent")

    assert not builders.Host.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_that_must_precede_an_opening_is_refused_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        audit.record_durably("thing.opened", actor=builders.SYSTEM, subject=THING)


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_keep_one_gapless_chain() -> None:
    write(1)  # the purpose key exists
    failures: list[BaseException] = []

    def writer() -> None:
        try:
            for _ in range(25):
                write(1)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert AuditEvent.objects.count() == 101
    assert audit_proof.verify().holds
