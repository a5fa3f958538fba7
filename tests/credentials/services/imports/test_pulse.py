"""A running import hears within a second that it shall stop, whatever it waits for, and shows that it lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import Error
from django.utils import timezone

from credentials.errors import ImportCanceled, TimeExceeded
from credentials.models import AuditEvent, Import, ImportState, ProgressUnit, Stage
from credentials.services.imports import canceling, claims, ending, pulse
from credentials.services.imports.claims import Claim, Lost
from credentials.services.imports.pulse import Pulse, Stopped
from tests import builders
from tests.credentials.services.imports.asked import again, by_git

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = 0.05


@pytest.fixture
def claim(alice: User) -> Iterator[Claim]:
    job = by_git(alice, "https://git.example.org/acme/cases")
    taken = claims.take(job.pk, now=timezone.now())
    assert taken is not None
    yield taken
    claims.let_go(taken)


def pulse_of(claim: Claim, **more: object) -> Pulse:
    given = {"deadline": time.monotonic() + 60, "look_seconds": LOOK, **more}
    return Pulse(claim=claim, now=timezone.now, **given)  # type: ignore[arg-type]  # facts of a test


def until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def raises(running: Pulse) -> type[Exception] | None:
    try:
        running.check()
    except Exception as problem:
        return type(problem)
    return None


def test_who_is_asked_to_stop_hears_of_it(claim: Claim) -> None:
    with pulse_of(claim) as running:
        running.check()
        canceling.cancel(actor=builders.SYSTEM, job=claim.job, now=timezone.now())
        until(lambda: raises(running) is ImportCanceled)


def test_an_import_that_waits_for_somebody_ends_all_the_same(claim: Claim, alice: User) -> None:
    """The work is somewhere in a call that does not come back; nobody calls the pulse."""
    with pulse_of(claim) as running:
        canceling.cancel(actor=builders.SYSTEM, job=claim.job, now=timezone.now())
        until(lambda: again(claim.job).state == ImportState.CANCELED)
        with pytest.raises(Lost):
            running._write({})
    with pytest.raises(Lost):
        ending.cancel(claim, now=timezone.now())
    assert AuditEvent.objects.filter(action="import.canceled").count() == 1


def test_the_import_of_somebody_who_left_ends(claim: Claim, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pulse_of(claim):
        until(lambda: again(claim.job).state == ImportState.CANCELED)
    assert AuditEvent.objects.get(action="import.canceled").actor_kind == "system"


@pytest.mark.parametrize("lose", ["holder", "row"])
def test_whoever_has_lost_an_import_hears_of_it_and_writes_nothing(claim: Claim, lose: str) -> None:
    rows = Import.objects.filter(pk=claim.job.pk)
    if lose == "row":
        rows.delete()
    else:
        rows.update(holder="another")
    with pytest.raises(Lost):
        pulse_of(claim).beat(progress_done=5)
    assert not rows.exclude(holder="another", progress_done=0).exists()


def test_signs_of_life_go_on_while_the_work_waits(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.0)
    Import.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    recently = Import.objects.filter(heartbeat_at__gt=timezone.now() - timedelta(minutes=1))
    with pulse_of(claim):
        until(recently.exists)


def test_progress_is_written_at_most_twice_a_second(claim: Claim) -> None:
    readings = [0.0]
    running = pulse_of(claim, deadline=100.0, monotonic=lambda: readings[-1], look_seconds=0.5)
    running.enter(Stage.READING, unit=ProgressUnit.BYTES, total=100, files=10)
    seen = []
    for moment in (0.1, 0.4, 0.6, 0.9, 1.2):
        readings.append(moment)
        running.files(int(moment * 10), int(moment * 100))
        row = again(claim.job)
        seen.append((row.stage, row.files_done, row.progress_done, row.progress_total))
    assert [done for _stage, _files, done, _total in seen] == [0, 0, 60, 60, 120]
    assert seen[-1] == ("reading", 12, 120, 100)


def test_time_that_is_up_and_a_process_that_ends_are_heard_of(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = pulse_of(claim, deadline=time.monotonic() - 1)
    assert late.seconds_left == 1.0
    assert raises(late) is TimeExceeded
    monkeypatch.setattr(pulse._stopping, "is_set", lambda: True)
    assert raises(pulse_of(claim)) is Stopped


def test_an_import_that_waits_longer_than_it_may_ends_all_the_same(claim: Claim) -> None:
    with pulse_of(claim, deadline=time.monotonic() - pulse.LATE_SECONDS):
        until(lambda: again(claim.job).has_ended)
    assert again(claim.job).error == {"code": "time_exceeded", "limit": 900, "retryable": False}


def test_a_database_that_is_out_for_a_moment_ends_nothing(
    claim: Claim, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out(self: Pulse, _facts: object = None) -> None:
        raise Error("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Pulse, "_write", out)
        patched.setattr(Pulse, "_look", out)
        with pulse_of(claim) as running:
            running.beat(progress_done=1)
            until(lambda: "cannot be looked at" in caplog.text)
            running.check()
    assert again(claim.job).state == ImportState.RUNNING
