"""Many tokens in one call, where a host revokes them so: GitHub takes a thousand, sixty times an hour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from credentials.errors import ForgekeyError, ProviderAnswerUnexpected
from credentials.models import Revocation, RevocationState
from credentials.providers import facts, registry
from credentials.providers.tokens import Kind
from credentials.services import hosts
from credentials.services.audit import Actor
from credentials.services.revocation import asking
from credentials.services.revocation.asking import Case, Outcome


def due(rows: Sequence[Revocation]) -> Iterator[list[UUID]]:
    """The ids of ``rows``, those that one call can revoke together, in the order of their ids."""
    together: dict[tuple[UUID, int], list[UUID]] = {}
    for row in rows:
        limit = registry.get(row.host.provider).revoked_at_once.get(Kind(row.kind), 1)
        if limit == 1:
            yield [row.pk]
        else:
            together.setdefault((row.host_id, limit), []).append(row.pk)
    for (_host, limit), pks in together.items():
        for start in range(0, len(pks), limit):
            yield sorted(pks[start : start + limit])


def ask(
    rows: Sequence[Revocation], *, actor: Actor, now: Callable[[], datetime]
) -> Iterator[tuple[Revocation, Outcome]]:
    """Ask about claimed rows of one host; the events come first. Raises AuditUnavailable."""
    if not rows:
        return
    known = asking.without_asking(rows[0], now=now)
    if known is not None:  # the same for all: it concerns their host
        yield from ((row, known) for row in rows)
        return
    asking.record_asking(rows, actor=actor)
    provider = hosts.provider_of(rows[0].host, now=now)
    cases: list[Case] = []
    for row in rows:
        try:
            case = asking.opened(row, actor=actor, now=now, provider=provider)
            known = asking.in_use(case)
        except ForgekeyError as error:
            known = asking.of_error(error)
        if known is None:
            cases.append(case)
        else:
            yield row, known
    if cases:
        yield from _handed_in(cases)


def _handed_in(cases: Sequence[Case]) -> Iterator[tuple[Revocation, Outcome]]:
    """One call for all; where the host finds fault with the list, two calls for its halves."""
    try:
        asked = cases[0].provider.revoke_many([case.login.token for case in cases])
    except ForgekeyError as error:
        if len(cases) > 1 and _is_fault_of_the_list(error):
            half = len(cases) // 2
            yield from _handed_in(cases[:half])
            yield from _handed_in(cases[half:])
            return
        for case in cases:
            yield case.row, asking.of_error(error)
        return
    for case in cases:
        yield case.row, _proved(case, asked.outcome)


def _is_fault_of_the_list(error: ForgekeyError) -> bool:
    return isinstance(error, ProviderAnswerUnexpected) and error.status == HTTPStatus.UNPROCESSABLE_ENTITY


def _proved(case: Case, asked: facts.Revocation) -> Outcome:
    if asked is facts.Revocation.MANUAL:
        return asking.by_hand("the host has no call for it")
    try:
        refused = case.provider.refuses(case.login)
    except ForgekeyError as error:
        return asking.accepted_but(asking.of_error(error))
    if refused:
        return Outcome(state=RevocationState.REVOKED, evidence=asking.PROVED, accepted=True)
    return asking.pending(asking.STILL_WORKS, accepted=True)
