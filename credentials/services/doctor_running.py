"""What the doctor sees of what runs: duties, refresher, queues, and the clocks and disks they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from credentials.services import database, health, processes, queue
from credentials.services.database import Trouble
from credentials.services.health import Backlog, DutyState
from credentials.services.processes import Kind
from credentials.services.refresh import journal
from credentials.services.remarks import Remark, ok, problem, warning

_MEGABYTE = 1024 * 1024
_START_WORKER = "Start it: python manage.py worker (or run maintain every minute)."
_WRITES = {
    Trouble.UNAVAILABLE: ("It does not answer any more.", "Start it."),
    Trouble.READ_ONLY: (
        "It takes no writes: nothing can be lent, because no event can be recorded.",
        "Look for default_transaction_read_only or a standby server (PostgreSQL), or for a disk that was "
        "mounted read-only.",
    ),
    Trouble.DISK_FULL: (
        "Its disk is full: nothing can be lent, because no event can be recorded.",
        "Make room on the database's disk. Forgekey goes on by itself; a PostgreSQL that gave up must be "
        "started.",
    ),
}


def writes() -> Iterator[Remark]:
    """Whether the database takes writes; nothing is said where it does."""
    found = database.trouble()
    if found is not None:
        text, remedy = _WRITES[found]
        yield problem("database", text, remedy)


def duties(now: datetime) -> Iterator[Remark]:
    """Whether every duty is carried out."""
    states = health.duty_states(now=now)
    if all(state.row is None for state in states):
        yield ok("duties", "No worker has been here yet.")
        return
    bad = [state for state in states if state.state in {DutyState.FAILING, DutyState.OVERDUE}]
    for state in bad:
        assert state.row is not None  # otherwise it is neither
        last = f"it last finished at {_when(state.row.finished_at)}"
        if state.state is DutyState.FAILING:
            text = f"{state.duty.name} failed ({state.row.last_error}); {last}."
            yield problem("duties", text, "The worker's log says where. It is tried again by itself.")
        else:
            yield problem("duties", f"{state.duty.name} is overdue; {last}.", _START_WORKER)
    if not bad:
        yield ok("duties", "Every duty is carried out in time.")


def refresher(now: datetime) -> Iterator[Remark]:
    """Whether tokens that can be renewed are."""
    counts = health.backlog(now=now)
    alive = processes.alive(Kind.REFRESHER, now)
    if counts.renewable and not alive:
        yield problem(
            "refresher",
            f"No refresher runs, and {counts.renewable} credentials need one.",
            "The worker starts one by itself: python manage.py worker. With --no-refresher, start it as a "
            "service of its own: python manage.py refresher.",
        )
    elif counts.refresh_overdue:
        yield problem(
            "refresher",
            f"{counts.refresh_overdue} credentials wait to be renewed for longer than they should.",
            "See the refresher's log, and whether their hosts answer.",
        )
    elif counts.refresh_failing:
        yield warning(
            "refresher",
            f"{counts.refresh_failing} credentials could not be renewed several times in a row.",
            "See the hosts' health in the admin; nothing is lost while the host is out.",
        )
    else:
        yield ok("refresher", f"{len(alive)} running; {counts.renewable} credentials are renewed by it.")


def queues(now: datetime) -> Iterator[Remark]:
    """What waits for long, or was given up."""
    counts = health.backlog(now=now)
    found = [
        warning(check, text.format(count), remedy) for check, count, text, remedy in _waiting(counts) if count
    ]
    found += [*_imports(now), *_broker()]
    yield from found
    if not found:
        yield ok("queues", "Nothing waits longer than it should.")


def _waiting(counts: Backlog) -> Iterator[tuple[str, int, str, str]]:
    yield (
        "revocations",
        counts.revocations_long,
        "{} tokens have waited for more than a day to be revoked.",
        "The admin lists them with what their hosts say; those of a host that is gone are revoked by hand.",
    )
    yield (
        "revocations",
        counts.revocations_by_hand,
        "{} tokens are to be revoked by hand, which is not yet done.",
        "The admin's revocations with this state say where; mark each there when it is done.",
    )
    yield (
        "webhooks",
        counts.deliveries_failed,
        "{} webhooks were given up lately.",
        "The delivery log in the admin says what the receiver answered, and sends them again.",
    )
    yield (
        "webhooks",
        counts.endpoints_off,
        "{} webhook endpoints are switched off because of what they answered.",
        "Correct the receiver, then switch the endpoint on again in the admin.",
    )
    yield ("tasks", counts.tasks_waiting, "{} tasks have waited for more than five minutes.", _START_WORKER)


def _imports(now: datetime) -> Iterator[Remark]:
    state = health.imports(now=now)
    if state.stands_still:
        yield problem(
            "imports",
            f"{state.waiting} imports wait, the first since {_when(state.since)}, and none runs.",
            "Start a worker without --no-imports: python manage.py worker. With Celery, a worker that takes the "
            "queue imports.",
        )
    elif state.late:
        yield warning(
            "imports",
            f"{state.late} imports have waited for more than five minutes while {state.running} run.",
            "If it stays so, let more run at the same time: worker --imports 2, or workers on more machines.",
        )


def _broker() -> Iterator[Remark]:
    broker = queue.broker()
    if broker is not None and broker.waiting(queue.IMPORTS) is None:
        yield problem(
            "tasks",
            "The broker of the task queue does not answer.",
            "Start it, or correct TASK_QUEUE_URL. Until then python manage.py worker carries out what it would "
            "have taken.",
        )


def clients() -> Iterator[Remark]:
    """Whether every host accepts our own OAuth client."""
    for host in health.refusing_hosts():
        yield problem(
            f"host {host.slug}",
            f"It has refused Forgekey's OAuth client since {_when(host.client_refused_since)}: nobody can "
            "connect there, and no token is renewed.",
            "Set the client id and secret of the app at the host again: add_host, or the admin.",
        )


def clocks() -> Iterator[Remark]:
    """Whether this machine and the database agree on the time."""
    gap = health.clock_gap()
    if abs(gap) > health.CLOCKS_APART:
        ahead = "ahead of" if gap > timedelta(0) else "behind"
        yield problem(
            "clocks",
            f"This machine's clock is {abs(round(gap.total_seconds()))} seconds {ahead} the database's.",
            "Have both set by NTP (timedatectl set-ntp true). Ends of leases and tokens are judged by them.",
        )
    else:
        yield ok("clocks", "This machine and the database agree on the time.")


def disks() -> Iterator[Remark]:
    """Whether there is room where this machine writes: a SQLite database, the audit anchor, journals."""
    low = list(health.low_disks())
    for folder, free in low:
        name = problem if free < database.LEAST_FREE else warning
        yield name(
            "disk",
            f"{folder} has {free // _MEGABYTE} MB left.",
            "Make room. With a full disk nothing is lent and no token is renewed.",
        )
    if not low:
        yield ok("disk", "There is room where this machine writes.")


def refresh_journal() -> Iterator[Remark]:
    """Whether an answer of a host lies here that can reach no row; nothing is said where none does."""
    for name in journal.unreadable():
        yield problem(
            "refresher",
            f"{name} in {journal.folder()} cannot be read. What a host answered to a refresh may lie in it.",
            "Keep it. Its credential asks its host again; if that is refused, its owner connects again.",
        )


def _when(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}" if moment else "no time that is known"
