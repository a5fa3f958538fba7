"""What people are shown of tokens that are to die, and the one thing they can say about it: done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from credentials.models import Credential, Revocation, RevocationReason, RevocationState, Status
from credentials.providers import facts
from credentials.providers.facts import RevocationResult
from credentials.providers.tokens import Kind
from credentials.services import audit, hosts
from credentials.services.audit import Actor
from credentials.services.revocation.attempts import GIVES_UP
from credentials.services.revocation.requests import subject_of

# What ends a credential as a whole; its replaced and late tokens have receipts of their own.
_ENDINGS = (RevocationReason.DISCONNECTED, RevocationReason.OFFBOARDED, RevocationReason.PANIC)
_OF_APPS = (Kind.OAUTH.value, Kind.APP_TOKEN.value)


class ByHand(StrEnum):
    """Why a token is left to a person."""

    NOT_OFFERED = "not offered"
    NOT_ASKED = "not asked"
    NOT_CONFIRMED = "not confirmed"
    NEWER_PAIR = "newer pair"


def by_hand(revocation: Revocation) -> ByHand | None:
    """Why a person has to end the token; None where the host does, or did."""
    if revocation.state != RevocationState.MANUAL:
        return None
    if not hosts.provider_of(revocation.host).revokes(Kind(revocation.kind)):
        return ByHand.NOT_OFFERED
    if revocation.in_doubt:
        return ByHand.NEWER_PAIR
    ended = revocation.finished_at
    # Whatever the last attempt said, for a week no answer settled it (services/revocation/attempts.py).
    if ended is not None and ended - revocation.requested_at >= GIVES_UP:
        return ByHand.NOT_CONFIRMED
    return ByHand.NOT_ASKED


def of(credential: Credential) -> Revocation | None:
    """The receipt of the disconnection of a credential; None where it held no secret."""
    return (
        Revocation.objects.select_related("host")
        .filter(row=credential.pk, reason__in=_ENDINGS)
        .order_by("-requested_at")
        .first()
    )


def result_of(revocation: Revocation | None) -> RevocationResult:
    """A receipt in the contract's words, with the page where a person can do it as long as one may have to."""
    if revocation is None:
        return RevocationResult(outcome=facts.Revocation.ALREADY_INVALID)
    (result,) = results_of([revocation])
    return result


def results_of(revocations: Sequence[Revocation]) -> list[RevocationResult]:
    """Many receipts in the same order, with one question to the database."""
    results = []
    for revocation, page in zip(revocations, pages_of(revocations), strict=True):
        outcome = facts.Revocation(revocation.state)
        is_open = outcome in {facts.Revocation.MANUAL, facts.Revocation.PENDING}
        results.append(RevocationResult(outcome=outcome, manual_url=page if is_open else ""))
    return results


def pages_of(revocations: Sequence[Revocation]) -> list[str]:
    """Where a person ends each token; empty where that page would end a newer connection along with it."""
    harmful = _would_harm(revocations)
    return ["" if one in harmful else one.manual_url for one in revocations]


def _would_harm(revocations: Iterable[Revocation]) -> set[Revocation]:
    """Those whose page ends the app's whole authorization, of which a live connection is a part.

    Hosts let a person revoke an app, not one of its tokens.
    """
    of_apps = [one for one in revocations if one.kind in _OF_APPS]
    if not of_apps:
        return set()
    live = Credential.objects.filter(
        owner_id__in={int(one.owner_id) for one in of_apps},
        host_id__in={one.host_id for one in of_apps},
        kind__in=_OF_APPS,
    ).exclude(status=Status.DISCONNECTED)
    known = set(live.values_list("owner_id", "host_id", "account_name"))
    return {one for one in of_apps if _is_account_of(one, known)}


def _is_account_of(one: Revocation, known: set[tuple[int, Any, str]]) -> bool:
    return any(
        (owner, host) == (int(one.owner_id), one.host_id)
        and (not account or not one.account_name or account == one.account_name)
        for owner, host, account in known
    )


def reminders(user: Any, *, limit: int = 20) -> list[Revocation]:
    """What a person still has to end by hand, or may end sooner than the host does; newest first."""
    waiting = Q(state=RevocationState.PENDING, attempts__gte=1)
    by_hand = Q(state=RevocationState.MANUAL, acknowledged_at=None)
    found = list(
        Revocation.objects.select_related("host")
        .defer("access_envelope", "refresh_envelope")
        .filter(waiting | by_hand, owner_id=str(user.pk))
        .exclude(manual_url="")[:limit]
    )
    harmful = _would_harm(found)
    return [one for one in found if one not in harmful]


def left_by_hand() -> QuerySet[Revocation]:
    """Everybody's tokens that a person has to end, where nobody has said yet that it is done."""
    return Revocation.objects.filter(state=RevocationState.MANUAL, acknowledged_at=None)


def is_open(revocation: Revocation) -> bool:
    """Whether a person has yet to say that it is done by hand."""
    return revocation.state == RevocationState.MANUAL and revocation.acknowledged_at is None


@transaction.atomic
def acknowledge(*, actor: Actor, revocation: Revocation, now: datetime) -> bool:
    """Its owner, or an administrator in the owner's place, says that it is done; False where nothing was open.

    The receipt stays ``manual``, for nobody has proved it.
    """
    if not left_by_hand().filter(pk=revocation.pk).update(acknowledged_at=now):
        return False
    audit.record(
        "credential.revocation",
        actor=actor,
        subject=subject_of(revocation),
        data={"revocation": revocation.state, "outcome": "done by hand"},
    )
    return True
