"""The organization board: what every organization answers through a credential, and how that changes.

A state changes only on an answer. What could not be found out leaves what was known, and every change is
an event of the audit trail, which is therefore the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Min
from django.utils import timezone

from credentials.errors import (
    AddressForbidden,
    CryptoError,
    ProviderError,
    ProviderRateLimited,
    RefreshUnavailable,
    TokenRejected,
)
from credentials.models import AccessState, Credential, Host, Organization, OrganizationAccess
from credentials.models.credential import LENDABLE
from credentials.providers.base import Provider
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.services import audit, changes, circuit_breaker, holds, hosts, notices, rejection
from credentials.services.audit import Actor
from credentials.services.logins import lock_unchanged, subject_of
from credentials.services.opening import open_login
from credentials.verdicts import VerdictCode

# An answer that somebody is waiting to see change, and one that only time or a person changes.
WAITING = (AccessState.REQUESTED, AccessState.TOKEN_PENDING)
BLOCKED = (
    AccessState.NOT_APPROVED,
    AccessState.DENIED,
    AccessState.SSO_REQUIRED,
    AccessState.POLICY_BLOCKED,
    AccessState.IP_BLOCKED,
    *WAITING,
)
_LONGEST = timedelta(days=1)
_LONGEST_WAITING = timedelta(hours=6)
# Owners out of addresses that one refresh asks about, beside what the host lists.
MOST_ASKED = 30


def named(host: Host, keys: Iterable[str], *, now: datetime) -> None:
    """Remember organizations that an address named and that its host was found to know.

    Whoever has an account there may be concerned by them; what a host has not confirmed is only a word
    that somebody typed.
    """
    for key in keys:
        organization = _organization(host, key, name=key, now=now)
        Organization.objects.filter(pk=organization.pk).update(last_named_at=now)


def _organization(host: Host, key: str, *, name: str, now: datetime) -> Organization:
    found, created = Organization.objects.get_or_create(
        host=host, key=key.lower()[:200], defaults={"name": (name or key)[:200], "first_seen_at": now}
    )
    if not created and name and name not in {found.name, key}:
        found.name = name[:200]
        found.save(update_fields=["name"])
    return found


def observe(
    credential: Credential, facts: Iterable[OrganizationFact], *, actor: Actor, now: datetime
) -> None:
    """Bring the board up to date with what was answered, inside the caller's transaction.

    An organization that is not among ``facts`` is kept as it is: half a list is not a list.
    """
    for fact in facts:
        organization = _organization(credential.host, fact.key, name=fact.name, now=now)
        _observe_one(credential, organization, fact, actor=actor, now=now)


def _observe_one(
    credential: Credential, organization: Organization, fact: OrganizationFact, *, actor: Actor, now: datetime
) -> None:
    access, created = OrganizationAccess.objects.select_for_update().get_or_create(
        credential=credential,
        organization=organization,
        defaults={"state": AccessState.UNKNOWN, "checked_at": now, "since": now},
    )
    before = "" if created else access.state
    is_known = fact.state is not OrganizationState.UNKNOWN
    if is_known or created:
        state = _next_state(access, fact)
        access.checks = 0 if state != before else access.checks + 1
        if state != before:
            access.since = now
        access.state, access.evidence = state, fact.evidence[:300]
        access.mend_url = fact.url[:500]
        access.checked_at = now
    else:
        access.checks += 1
    access.next_check_at = now + _pause(access)
    access.save()
    if access.state != before:
        _tell(access, before, actor=actor, now=now)


def _next_state(access: OrganizationAccess, fact: OrganizationFact) -> AccessState:
    """The host says "not approved" until an owner approves; that it was asked for, only we know."""
    said = AccessState(fact.state.value)
    if said == AccessState.NOT_APPROVED and access.state in {AccessState.REQUESTED, AccessState.DENIED}:
        return AccessState(access.state)
    return said


def _pause(access: OrganizationAccess) -> timedelta:
    """Until the next look: it doubles as long as nothing changes."""
    doubled = 1 << min(access.checks, 10)
    if access.state in WAITING:
        return min(timedelta(minutes=5) * doubled, _LONGEST_WAITING)
    if access.state in BLOCKED or access.state == AccessState.UNKNOWN:
        return min(timedelta(hours=1) * doubled, _LONGEST)
    return _LONGEST


def _tell(access: OrganizationAccess, before: str, *, actor: Actor, now: datetime) -> None:
    audit.record(
        "organization.access_changed",
        actor=actor,
        subject=subject_of(access.credential),
        organization=access.organization.key,
        data={"status_before": before, "status": access.state, "reason": access.evidence},
    )
    changes.access_changed(access, before=before, now=now)
    if before in BLOCKED and access.state == AccessState.ACCESSIBLE:
        notices.about_organization(access, notices.Code.ORGANIZATION_OPENED, now=now)
    elif before == AccessState.ACCESSIBLE and access.state in BLOCKED:
        notices.about_organization(access, notices.Code.ORGANIZATION_CLOSED, now=now)


@transaction.atomic
def mark(
    access: OrganizationAccess, state: AccessState, *, actor: Actor, now: datetime
) -> OrganizationAccess:
    """Keep what only the person knows: approval was ``REQUESTED``, or the request was ``DENIED``.

    Changes nothing where the organization lets the credential in meanwhile.
    """
    current = (
        OrganizationAccess.objects.select_for_update(of=("self",))
        .select_related("organization", "credential__host", "credential__owner")
        .get(pk=access.pk)
    )
    if current.state not in {AccessState.NOT_APPROVED, AccessState.REQUESTED, AccessState.DENIED}:
        return current
    before = current.state
    current.state, current.since, current.checks = state, now, 0
    current.requested_at = now if state == AccessState.REQUESTED else current.requested_at
    current.next_check_at = now + _pause(current)
    current.save()
    if before != state:
        _tell(current, before, actor=actor, now=now)
    return current


def refresh(
    *,
    actor: Actor,
    credential: Credential,
    purpose: str = "organization check",
    by_hand: bool = False,
    now: Callable[[], datetime] = timezone.now,
) -> bool:
    """Ask about every organization this credential could concern; False where nothing can be found out now.

    Then it must be left alone, or its host would not answer; what was known stands. Sources: what the
    host lists, what is on the board already, and the owners named by addresses that anybody asked about at
    this host. Raises AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    if not credential.is_lendable or holds.is_held(credential, now=now(), by_hand=by_hand):
        return False
    if circuit_breaker.is_blocked(credential.host, now=now()):
        return False
    try:
        login = open_login(credential, actor=actor, purpose=purpose, now=now)
    except RefreshUnavailable:
        return False
    provider = hosts.provider_of(credential.host, now=now)
    asked = _ask(provider, login, also=interest_of(credential))
    _keep(credential, asked, actor=actor, now=now())
    credential.refresh_from_db()
    return asked.problem is None or any(fact.state is not OrganizationState.UNKNOWN for fact in asked.facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interest:
    """Whom to ask about beside what the host lists: what is on the board, then what others named lately.

    Of the latter, an answer that concerns only those others is dropped: it would tell this person what
    somebody else asked about.
    """

    board: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


NOBODY = Interest()


def interest_of(credential: Credential) -> Interest:
    """What is on the board, those due first, and the organizations that addresses named lately."""
    on_board = credential.organizations.order_by("next_check_at").values_list("organization__key", flat=True)
    lately = Organization.objects.filter(host=credential.host, last_named_at__isnull=False)
    newest = lately.order_by(F("last_named_at").desc()).values_list("key", flat=True)[:MOST_ASKED]
    board = tuple(on_board)
    return Interest(board=board, others=tuple(key for key in newest if key not in set(board)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """The answers, and the last problem where the host would not go on answering.

    ``nowhere`` are the keys of which the host says that there is no such organization, ``dead`` the refusal
    of the token where the host has confirmed it.
    """

    facts: tuple[OrganizationFact, ...]
    nowhere: tuple[str, ...] = ()
    problem: ProviderError | AddressForbidden | None = None
    dead: TokenRejected | None = None


def look(provider: Provider, login: Login, *, also: Interest) -> tuple[OrganizationFact, ...]:
    """What the host lists, and the answers of those it does not list. The list is comfort: where it cannot
    be had, each is asked for by itself."""
    return _ask(provider, login, also=also).facts


def _ask(provider: Provider, login: Login, *, also: Interest) -> _Asked:
    keys = [*also.board, *also.others]
    try:
        listed = provider.organizations(login) or ()
    except (TokenRejected, ProviderRateLimited, AddressForbidden) as problem:
        return _stopped(provider, login, (), problem=problem)
    except ProviderError as problem:
        each = _ask_each(provider, login, keys)
        facts = _concerning(each.facts, also)
        return replace(each, facts=facts, problem=each.problem or problem)
    known = {fact.key.lower() for fact in listed}
    each = _ask_each(provider, login, [key for key in keys if key not in known])
    return replace(each, facts=(*listed, *_concerning(each.facts, also)))


def _concerning(facts: Sequence[OrganizationFact], also: Interest) -> tuple[OrganizationFact, ...]:
    silent = {OrganizationState.UNKNOWN, OrganizationState.NO_MEMBERSHIP}
    others = set(also.others)
    return tuple(fact for fact in facts if fact.state not in silent or fact.key.lower() not in others)


# So many answers in a row that say nothing end the questions: more would make an outage worse.
_MOST_UNKNOWN = 3


def _ask_each(provider: Provider, login: Login, keys: Sequence[str]) -> _Asked:
    facts: list[OrganizationFact] = []
    nowhere: list[str] = []
    silent = 0
    for key in keys[:MOST_ASKED]:
        try:
            fact = provider.organization(login, key)
        except (ProviderError, AddressForbidden) as problem:
            return _stopped(provider, login, facts, nowhere, problem=problem)
        if fact is None:
            nowhere.append(key)
            continue
        facts.append(fact)
        silent = silent + 1 if fact.state is OrganizationState.UNKNOWN else 0
        if silent == _MOST_UNKNOWN:
            break
    return _Asked(facts=tuple(facts), nowhere=tuple(nowhere))


def _stopped(
    provider: Provider,
    login: Login,
    facts: Sequence[OrganizationFact],
    nowhere: Sequence[str] = (),
    *,
    problem: ProviderError | AddressForbidden,
) -> _Asked:
    dead = rejection.confirm(provider, login) if isinstance(problem, TokenRejected) else None
    return _Asked(facts=tuple(facts), nowhere=tuple(nowhere), problem=problem, dead=dead)


@transaction.atomic
def _keep(credential: Credential, asked: _Asked, *, actor: Actor, now: datetime) -> None:
    """Write down what was learned, unless the credential was changed meanwhile."""
    current = lock_unchanged(credential)
    if current is None:
        return
    on_board = current.organizations.filter(organization__key__in=asked.nowhere)
    unseen = [
        OrganizationFact(key=key, name="", state=OrganizationState.UNKNOWN, evidence="none of this name")
        for key in on_board.values_list("organization__key", flat=True)
    ]
    observe(current, [*asked.facts, *unseen], actor=actor, now=now)
    if asked.dead is not None:
        rejection.note(current, VerdictCode(asked.dead.verdict_code), actor=actor, now=now)
    elif isinstance(asked.problem, TokenRejected):
        holds.note_refusal(current, now=now)
    elif isinstance(asked.problem, ProviderRateLimited):
        holds.note_quota(current, wait=asked.problem.retry_after, now=now)


def check_due(*, actor: Actor, now: Callable[[], datetime] = timezone.now) -> int:
    """Look again at the organizations whose time has come; how many credentials were asked with.

    Each due organization is asked for by itself, with one opening of its credential. Who must be left
    alone does not stand before the others.
    """
    moment = now()
    due = (
        OrganizationAccess.objects.filter(
            next_check_at__lte=moment,
            credential__status__in=LENDABLE,
            credential__host__is_enabled=True,
            credential__owner__is_active=True,
        )
        .exclude(credential__host__in=circuit_breaker.blocked_at(moment).values("pk"))
        .exclude(credential__hold_until__gt=moment)
    )
    first = due.order_by().values("credential").annotate(first=Min("next_check_at")).order_by("first")
    asked = 0
    for pk in list(first.values_list("credential", flat=True)[:AT_ONCE]):
        credential = Credential.objects.select_related("host", "owner").get(pk=pk)
        if circuit_breaker.is_blocked(credential.host, now=now()) or holds.is_held(credential, now=now()):
            continue
        mine = due.filter(credential=credential).order_by("next_check_at")
        keys = dict(mine.values_list("pk", "organization__key")[:MOST_ASKED])
        if _claim(list(keys), now=now()):
            _check(credential, list(keys.values()), actor=actor, now=now)
            asked += 1
    return asked


# Credentials that one round of the worker asks with.
AT_ONCE = 50
# A claim ends by itself, so that a killed worker leaves nothing unasked for ever.
_CLAIMED = timedelta(minutes=15)


def _claim(accesses: Sequence[UUID], *, now: datetime) -> bool:
    """Of two workers, one asks: who had to wait for the other's update finds nothing due any more.

    By the row's own columns only. What a subquery has found, PostgreSQL does not look at again.
    """
    mine = OrganizationAccess.objects.filter(pk__in=accesses, next_check_at__lte=now)
    return bool(mine.update(next_check_at=now + _CLAIMED))


def _check(credential: Credential, keys: Sequence[str], *, actor: Actor, now: Callable[[], datetime]) -> None:
    try:
        login = open_login(credential, actor=actor, purpose="organization check", now=now)
    except (CryptoError, RefreshUnavailable):
        return  # the operator's to mend, or the host's; the next one may open
    provider = hosts.provider_of(credential.host, now=now)
    _keep(credential, _ask_each(provider, login, keys), actor=actor, now=now())
