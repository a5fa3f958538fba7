"""How the installation is: what is overdue, who is alive, what waits, and nothing that is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import (
    Credential,
    DeliveryState,
    Duty,
    Host,
    HostHealth,
    Import,
    Process,
    Revocation,
    RevocationReason,
    RevocationState,
    Status,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from credentials.providers.tokens import Kind
from credentials.services import health, processes, queue, turns, vault
from credentials.services.health import DutyState
from tests import builders, storages
from tests.credentials.services.imports.asked import by_zip
from tests.disks import fill, small_disk

pytestmark = pytest.mark.django_db
NOW = timezone.now()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def state_of(name: str, now: datetime = NOW) -> DutyState:
    (found,) = [one.state for one in health.duty_states(now=now) if one.duty.name == name]
    return found


def counts(now: datetime = NOW) -> dict[str, int]:
    """What is not zero."""
    return {name: count for name, count in asdict(health.backlog(now=now)).items() if count}


def renewable(owner: User, host: Host, **fields: Any) -> Credential:
    builders.host(host.slug, client_id="client", client_secret=Secret("secret"))
    made = builders.credential(owner, host, kind=Kind.OAUTH, token="glpat-" + "a" * 20)
    sealed = vault.seal_secret(Secret("refresh"), made.binding("refresh"))
    Credential.objects.filter(pk=made.pk).update(refresh_envelope=sealed, **fields)
    return made


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, DutyState.NEVER),
        ({"finished_at": NOW - MINUTE}, DutyState.WELL),
        ({"finished_at": NOW - 8 * MINUTE}, DutyState.WELL),
        ({"finished_at": NOW - 9 * MINUTE}, DutyState.OVERDUE),
        ({"finished_at": NOW, "last_error": "OSError"}, DutyState.FAILING),
        (
            {"held_by": "x:1:1/1", "held_until": NOW + MINUTE, "started_at": NOW - 9 * MINUTE},
            DutyState.RUNNING,
        ),
        # It hangs, or was killed: nobody says any more that it is held.
        (
            {"held_by": "x:1:1/1", "held_until": NOW - MINUTE, "started_at": NOW - 9 * MINUTE},
            DutyState.OVERDUE,
        ),
        ({"held_by": "x:1:1/1", "held_until": NOW + MINUTE, "started_at": NOW - 2 * HOUR}, DutyState.OVERDUE),
    ],
)
def test_a_duty_is_well_under_way_failing_overdue_or_not_yet(facts: dict[str, Any], state: DutyState) -> None:
    Duty.objects.create(name="mark-ends", **facts)
    assert state_of("mark-ends") is state


def test_a_duty_that_nobody_knows_is_not_yet_carried_out_and_one_of_an_older_release_is_not_shown() -> None:
    Duty.objects.create(name="water", last_error="OSError")
    assert {one.state for one in health.duty_states(now=NOW)} == {DutyState.NEVER}


def test_an_interval_decides_when_a_duty_is_overdue() -> None:
    for name in ("drop-memories", "mark-ends"):
        Duty.objects.create(name=name, finished_at=NOW - 2 * HOUR)
    assert state_of("drop-memories") is DutyState.WELL
    assert state_of("mark-ends") is DutyState.OVERDUE


def test_who_lives_is_shown_first_and_who_is_gone_too() -> None:
    processes.beat(processes.Kind.WORKER, now=NOW)
    Process.objects.create(identity="a:1:1", kind="refresher", started_at=NOW, seen_at=NOW - HOUR)
    assert [(one.row.kind, one.is_alive) for one in health.process_states(now=NOW)] == [
        ("worker", True),
        ("refresher", False),
    ]


def test_where_all_is_well_nothing_waits(alice: User) -> None:
    builders.credential(alice, builders.host())
    assert counts() == {}


def test_renewable_credentials_are_counted_and_those_that_wait_or_fail(alice: User) -> None:
    host = builders.host("gitlab")
    for fields in (
        {"refresh_due_at": NOW + HOUR},
        {"refresh_due_at": NOW - 6 * MINUTE},
        {"refresh_wanted_at": NOW - 6 * MINUTE},
        {"refresh_due_at": NOW - 4 * MINUTE, "refresh_failures": 3},
        {"refresh_failures": 2},
    ):
        renewable(alice, host, **fields)
    renewable(alice, host, status=Status.RECONNECT_REQUIRED, refresh_due_at=NOW - DAY)
    assert counts() == {"renewable": 5, "refresh_overdue": 2, "refresh_failing": 1, "reconnect_required": 1}


def test_what_nobody_may_renew_is_not_waited_for(alice: User) -> None:
    renewable(alice, builders.host("gitlab"), refresh_due_at=NOW - DAY)
    Host.objects.update(is_enabled=False)
    assert counts() == {}


def revocation(host: Host, *, age: timedelta, state: RevocationState = RevocationState.PENDING) -> Revocation:
    return Revocation.objects.create(
        host=host,
        row=uuid4(),
        owner_id="1",
        owner_name="alice",
        generation=1,
        kind="oauth",
        reason=RevocationReason.DISCONNECTED,
        state=state,
        requested_at=NOW - age,
    )


def test_revocations_under_way_are_counted_and_those_of_yesterday_apart() -> None:
    host = builders.host()
    for age in (MINUTE, 25 * HOUR):
        revocation(host, age=age)
    revocation(host, age=25 * HOUR, state=RevocationState.MANUAL)
    done = revocation(host, age=25 * HOUR, state=RevocationState.MANUAL)
    Revocation.objects.filter(pk=done.pk).update(acknowledged_at=NOW)
    assert counts() == {"revocations_pending": 2, "revocations_long": 1, "revocations_by_hand": 1}


def test_webhooks_under_way_and_given_up_and_endpoints_that_were_switched_off_are_counted() -> None:
    client, _key = builders.client()
    endpoint = WebhookEndpoint.objects.create(
        client=client,
        url="https://example.org/",
        secret_envelope=b"x" * 200,
        is_enabled=False,
        disabled_reason="410",
    )
    states: Sequence[tuple[DeliveryState, timedelta]] = (
        (DeliveryState.PENDING, MINUTE),
        (DeliveryState.DELIVERED, MINUTE),
        (DeliveryState.FAILED, DAY),
        (DeliveryState.FAILED, 3 * DAY),
    )
    for state, age in states:
        message = WebhookMessage.objects.create(event="credential.connected", created_at=NOW)
        WebhookDelivery.objects.create(endpoint=endpoint, message=message, state=state, created_at=NOW - age)
    assert counts() == {"deliveries_pending": 1, "deliveries_failed": 1, "endpoints_off": 1}


def test_tasks_that_nobody_takes_are_counted_after_a_while(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }
    queue.verify_later(uuid4())
    assert counts(timezone.now() + 4 * MINUTE) == {}
    assert counts(timezone.now() + 6 * MINUTE) == {"tasks_waiting": 1}


def test_hosts_that_refuse_our_client_or_have_not_been_answering_are_named() -> None:
    one, other = builders.host(), builders.host("gitlab")
    assert (health.refusing_hosts(), health.failing_hosts()) == ([], [])
    Host.objects.filter(pk=one.pk).update(client_refused_since=NOW)
    HostHealth.objects.create(host=other, failures=5, failing_since=NOW)
    assert health.refusing_hosts() == [one]
    assert [known.host for known in health.failing_hosts()] == [other]


def test_this_machine_and_its_database_agree_on_the_time() -> None:
    assert abs(health.clock_gap()) < timedelta(seconds=2)


def test_a_turns_longest_is_what_a_running_duty_may_take() -> None:
    Duty.objects.create(
        name="mark-ends", held_by="x:1:1/1", held_until=NOW + MINUTE, started_at=NOW - turns.LONGEST + MINUTE
    )
    assert state_of("mark-ends") is DutyState.RUNNING


def test_a_disk_that_is_nearly_full_is_named_with_what_is_left(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_DATA_DIR = tmp_path
    assert tmp_path.resolve() not in [folder for folder, _free in health.low_disks()]
    with small_disk(megabytes=8) as disk:
        settings.CREDENTIALS_DATA_DIR = disk
        fill(disk / "filler")
        assert (disk.resolve(), 0) in list(health.low_disks())


def test_imports_that_wait_are_counted_and_a_queue_that_stands_still_is_known(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    storages.use_folder(settings, tmp_path)
    assert health.imports(now=NOW) == health.ImportQueue(waiting=0, since=None, running=0, late=0)
    _first, second = (by_zip(alice, now=NOW + number * MINUTE) for number in (0, 4))
    soon = health.imports(now=NOW + 5 * MINUTE)
    assert (soon.waiting, soon.since, soon.late, soon.stands_still) == (2, NOW, 0, False)
    late = NOW + 6 * MINUTE
    assert (health.imports(now=late).late, health.imports(now=late).stands_still) == (1, True)
    assert counts(late) == {}, "what lies in the queue is no other trouble"
    Import.objects.filter(pk=second.pk).update(state="running", heartbeat_at=late - MINUTE)
    busy = health.imports(now=late)
    assert (busy.waiting, busy.running, busy.late, busy.stands_still) == (1, 1, 1, False)
    Import.objects.filter(pk=second.pk).update(heartbeat_at=NOW)
    assert health.imports(now=late).stands_still
