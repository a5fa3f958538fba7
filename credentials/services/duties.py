"""Every periodic duty, and how one is carried out. A new one is one line in REGISTRY."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from django.utils.translation import gettext_lazy as _

from credentials.conf import conf
from credentials.services import (
    calendar,
    database,
    maintenance,
    notices,
    offboarding,
    organizations,
    pending,
    processes,
    queue,
    turns,
)
from credentials.services.audit import Actor
from credentials.services.imports import recovery
from credentials.services.libraries import trees
from credentials.services.refresh import loop
from credentials.services.revocation import attempts
from credentials.services.webhooks import delivery, outbox
from credentials.verdicts import Text

Clock = Callable[[], datetime]
# A service: given ``now`` it says how much it did.
Verb = Callable[..., int]

logger = logging.getLogger(__name__)
_ACTOR = Actor.system("maintenance")


class Result(StrEnum):
    """What became of one duty in one round."""

    DONE = "done"
    NOT_DUE = "not due"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodicDuty:
    """One duty: ``carry_out`` is given the clock, and says how much there was to do.

    It must be safe to repeat, and at the same time. One that ``waits`` for other servers is carried out
    apart from the rest, so that no seal waits for a slow host. The interval is read when it is needed.
    """

    name: str
    description: Text
    interval: Callable[[], timedelta]
    carry_out: Callable[[Clock], int]
    waits: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a duty. ``error`` is the class of what ended it before its time; ``again`` says that
    whoever holds it may be gone, and that it should be tried again after turns.WATCHED seconds."""

    name: str
    result: Result
    done: int = 0
    seconds: float = 0.0
    error: str = ""
    again: bool = False


def _own(name: str, description: Text, interval: timedelta | None, verb: Verb) -> PeriodicDuty:
    """A duty inside this installation; without an interval, as often as seals are made."""
    return PeriodicDuty(
        name=name,
        description=description,
        interval=lambda: conf.seal_interval if interval is None else interval,
        carry_out=lambda clock: verb(now=clock()),
    )


def _waiting(name: str, description: Text, interval: timedelta, verb: Verb) -> PeriodicDuty:
    """A duty that waits for other servers: it may take minutes, so it reads the clock again and again."""
    return PeriodicDuty(
        name=name,
        description=description,
        interval=lambda: interval,
        carry_out=lambda clock: verb(now=clock),
        waits=True,
    )


def _ours(verb: Verb) -> Verb:
    """A verb that people use, too, done in the name of maintenance."""
    return partial(verb, actor=_ACTOR)


def _mail_notices(*, now: Clock) -> int:
    return notices.mail_due(now=now())


def _mail_administrators(*, now: Clock) -> int:
    return calendar.mail_administrators(now=now())


_SECONDS, _MINUTE, _HOUR = timedelta(seconds=5), timedelta(minutes=1), timedelta(hours=1)

REGISTRY: tuple[PeriodicDuty, ...] = (
    _own("seal-trail", _("Seal the audit trail"), None, maintenance.seal),
    _own("mark-ends", _("Mark credentials whose end has come"), _MINUTE, maintenance.mark_ends),
    _own("drop-pending", _("Drop connections that nobody confirmed"), _MINUTE, _ours(pending.drop_expired)),
    _own("drop-idempotency", _("Forget idempotency keys after a day"), _HOUR, maintenance.drop_idempotency),
    _own("drop-memories", _("Forget what nobody looked at for long"), _HOUR, maintenance.drop_memories),
    _own("drop-processes", _("Forget processes that are gone"), _HOUR, processes.forget_gone),
    _own("restart-tasks", _("Put back tasks of workers that are gone"), _MINUTE, queue.restart_abandoned),
    _own("drop-tasks", _("Forget tasks that were done long ago"), _HOUR, queue.drop_finished),
    _own("close-inactive", _("Offboard people who left"), _MINUTE, _ours(offboarding.close_inactive)),
    _own("recover-imports", _("Take up imports that were left lying"), _MINUTE, recovery.recover),
    _own("drop-imports", _("Forget old imports and uploads"), _HOUR, recovery.drop_leftovers),
    _own("drop-trees", _("Remove stored content that no snapshot needs"), _HOUR, trees.drop_unused),
    _own("warn-of-ends", _("Warn of ends that are near"), _HOUR, calendar.warn_due),
    _own("drop-webhooks", _("Forget old webhooks"), _HOUR, outbox.drop_old),
    _waiting("ask-organizations", _("Look again at organizations"), _MINUTE, _ours(organizations.check_due)),
    _waiting("mail-notices", _("Mail notices"), _MINUTE, _mail_notices),
    _waiting("mail-administrators", _("Mail administrators what ends"), _HOUR, _mail_administrators),
    _waiting("deliver-webhooks", _("Deliver webhooks"), _SECONDS, delivery.deliver_due),
    _waiting("revoke", _("Ask hosts to revoke tokens"), _SECONDS, _ours(attempts.attempt_due)),
    _waiting("refresh", _("Renew tokens where no refresher runs"), _MINUTE, loop.once),
)


def once(
    *,
    chosen: Iterable[PeriodicDuty] = REGISTRY,
    force: bool = False,
    clock: Clock = database.now,
    pause: Callable[[float], Any] = time.sleep,
) -> Iterator[Outcome]:
    """Carry out every duty that is due, or all with ``force``; one that fails keeps none of the others.

    Where a duty is held by somebody who may be gone, it waits once until that is certain.
    """
    doubtful = []
    for duty in chosen:
        outcome = carry_out(duty, force=force, clock=clock)
        if outcome.again:
            doubtful.append(duty)
        else:
            yield outcome
    if doubtful:
        pause(turns.WATCHED)
    for duty in doubtful:
        yield carry_out(duty, force=force, clock=clock)


def carry_out(duty: PeriodicDuty, *, force: bool = False, clock: Clock = database.now) -> Outcome:
    """Carry out one duty, if it is due and nobody else does; no error of its own or the database's leaves."""
    started = time.monotonic()
    try:
        turn = turns.take(duty.name, interval=duty.interval(), clock=clock, force=force)
        if not isinstance(turn, turns.Turn):
            return _refused(duty, turn)
        done = _in_turn(duty, turn, clock=clock)
    except Exception as error:
        seconds = time.monotonic() - started
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        # Neither its words nor a traceback: both may repeat what was stored.
        logger.error("the duty %s failed: %s at %s:%s", duty.name, kind, place.filename, place.lineno)
        return Outcome(name=duty.name, result=Result.FAILED, error=kind, seconds=seconds)
    return Outcome(name=duty.name, result=Result.DONE, done=done, seconds=time.monotonic() - started)


def _refused(duty: PeriodicDuty, why: turns.Refused) -> Outcome:
    result = Result.NOT_DUE if why is turns.Refused.NOT_DUE else Result.ELSEWHERE
    return Outcome(name=duty.name, result=result, again=why is turns.Refused.WATCHED)


def _in_turn(duty: PeriodicDuty, turn: turns.Turn, *, clock: Clock) -> int:
    try:
        with turns.Keeper(turn, clock=clock):
            done = duty.carry_out(clock)
    except BaseException as error:
        turns.fail(turn, error)
        raise
    turns.finish(turn, done=done, clock=clock)
    return done
