"""The database's own clock, and what it says when it takes no writes; the rest: tests/test_database_outages.py."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, InternalError, OperationalError, connection, transaction
from django.utils import timezone

from credentials.services import database
from credentials.services.database import Trouble, WriteWatch
from tests.disks import fill, remount, small_disk


class Refusal(Exception):
    """A driver's error, as psycopg has them."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("password=hunter2")
        self.sqlstate = sqlstate


def error(cause: Exception | None, words: str = "") -> DatabaseError:
    made = InternalError(words)
    made.__cause__ = cause
    return made


@pytest.mark.django_db
def test_its_clock_is_aware_of_its_zone_and_near_this_machines() -> None:
    assert abs(database.now() - timezone.now()) < timedelta(seconds=2)
    assert database.now() <= database.now()


@pytest.mark.django_db
def test_its_clock_goes_on_within_a_transaction() -> None:
    assert database.now() < database.now() or connection.vendor == "sqlite"


@pytest.mark.django_db
def test_one_that_takes_writes_has_no_trouble() -> None:
    assert database.trouble() is None


@pytest.mark.django_db(transaction=True)
def test_a_session_that_may_only_read_is_said() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no such sessions")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        assert database.trouble() is Trouble.READ_ONLY


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (error(Refusal("25006")), Trouble.READ_ONLY),
        (error(Refusal("53100")), Trouble.DISK_FULL),
        (error(Refusal("25P02"), "disk is full"), None),
        (error(Refusal("57P01")), None),
        (OperationalError("attempt to write a readonly database"), Trouble.READ_ONLY),
        (OperationalError("database or disk is full"), Trouble.DISK_FULL),
        (OperationalError("database is locked"), None),
    ],
)
def test_what_an_error_says_of_the_database(met: Exception, said: Trouble | None) -> None:
    assert database.trouble_of(met) is said


def test_a_small_disk_is_full_before_the_last_byte_and_frozen_read_only() -> None:
    with small_disk(megabytes=3) as disk:
        assert database.trouble_of_folder(disk / "new.sqlite3") is None
        fill(disk / "filler")
        assert database.trouble_of_folder(disk / "new.sqlite3") is Trouble.DISK_FULL
        remount(disk, "ro")
        assert database.trouble_of_folder(disk / "new.sqlite3") is Trouble.READ_ONLY


def test_a_folder_that_is_gone_is_a_database_that_is(tmp_path: Path) -> None:
    assert database.trouble_of_folder(tmp_path / "gone" / "db.sqlite3") is Trouble.UNAVAILABLE


@pytest.mark.django_db
def test_whoever_asks_often_has_the_disk_tried_now_and_then_only() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's disk is looked at without asking it")
    seconds = 0.0
    watch = WriteWatch(clock=lambda: seconds)
    asked: list[str] = []

    def note(execute: object, sql: str, *words: object) -> object:
        asked.append(sql)
        return execute(sql, *words)  # type: ignore[operator]  # Django's wrapper

    with connection.execute_wrapper(note):
        for moment, tried in ((0.0, 1), (4.9, 1), (5.0, 2), (6.0, 2)):
            seconds = moment
            assert watch.trouble() is None
            assert sum("generate_series" in sql for sql in asked) == tried
