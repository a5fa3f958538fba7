"""Imports wait for others and never for each other: the person comes first, then the library, the import, the trail."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import Conflict
from credentials.services import departures, pending
from credentials.services.imports import claims, ending
from credentials.services.imports.claims import Claim
from credentials.services.libraries import libraries
from tests import builders
from tests.credentials.services.imports.asked import again, by_git
from tests.credentials.services.test_lock_order import at_once, slowly, two_pairs, waiting

pytestmark = pytest.mark.django_db(transaction=True)


def running_import(owner: User) -> Claim:
    job = by_git(owner, "https://git.example.org/acme/cases")
    claim = claims.take(job.pk, now=timezone.now())
    assert claim is not None
    return claim


def test_somebody_leaves_while_their_import_ends(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _second = two_pairs(alice)
    waiting(alice, first.host)
    claim = running_import(alice)
    slowly(monkeypatch, pending, "decline_all")
    reason = ending.unexpected()
    problems = at_once(
        lambda: departures.stop(actor=builders.SYSTEM, user=alice, now=timezone.now()),
        lambda: ending.fail(claim, reason, now=timezone.now()),
    )
    assert problems == []
    assert again(claim.job).state == "canceled"


def test_a_library_is_removed_while_an_import_of_it_is_claimed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_git(alice, "https://git.example.org/acme/cases")
    slowly(monkeypatch, claims, "lock_above")
    problems = at_once(
        lambda: claims.take(job.pk, now=timezone.now()),
        lambda: libraries.remove(actor=builders.SYSTEM, library=job.library),
    )
    assert [type(problem) for problem in problems] == [Conflict]
    assert again(job).state == "running"


def test_an_import_is_asked_for_while_another_of_the_library_ends(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = running_import(alice)
    slowly(monkeypatch, ending, "_locked")
    reason = ending.unexpected()
    problems = at_once(
        lambda: ending.fail(claim, reason, now=timezone.now()),
        lambda: by_git(alice, "https://git.example.org/acme/cases"),
    )
    assert problems == []
