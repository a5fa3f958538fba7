"""Takes a person out of service: nothing is lent from the first commit on, then each credential is handed
over or revoked, and there is a receipt for each.

Killed at any point, the rest is carried on by a duty (:func:`close_inactive`) or by the same call again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.errors import ForgekeyError, InputInvalid
from credentials.models import (
    AuditEvent,
    Credential,
    Organization,
    PendingConnection,
    Revocation,
    RevocationReason,
    RevocationState,
    Status,
)
from credentials.services import departures, dependents, disconnect, handing_over
from credentials.services.audit import Actor
from credentials.services.dependents import Dependent
from credentials.services.imports import canceling
from credentials.services.revocation import attempts, receipts

# Tokens whose hosts are asked while somebody waits; the worker asks about the rest.
ASKED_AT_ONCE = 20
# People that one round of the duty takes.
PEOPLE_AT_ONCE = 100


class Outcome(StrEnum):
    """What became of one credential of somebody who left."""

    REVOKED = RevocationState.REVOKED.value
    ALREADY_INVALID = RevocationState.ALREADY_INVALID.value
    MANUAL = RevocationState.MANUAL.value
    PENDING = RevocationState.PENDING.value
    HANDED_OVER = "handed_over"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of one credential; at ``manual_url`` a person ends the token by hand."""

    id: UUID
    host: str
    account: str
    outcome: Outcome
    manual_url: str = ""
    to: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dark:
    """An organization that nobody active opens any more."""

    host: str
    key: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Offboarding:
    """How things stand with somebody who left."""

    user: str
    is_active: bool
    credentials: tuple[Receipt, ...]
    depends_on: tuple[Dependent, ...]
    organizations: tuple[Dark, ...]


def offboard(
    *,
    actor: Actor,
    user: Any,
    hand_over: Mapping[UUID, Any],
    revoke: bool = True,
    reason: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> Offboarding:
    """Offboard a person: inactive, signed out, every credential quarantined, in one transaction; then each is
    handed over to its new owner in ``hand_over``, or disconnected and revoked at its host.

    Without ``revoke`` those that are not handed over stay quarantined until somebody decides. A second call
    does what is left to do and tells how things stand. Raises InputInvalid for a hand-over that cannot be, and
    Conflict for one that cannot be yet, before anything is changed. What goes wrong with one credential does
    not hold up the others: it stays quarantined, or is tried again.
    """
    moment = now()
    chosen = _checked(user, hand_over, now=moment)
    kept = tuple(chosen) if revoke else None
    departures.stop(actor=actor, user=user, now=moment, kept=kept, reason=reason)
    for credential in _live(user):
        to = chosen.get(credential.pk)
        if to is not None:
            _hand_over(credential, to, actor=actor, now=moment)
        elif revoke:
            disconnect.close(
                actor=actor, credential=credential, reason=RevocationReason.OFFBOARDED, now=moment
            )
    if revoke:
        _ask_hosts(user, actor=actor, now=now)
    return standing(user=user, now=now)


def new_owner(username: str) -> Any:
    """Who is to get a credential; raises InputInvalid where nobody active has this name."""
    people = get_user_model()
    found = people._default_manager.filter(**{people.USERNAME_FIELD: username, "is_active": True}).first()
    if found is None:
        raise InputInvalid(_("Hand it over to another person who is active here."), field="hand_over")
    return found


def _live(user: Any) -> list[Credential]:
    rows = Credential.objects.select_related("host", "owner").filter(owner=user)
    return list(rows.exclude(status=Status.DISCONNECTED).order_by("created_at"))


def _checked(user: Any, hand_over: Mapping[UUID, Any], *, now: datetime) -> dict[UUID, Any]:
    """What is to be handed over to whom; what was, by an earlier call, is left out."""
    mine = {credential.pk: credential for credential in _live(user)}
    chosen: dict[UUID, Any] = {}
    for key, to in hand_over.items():
        if key in mine:
            handing_over.refuse(mine[key], to=to, now=now)
            chosen[key] = to
        elif not Credential.objects.filter(pk=key, owner=to).exists():
            raise InputInvalid(_("A credential of this list is not this person's."), field="hand_over")
    return chosen


def _hand_over(credential: Credential, to: Any, *, actor: Actor, now: datetime) -> None:
    try:
        handing_over.hand_over(actor=actor, credential=credential, to=to, now=now)
    except ForgekeyError:
        return  # it stays in quarantine, and the receipt says so


def _ask_hosts(user: Any, *, actor: Actor, now: Callable[[], datetime]) -> None:
    waiting = _revocations(user).filter(state=RevocationState.PENDING).order_by("attempts", "requested_at")
    for revocation in list(waiting.select_related("host")[:ASKED_AT_ONCE]):
        try:
            attempts.attempt(revocation, actor=actor, now=now)
        except ForgekeyError:
            continue  # the worker tries again


def _revocations(user: Any) -> Any:
    return Revocation.objects.filter(owner_id=str(user.pk), reason=RevocationReason.OFFBOARDED)


def standing(*, user: Any, now: Callable[[], datetime] = timezone.now) -> Offboarding:
    """How things stand with a person: what became of each credential since they were offboarded, and who
    depends on it."""
    began = _events(user).filter(action="user.offboarded").order_by("-seq").first()
    told = [*_left(user), *_given(user), *_revoked(user)]
    return Offboarding(
        user=user.get_username(),
        is_active=user.is_active,
        credentials=tuple(told),
        depends_on=tuple(dependents.borrowers([one.id for one in told], now=now())),
        organizations=_dark(began.data.get("organizations", ()) if began else ()),
    )


def _events(user: Any) -> Any:
    return AuditEvent.objects.filter(owner_id=str(user.pk))


def _left(user: Any) -> Iterable[Receipt]:
    for one in _live(user):
        yield Receipt(id=one.pk, host=one.host.slug, account=one.account_name, outcome=Outcome.QUARANTINED)


def _given(user: Any) -> Iterable[Receipt]:
    for event in _events(user).filter(action="credential.handed_over").order_by("seq"):
        yield Receipt(
            id=UUID(event.subject_id),
            host=event.host,
            account=event.data.get("account", ""),
            outcome=Outcome.HANDED_OVER,
            to=event.data.get("to", ""),
        )


def _revoked(user: Any) -> Iterable[Receipt]:
    rows = _revocations(user).select_related("host").defer("access_envelope", "refresh_envelope")
    found = list(rows.order_by("requested_at"))
    for one, told in zip(found, receipts.results_of(found), strict=True):
        yield Receipt(
            id=one.row,
            host=one.host.slug,
            account=one.account_name,
            outcome=Outcome(told.outcome.value),
            manual_url=told.manual_url,
        )


def _dark(named: Iterable[str]) -> tuple[Dark, ...]:
    """The organizations of an event, with the names they have."""
    places = [(slug, key) for slug, _slash, key in (text.partition("/") for text in named)]
    known = Organization.objects.filter(
        host__slug__in={slug for slug, _key in places}, key__in={key for _slug, key in places}
    )
    names = {(slug, key): name for slug, key, name in known.values_list("host__slug", "key", "name")}
    return tuple(Dark(host=slug, key=key, name=names.get((slug, key)) or key) for slug, key in places)


def close_inactive(*, actor: Actor, now: datetime) -> int:
    """Offboard everybody who is not active and still holds something that lives; how many credentials were
    closed. Their hosts are asked by the duty that asks for every revocation.

    What somebody has decided to keep stays in quarantine.
    """
    live = Credential.objects.exclude(status=Status.DISCONNECTED).exclude(is_kept=True)
    gone = get_user_model()._default_manager.filter(is_active=False)
    holding = (
        Q(pk__in=live.values("owner"))
        | Q(pk__in=PendingConnection.objects.values("user"))
        | Q(pk__in=canceling.owners_of_open())
    )
    closed = 0
    for user in gone.filter(holding).order_by("pk")[:PEOPLE_AT_ONCE]:
        kept = Credential.objects.filter(owner=user, is_kept=True)
        departures.stop(actor=actor, user=user, now=now, kept=list(kept.values_list("pk", flat=True)))
        for credential in live.filter(owner=user).select_related("host", "owner"):
            taken = disconnect.close(
                actor=actor, credential=credential, reason=RevocationReason.OFFBOARDED, now=now
            )
            closed += taken is not None
    return closed
