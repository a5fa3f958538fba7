"""How the whole installation is: its duties, its processes, and what waits longer than it should.

It only looks. What is wrong in words: services/doctor_running.py; as a page: admin/health.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from django.db import connection
from django.db.models import Count, Min, Q
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.conf import conf
from credentials.models import (
    Credential,
    DeliveryState,
    Duty,
    Host,
    HostHealth,
    Import,
    ImportState,
    Process,
    Revocation,
    RevocationState,
    Status,
    WebhookDelivery,
    WebhookEndpoint,
)
from credentials.services import circuit_breaker, database, duties, processes, queue, turns
from credentials.services.duties import PeriodicDuty
from credentials.services.processes import Kind
from credentials.services.refresh import claim
from credentials.services.revocation import receipts

# Beyond this a duty is overdue: three times its interval, and time for a restart.
_INTERVALS, _GRACE = 3, timedelta(minutes=5)
# What is ready for longer than this should be under way.
_WAITS = timedelta(minutes=5)
# Attempts in a row after which a refresh that fails is no passing matter.
_FAILURES = 3
_LONG_PENDING = timedelta(days=1)
_RECENTLY = timedelta(days=1)
# Below one of these a disk is nearly full.
_LOW_BYTES = 200 * 1024 * 1024
CLOCKS_APART = timedelta(seconds=60)


class DutyState(StrEnum):
    """How one duty is."""

    WELL = "well"
    RUNNING = "running"
    FAILING = "failing"
    OVERDUE = "overdue"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True, slots=True)
class DutyHealth:
    """One duty of the registry; ``row`` is None where nobody ever carried it out."""

    duty: PeriodicDuty
    row: Duty | None
    state: DutyState


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessHealth:
    """One process that showed itself lately."""

    row: Process
    is_alive: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Counts of what waits, fails, or was given up; all zero where all is well, but for ``renewable``."""

    renewable: int
    refresh_overdue: int
    refresh_failing: int
    reconnect_required: int
    revocations_pending: int
    revocations_long: int
    revocations_by_hand: int
    deliveries_pending: int
    deliveries_failed: int
    endpoints_off: int
    tasks_waiting: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportQueue:
    """The imports that wait, since when the first of them does, how many run, and how many wait for long."""

    waiting: int
    since: datetime | None
    running: int
    late: int

    @property
    def stands_still(self) -> bool:
        """Whether nobody carries out imports: none runs, although one has waited for long."""
        return bool(self.late) and not self.running


def duty_states(*, now: datetime) -> list[DutyHealth]:
    """Every duty of the registry, in its order."""
    rows = {row.name: row for row in Duty.objects.all()}
    return [
        DutyHealth(duty=duty, row=rows.get(duty.name), state=_state(duty, rows.get(duty.name), now))
        for duty in duties.REGISTRY
    ]


def _state(duty: PeriodicDuty, row: Duty | None, now: datetime) -> DutyState:
    if row is not None and row.last_error:
        return DutyState.FAILING
    if row is None or (row.finished_at is None and not row.held_by):
        return DutyState.NEVER
    held = row.held_until is not None and now < row.held_until <= now + turns.HELD
    if held and row.started_at is not None and now - row.started_at < turns.LONGEST:
        return DutyState.RUNNING
    late = row.finished_at is None or now - row.finished_at > _INTERVALS * duty.interval() + _GRACE
    return DutyState.OVERDUE if late else DutyState.WELL


def process_states(*, now: datetime) -> list[ProcessHealth]:
    """Every process that showed itself lately, those that live first."""
    rows = Process.objects.exclude(kind=Kind.PASSING)
    alive = {row.pk for kind in Kind for row in processes.alive(kind, now)}
    states = [ProcessHealth(row=row, is_alive=row.pk in alive) for row in rows]
    return sorted(states, key=lambda state: (not state.is_alive, state.row.kind, state.row.pk))


def backlog(*, now: datetime) -> Backlog:
    """What waits, fails, or was given up."""
    asked = claim.refreshable()
    waiting = Q(refresh_due_at__lt=now - _WAITS) | Q(refresh_wanted_at__lt=now - _WAITS)
    pending = Revocation.objects.filter(state=RevocationState.PENDING)
    deliveries = WebhookDelivery.objects
    lately = now - 2 * _RECENTLY
    # Of imports the rows themselves tell.
    tasks = DBTaskResult.objects.ready().exclude(queue_name=queue.IMPORTS)
    return Backlog(
        renewable=asked.count(),
        refresh_overdue=asked.filter(waiting).count(),
        refresh_failing=asked.filter(refresh_failures__gte=_FAILURES).count(),
        reconnect_required=Credential.objects.filter(status=Status.RECONNECT_REQUIRED).count(),
        revocations_pending=pending.count(),
        revocations_long=pending.filter(requested_at__lt=now - _LONG_PENDING).count(),
        revocations_by_hand=receipts.left_by_hand().count(),
        deliveries_pending=deliveries.filter(state=DeliveryState.PENDING).count(),
        deliveries_failed=deliveries.filter(
            Q(created_at__gt=lately) | Q(sent_again_at__gt=lately), state=DeliveryState.FAILED
        ).count(),
        endpoints_off=WebhookEndpoint.objects.filter(is_enabled=False).exclude(disabled_reason="").count(),
        tasks_waiting=tasks.filter(enqueued_at__lt=now - _WAITS).count(),
    )


def imports(*, now: datetime) -> ImportQueue:
    """How imports go on, by their rows: whatever hands them to the workers."""
    waiting = Import.objects.filter(state=ImportState.QUEUED)
    running = Import.objects.filter(state=ImportState.RUNNING)
    facts = waiting.aggregate(count=Count("pk"), since=Min("queued_at", filter=Q(queued_at__lte=now)))
    return ImportQueue(
        waiting=facts["count"],
        since=facts["since"],
        running=running.filter(heartbeat_at__gt=now - _WAITS).count(),
        late=waiting.filter(queued_at__lt=now - _WAITS).count(),
    )


def refusing_hosts() -> list[Host]:
    """The hosts that refuse Forgekey's own OAuth client: nothing of theirs can be renewed."""
    refusing = Host.objects.filter(is_enabled=True, client_refused_since__isnull=False)
    return list(refusing.defer("client_secret_envelope"))


def failing_hosts() -> list[HostHealth]:
    """The hosts that have not been answering, and whose breaker may be open."""
    failing = HostHealth.objects.filter(failures__gte=circuit_breaker.FAILURES)
    return list(failing.select_related("host").defer("host__client_secret_envelope"))


def clock_gap() -> timedelta:
    """How far this machine's clock is ahead of the database's; half the time of asking is counted off."""
    before = timezone.now()
    theirs = database.now()
    after = timezone.now()
    return before + (after - before) / 2 - theirs


def low_disks() -> Iterator[tuple[Path, int]]:
    """The folders of this machine that are nearly full, and how many bytes are left for us."""
    folders = {conf.data_dir.resolve()}
    if connection.vendor == "sqlite":
        folders.add(Path(connection.settings_dict["NAME"]).resolve().parent)
    for folder in sorted(folders):
        try:
            free = database.free_bytes(folder)
        except OSError:
            continue  # that it is not there is said where files are examined
        if free < _LOW_BYTES:
            yield folder, free
