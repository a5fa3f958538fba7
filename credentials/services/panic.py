"""The emergency stop of whole hosts: everything there is quarantined at once, then revoked token by token.

May be ended at any point and started again, also twice at the same time: what is left to do is read from the
rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from credentials.models import (
    Credential,
    Host,
    Notice,
    PendingConnection,
    QuarantineReason,
    Revocation,
    RevocationReason,
    RevocationState,
    Status,
)
from credentials.providers import registry
from credentials.providers.tokens import Kind
from credentials.services import audit, disconnect, hosts, notices, pending, quarantine
from credentials.services.audit import Actor
from credentials.services.revocation import attempts, receipts

# Hosts are asked by so many threads: each waits for answers most of the time.
WORKERS = 8
# Credentials that are closed before those are asked about whose host takes many in one call.
TOGETHER = 1000

Progress = Callable[[int], None]


def _nothing(_done: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class ByHand:
    """One token that a person has to end."""

    user: str
    host: str
    account: str
    kind: str
    label: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """How things stand at the hosts. ``counts`` are by host and outcome; ``quarantined`` are those that still
    hold their secret."""

    counts: dict[str, dict[str, int]]
    by_hand: tuple[ByHand, ...]

    def total(self, outcome: str) -> int:
        return sum(of_host.get(outcome, 0) for of_host in self.counts.values())


def live(chosen: Sequence[Host]) -> QuerySet[Credential]:
    """What still holds a secret at these hosts."""
    return Credential.objects.filter(host__in=chosen).exclude(status=Status.DISCONNECTED)


def stop(
    *,
    actor: Actor,
    chosen: Sequence[Host],
    now: datetime,
    revoking: bool = True,
    progress: Progress = _nothing,
) -> int:
    """Quarantine everything at these hosts, in bulk; how many were taken out of use. What waits there for a
    confirmation is thrown away and revoked.

    Owners are told to connect again where :func:`revoke` follows, else that a release is possible.

    However many there are, nothing is lent from the first moment: a host is switched off as long as it takes.
    One that a killed run left switched off stays so, until somebody switches it on.
    """
    switched_off = [host for host in chosen if host.is_enabled]
    for host in chosen:
        with transaction.atomic():
            waiting = PendingConnection.objects.filter(host=host)
            # Rows before the trail, as everybody does who changes one.
            list(waiting.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
            if host in switched_off:
                hosts.set_enabled(actor=actor, host=host, enabled=False)
            data = {"credentials": live([host]).exclude(status=Status.QUARANTINED).count()}
            audit.record("host.panic", actor=actor, subject=hosts.subject_of(host), data=data)
            pending.decline_all(actor=actor, waiting=waiting, now=now)
    if revoking:
        _tell_those_quarantined_before(chosen, now=now)
    done = quarantine.quarantine_all(
        actor=actor,
        credentials=live(chosen),
        reason=QuarantineReason.PANIC,
        news=notices.Code.CREDENTIAL_STOPPED if revoking else None,
        now=now,
        progress=progress,
    )
    for host in switched_off:
        hosts.set_enabled(actor=actor, host=host, enabled=True)
    return done


@transaction.atomic
def _tell_those_quarantined_before(chosen: Sequence[Host], *, now: datetime) -> None:
    """They were told that an administrator can release them, which is over now."""
    told = Notice.objects.filter(credential=OuterRef("pk"), code=notices.Code.CREDENTIAL_STOPPED)
    rows = _quarantined(chosen).filter(~Exists(told), owner__is_active=True).select_related("host")
    held = list(
        rows.defer("access_envelope", "refresh_envelope", "fingerprint", "host__client_secret_envelope")
    )
    possible = Notice.objects.filter(code=notices.Code.CREDENTIAL_QUARANTINED, read_at=None)
    possible.filter(credential__in=_quarantined(chosen)).update(read_at=now)
    notices.about_credentials(held, notices.Code.CREDENTIAL_STOPPED, now=now)


def revoke(
    *,
    actor: Actor,
    chosen: Sequence[Host],
    progress: Progress = _nothing,
    now: Callable[[], datetime] = timezone.now,
) -> int:
    """Disconnect everything that is quarantined at these hosts, and ask each host to revoke its token; how
    many were disconnected.

    What a host does not answer is asked again by the worker, or by this once more. Raises AuditUnavailable.
    """
    done = 0
    while keys := list(_quarantined(chosen).values_list("pk", flat=True)[:TOGETHER]):
        for _one in _by_many(keys, lambda pk: _revoke_one(pk, actor=actor, now=now)):
            done += 1
            progress(done)
        attempts.attempt_due(actor=actor, now=now)
    attempts.attempt_due(actor=actor, now=now)
    return done


def _quarantined(chosen: Sequence[Host]) -> QuerySet[Credential]:
    return live(chosen).filter(status=Status.QUARANTINED).order_by("pk")


def _revoke_one(pk: UUID, *, actor: Actor, now: Callable[[], datetime]) -> None:
    credential = Credential.objects.select_related("host").get(pk=pk)
    made = disconnect.close(actor=actor, credential=credential, reason=RevocationReason.PANIC, now=now())
    together = registry.get(credential.host.provider).revoked_at_once
    if made is not None and together.get(Kind(credential.kind), 1) == 1:
        attempts.attempt(made, actor=actor, now=now)


def _by_many(keys: Sequence[UUID], work: Callable[[UUID], None]) -> Iterator[UUID]:
    """Do ``work`` for every key by several threads, each with a connection of its own; keys as they are done.

    After an error the others end what they are at and begin nothing more; the error is raised.
    """
    waiting = list(reversed(keys))
    news: SimpleQueue[UUID | BaseException | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(waiting, work, news), daemon=True)
        for _number in range(min(WORKERS, len(keys)))
    ]
    for thread in threads:
        thread.start()
    error: BaseException | None = None
    running = len(threads)
    try:
        while running:
            told = news.get()
            if told is None:
                running -= 1
            elif isinstance(told, BaseException):
                error = error or told
                waiting.clear()
            else:
                yield told
    finally:
        waiting.clear()
        for thread in threads:
            thread.join()
    if error is not None:
        raise error


def _work(
    waiting: list[UUID],
    work: Callable[[UUID], None],
    news: SimpleQueue[UUID | BaseException | None],
) -> None:
    try:
        while True:
            try:
                key = waiting.pop()
            except IndexError:
                return
            work(key)
            news.put(key)
    except BaseException as error:
        news.put(error)
    finally:
        connection.close()
        news.put(None)


def report(chosen: Sequence[Host]) -> Report:
    """How things stand at these hosts, with every emergency stop there ever was."""
    asked = Revocation.objects.filter(host__in=chosen, reason=RevocationReason.PANIC)
    counts: dict[str, dict[str, int]] = {host.slug: {} for host in chosen}
    for slug, state, rows in asked.order_by().values_list("host__slug", "state").annotate(rows=Count("pk")):
        counts[slug][state] = rows
    for slug, rows in live(chosen).order_by().values_list("host__slug").annotate(rows=Count("pk")):
        counts[slug]["quarantined"] = rows
    left = list(
        asked.filter(state=RevocationState.MANUAL, acknowledged_at=None)
        .select_related("host")
        .defer("access_envelope", "refresh_envelope")
        .order_by("host", "owner_name")
    )
    pages = zip(left, receipts.pages_of(left), strict=True)
    return Report(counts=counts, by_hand=tuple(_by_hand(one, page) for one, page in pages))


def _by_hand(one: Revocation, page: str) -> ByHand:
    return ByHand(
        user=one.owner_name,
        host=one.host.slug,
        account=one.account_name,
        kind=one.kind,
        label=one.label,
        url=page,
    )
