"""Stopping imports: at once where they wait, soon where they run, and all of somebody who leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import Conflict, NotFound
from credentials.models import AuditEvent, ImportState
from credentials.services import departures, offboarding
from credentials.services.audit import Actor
from credentials.services.imports import canceling, claims, ending, retrying
from tests import builders
from tests.credentials.services.imports.asked import again, by_git, by_zip

pytestmark = pytest.mark.django_db

NOW = timezone.now()
ADDRESS = "https://git.example.org/acme/cases"


def events(action: str = "import.canceled") -> list[str]:
    return list(AuditEvent.objects.filter(action=action).values_list("actor_name", flat=True))


def test_one_that_waits_is_canceled_at_once_and_the_trail_says_by_whom(alice: User, bob: User) -> None:
    job = by_git(alice, ADDRESS)
    canceling.cancel(actor=Actor.user(bob), job=job, now=NOW)
    assert (again(job).state, again(job).ended_at) == (ImportState.CANCELED, NOW)
    assert events() == ["bob"]
    assert claims.take(job.pk, now=NOW) is None


def test_one_that_runs_is_asked_to_stop_once(alice: User) -> None:
    job = by_git(alice, ADDRESS, now=NOW)
    claim = claims.take(job.pk, now=NOW)
    assert claim is not None
    for _ in range(2):
        canceling.cancel(actor=Actor.user(alice), job=job, now=NOW)
    assert (again(job).state, again(job).cancel_requested_at) == (ImportState.RUNNING, NOW)
    ending.cancel(claim, now=NOW)
    assert again(job).state == ImportState.CANCELED
    assert events() == ["alice"], "one event, and it names who wanted it"


def test_one_that_has_ended_or_is_no_more_is_not_stopped(alice: User) -> None:
    job = by_git(alice, ADDRESS)
    canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    with pytest.raises(Conflict):
        canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    job.library.delete()
    with pytest.raises(NotFound):
        canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)


def test_who_is_offboarded_imports_nothing_any_more(alice: User, bob: User) -> None:
    waits, runs, others = by_git(alice, ADDRESS, "A"), by_zip(alice, library="B"), by_git(bob, ADDRESS)
    assert claims.take(runs.pk, now=timezone.now()) is not None
    offboarding.offboard(actor=Actor.user(bob), user=alice, hand_over={})
    assert again(waits).state == ImportState.CANCELED
    assert again(runs).cancel_requested_at is not None
    assert again(others).state == ImportState.QUEUED
    assert set(events()) == {"bob"}
    with pytest.raises(Conflict):
        retrying.retry(actor=Actor.user(alice), job=waits, now=NOW)


@pytest.mark.parametrize("way", ["saved", "in the database"])
def test_however_somebody_became_inactive_their_imports_stop(way: str, alice: User) -> None:
    """Also where they hold no credential that could be noticed."""
    job = by_git(alice, ADDRESS)
    if way == "saved":
        alice.is_active = False
        alice.save()
    else:
        User.objects.filter(pk=alice.pk).update(is_active=False)
        offboarding.close_inactive(actor=builders.SYSTEM, now=NOW)
    assert again(job).state == ImportState.CANCELED


def test_a_departure_that_is_told_twice_stops_imports_once(alice: User) -> None:
    job = by_git(alice, ADDRESS)
    claims.take(job.pk, now=timezone.now())
    told = [departures.stop(actor=builders.SYSTEM, user=alice, now=NOW) for _ in range(2)]
    assert told == [True, False]
    assert len(events()) == 1


def test_an_upload_of_one_that_was_canceled_is_kept_for_a_while(alice: User, storage: Path) -> None:
    job = by_zip(alice)
    canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    assert (storage / again(job).upload).is_file()
