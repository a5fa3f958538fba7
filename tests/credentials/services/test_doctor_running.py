"""What the doctor says of what runs: each trouble in words, with what mends it, and none where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from credentials.models import Duty, Host, Import, RevocationState
from credentials.services import doctor, doctor_running, duties, processes, queue
from credentials.services.processes import Kind
from credentials.services.refresh import journal
from credentials.services.remarks import Level, Remark
from credentials.services.revocation import receipts
from tests import builders, storages
from tests.credentials.services.imports.asked import by_zip
from tests.credentials.services.test_health import counts, renewable, revocation
from tests.disks import fill, small_disk

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = timedelta(hours=1)


def only(remarks: Iterator[Remark]) -> Remark:
    (one,) = remarks
    return one


def all_well() -> None:
    for duty in duties.REGISTRY:
        Duty.objects.update_or_create(name=duty.name, defaults={"finished_at": NOW, "last_error": ""})


def test_where_every_duty_is_carried_out_in_time_the_doctor_is_content() -> None:
    assert only(doctor_running.duties(NOW)).level is Level.OK
    all_well()
    assert only(doctor_running.duties(NOW)).text == "Every duty is carried out in time."


def test_a_duty_that_fails_and_one_that_is_overdue_are_problems_by_name() -> None:
    all_well()
    Duty.objects.filter(pk="seal-trail").update(last_error="FileNotFoundError")
    Duty.objects.filter(pk="mark-ends").update(finished_at=NOW - HOUR)
    failing, overdue = doctor_running.duties(NOW)
    assert (failing.level, overdue.level) == (Level.PROBLEM, Level.PROBLEM)
    assert "seal-trail failed (FileNotFoundError)" in failing.text
    assert "mark-ends is overdue" in overdue.text
    assert "manage.py worker" in overdue.remedy


def test_without_a_refresher_what_can_be_renewed_is_a_problem_and_with_one_is_not(alice: User) -> None:
    assert only(doctor_running.refresher(NOW)).level is Level.OK
    renewable(alice, builders.host("gitlab"))
    missing = only(doctor_running.refresher(NOW))
    assert (missing.level, "manage.py refresher" in missing.remedy) == (Level.PROBLEM, True)
    processes.beat(Kind.REFRESHER, now=NOW)
    assert only(doctor_running.refresher(NOW)).level is Level.OK


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({"refresh_due_at": NOW - HOUR}, Level.PROBLEM),
        ({"refresh_failures": 3}, Level.WARNING),
        ({"refresh_failures": 1}, Level.OK),
    ],
)
def test_renewals_that_wait_or_fail_are_told(alice: User, facts: dict[str, Any], level: Level) -> None:
    processes.beat(Kind.REFRESHER, now=NOW)
    renewable(alice, builders.host("gitlab"), **facts)
    assert only(doctor_running.refresher(NOW)).level is level


def test_what_waits_for_long_is_a_warning_with_its_count() -> None:
    assert only(doctor_running.queues(NOW)).level is Level.OK
    host = builders.host()
    for _ in range(2):
        revocation(host, age=timedelta(days=2))
    assert counts()["revocations_long"] == 2
    told = only(doctor_running.queues(NOW))
    assert (told.level, told.check) == (Level.WARNING, "revocations")
    assert told.text.startswith("2 tokens")


def test_what_is_to_be_revoked_by_hand_is_a_warning_until_somebody_says_that_it_is_done() -> None:
    all_well()
    left = revocation(builders.host(), age=HOUR, state=RevocationState.MANUAL)
    told = only(doctor_running.queues(NOW))
    assert (told.level, told.check) == (Level.WARNING, "revocations")
    assert told.text == "1 tokens are to be revoked by hand, which is not yet done."
    receipts.acknowledge(actor=builders.SYSTEM, revocation=left, now=NOW)
    assert only(doctor_running.queues(NOW)).level == Level.OK


def test_a_host_that_refuses_our_client_is_a_problem() -> None:
    builders.host()
    assert list(doctor_running.clients()) == []
    Host.objects.update(client_refused_since=NOW)
    assert only(doctor_running.clients()).level is Level.PROBLEM


def test_clocks_that_agree_are_said_to() -> None:
    assert only(doctor_running.clocks()).level is Level.OK


def test_a_disk_without_room_is_a_problem(settings: Any) -> None:
    with small_disk(megabytes=8) as disk:
        settings.CREDENTIALS_DATA_DIR = disk
        fill(disk / "filler")
        told = only(doctor_running.disks())
        assert (told.level, f"{disk} has 0 MB left." in told.text) == (Level.PROBLEM, True)


@pytest.mark.django_db(transaction=True)
def test_a_database_without_writes_is_told_first_and_nothing_is_tried_on_it() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite: tests/test_database_outages.py")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        remarks = list(doctor.examine(now=NOW, offline=True))
    told = [remark for remark in remarks if remark.level is Level.PROBLEM]
    assert [(remark.check, remark.text[:24]) for remark in told] == [("database", "It takes no writes: noth")]
    assert "canary" not in {remark.check for remark in remarks}


def test_an_answer_of_a_host_that_cannot_be_read_is_named() -> None:
    assert list(doctor_running.refresh_journal()) == []
    journal.folder().mkdir(mode=0o700)
    (journal.folder() / "torn.json").write_text("{")
    told = only(doctor_running.refresh_journal())
    assert told.level is Level.PROBLEM
    assert "torn.json" in told.text


def test_imports_that_nobody_carries_out_are_a_problem_and_too_few_workers_a_warning(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    storages.use_folder(settings, tmp_path)
    waiting, other = by_zip(alice, now=NOW - HOUR), by_zip(alice, now=NOW)
    still = only(doctor_running.queues(NOW))
    assert (still.level, "2 imports wait, the first since" in still.text) == (Level.PROBLEM, True)
    Import.objects.filter(pk=other.pk).update(state="running", heartbeat_at=NOW)
    late = only(doctor_running.queues(NOW))
    assert (late.level, "1 imports have waited" in late.text) == (Level.WARNING, True)
    Import.objects.filter(pk=waiting.pk).update(queued_at=NOW)
    assert only(doctor_running.queues(NOW)).level is Level.OK


def test_a_broker_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Out:
        def waiting(self, queue_name: str) -> int | None:
            return None

    monkeypatch.setattr(queue, "broker", Out)
    out = only(doctor_running.queues(NOW))
    assert (out.level, out.text) == (Level.PROBLEM, "The broker of the task queue does not answer.")
