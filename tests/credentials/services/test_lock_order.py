"""Two who change the same things at the same moment wait for one another, and never for each other.

Rows come before the trail's head, and the person before what they hold. Each test holds one of two in the
middle of its transaction until the other has come as far as it gets; PostgreSQL would end one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Import, PendingConnection
from credentials.services import changes, departures, disconnect, hosts, pending, vault
from credentials.services.imports import claims, ending, recovery
from credentials.services.libraries import libraries
from credentials.services.refresh import claim
from credentials.services.refresh import store as stores
from tests import builders, storages
from tests.credentials.services.refresh.grants import gitlab_at, pair
from tests.credentials.services.refresh.test_store import answer

pytestmark = pytest.mark.django_db(transaction=True)

LATER, LONGER = 0.3, 0.9


def at_once(first: Callable[[], object], second: Callable[[], object]) -> list[BaseException]:
    """Run both, the second a little later; what either of them raised."""
    problems: list[BaseException] = []

    def run(step: Callable[[], object], pause: float) -> None:
        time.sleep(pause)
        try:
            step()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((first, 0.0), (second, LATER))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return problems


def slowly(patch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Let a step take its time after it is done, while its transaction is open."""
    step = getattr(module, name)

    def slow(*given: Any, **named: Any) -> Any:
        done = step(*given, **named)
        time.sleep(LONGER)
        return done

    patch.setattr(module, name, slow)


def two_pairs(owner: User) -> list[Credential]:
    host = gitlab_at("http://127.0.0.1:9")
    made = [
        pair(owner, host, token=f"at-{number}", refresh=f"rt-{number}", ends=timedelta(minutes=1))
        for number in range(2)
    ]
    return sorted(made, key=lambda one: one.pk)


def waiting(owner: User, host: Host) -> PendingConnection:
    row = PendingConnection(
        user=owner, host=host, expires_at=timezone.now() + timedelta(minutes=10), facts={}
    )
    row.access_envelope = vault.seal_secret(Secret("waiting"), row.binding("access"))
    row.save(force_insert=True)
    return row


def taken(credential: Credential) -> object:
    return claim.take(
        credential.pk, by="place:1:2#a", need=timedelta(minutes=5), distrust=None, now=timezone.now
    )


def test_somebody_leaves_while_a_refresh_begins(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _second = two_pairs(alice)
    waiting(alice, first.host)
    slowly(monkeypatch, pending, "decline_all")
    problems = at_once(
        lambda: departures.stop(actor=builders.SYSTEM, user=alice, now=timezone.now()),
        lambda: taken(first),
    )
    assert problems == []


def test_somebody_is_deleted_while_a_refresh_begins(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _first, second = two_pairs(alice)
    slowly(monkeypatch, disconnect, "close")
    assert at_once(alice.delete, lambda: taken(second)) == []


def test_a_new_pair_is_stored_while_its_host_is_switched_off(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _second = two_pairs(alice)
    Host.objects.update(client_refused_since=timezone.now())
    brought, host = answer(first), Host.objects.get()
    slowly(monkeypatch, stores, "_note_accepted_client")
    problems = at_once(
        lambda: stores.store(brought, now=timezone.now()),
        lambda: hosts.set_enabled(actor=builders.SYSTEM, host=host, enabled=False),
    )
    assert problems == []


def running_import(owner: User) -> claims.Claim:
    now = timezone.now()
    library = storages.library(owner)
    job = Import.objects.create(
        library=library, source="zip", created_at=now, queued_at=now, actor_kind="user", actor_name="alice"
    )
    claim = claims.take(job.pk, now=now)
    assert claim is not None
    return claim


def test_somebody_is_deleted_while_an_import_of_theirs_ends(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_pairs(alice)
    claim = running_import(alice)
    slowly(monkeypatch, changes, "user_offboarded")
    problems = at_once(alice.delete, lambda: ending.cancel(claim, now=timezone.now()))
    assert [type(problem) for problem in problems] == [claims.Lost]
    assert not Import.objects.exists()


def test_an_import_ends_while_its_person_is_deleted(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = running_import(alice)
    slowly(monkeypatch, ending, "_announce")
    assert at_once(lambda: ending.cancel(claim, now=timezone.now()), alice.delete) == []


def test_a_library_is_removed_while_an_import_of_it_ends(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = running_import(alice)
    slowly(monkeypatch, ending, "_announce")
    problems = at_once(
        lambda: ending.cancel(claim, now=timezone.now()),
        lambda: libraries.remove(actor=builders.SYSTEM, library=claim.job.library),
    )
    assert problems == []
    assert not Import.objects.exists()


def test_an_import_is_given_up_while_its_worker_wakes_up_and_ends_it(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its person is told that it failed, and that row refers to the person's."""
    claim = running_import(alice)
    Import.objects.filter(pk=claim.job.pk).update(actor_kind="client", attempts=ending.MOST_ATTEMPTS)
    claims.let_go(claim)
    slowly(monkeypatch, ending, "reason_of")
    problems = at_once(
        lambda: recovery.recover(now=timezone.now()),
        lambda: ending.cancel(claim, now=timezone.now()),
    )
    assert [type(problem) for problem in problems] == [claims.Lost]
    assert Import.objects.get().state == "failed"
