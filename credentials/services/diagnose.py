"""Why can this repository not be imported? One walk, one typed answer, the next step.

The order is fixed, and the first cause ends it: the address, the host, the person's credentials there,
each credential's state, its token, its scopes, the organization, the repository. Where nothing helps, the
repository may still be public. Pages, API, leases and imports all give this answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.errors import CryptoError, RefreshUnavailable, TooManyRequests
from credentials.models import AccessState, AuditEvent, Credential, Hold, RepositoryAccess, Status
from credentials.models.audit import Action
from credentials.models.credential import LENDABLE, ended
from credentials.providers.facts import Login, OrganizationFact, OrganizationState
from credentials.providers.repository_url import RepositoryAddress, parse
from credentials.services import audit, circuit_breaker, holds, organizations, reach, rejection
from credentials.services.audit import Actor, Subject
from credentials.services.choice import REFUSAL_KEPT, STATUS_VERDICTS, rank
from credentials.services.explain import explain
from credentials.services.logins import lock_unchanged, subject_of
from credentials.services.opening import open_login, reopen
from credentials.services.reach import Finding
from credentials.services.rejection import DEAD
from credentials.services.targets import Target, find_target
from credentials.verdicts import Check, Verdict, VerdictCode
from credentials.verdicts.wording import verdict

# How many of a person's credentials at one host are asked; more than that is nobody's real case.
MOST_ASKED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """The answer, and what an import needs to go on: ``clone_url`` is empty unless the verdict is ok.

    ``confirmed`` are the organizations of the address that the host was found to know.
    """

    verdict: Verdict
    credential: Credential | None = None
    clone_url: str = ""
    default_branch: str = ""
    confirmed: tuple[str, ...] = ()


def diagnose(
    *,
    actor: Actor,
    user: Any,
    repository_url: str,
    among: Sequence[UUID] | None = None,
    now: Callable[[], datetime] = timezone.now,
) -> Diagnosis:
    """Find out whether ``user`` can import the repository, and if not, the first thing that stands in the way.

    ``among`` narrows it to these credentials of theirs. What is learned is kept: the state of
    organizations, what each credential can read, a token that its host has confirmed to be dead. Raises
    AddressInvalid where the text is no address of a repository, TooManyRequests where this person's
    repositories were looked into too often within a minute.
    """
    address = parse(repository_url)
    found = find_target(address, now=now)
    if found is None:
        return Diagnosis(verdict=verdict(VerdictCode.HOST_UNKNOWN, values={"host": address.origin}))
    _refuse_too_many(user, now=now())
    held = _candidates(user, found, among)
    diagnosis = _first_that_reads(found, held, user=user, actor=actor, now=now)
    organizations.named(found.host, diagnosis.confirmed, now=now())
    audit.record(
        "repository.diagnosed",
        actor=actor,
        subject=_subject(user, found, diagnosis),
        organization=found.place.owner.lower()[:200],
        repository=found.address.text[:1000],
        data={"verdict": diagnosis.verdict.code.value},
    )
    return diagnosis


def _refuse_too_many(user: Any, *, now: datetime) -> None:
    """Each diagnosis asks somebody else's server a handful of questions."""
    since = now - timedelta(minutes=1)
    recent = AuditEvent.objects.filter(
        owner_id=str(user.pk), action=Action.REPOSITORY_DIAGNOSED, at__gt=since
    )
    if recent.count() >= conf.diagnoses_per_minute:
        raise TooManyRequests(
            _("Many repositories were looked into for this person just now. Wait a minute."),
            retry_after=timedelta(minutes=1),
        )


def _subject(user: Any, found: Target, diagnosis: Diagnosis) -> Subject:
    if diagnosis.credential is not None:
        return subject_of(diagnosis.credential)
    name, pk = user.get_username(), str(user.pk)
    return Subject(kind="user", id=pk, name=name, owner_id=pk, owner_name=name, host=found.host.slug)


def _candidates(user: Any, found: Target, among: Sequence[UUID] | None) -> list[Credential]:
    """The person's credentials at the host, those that will most likely do first."""
    mine = (
        Credential.objects.select_related("host", "owner")
        .filter(owner=user, host=found.host)
        .exclude(status__in=[Status.DISCONNECTED, Status.QUARANTINED])
    )
    if among is not None:
        mine = mine.filter(pk__in=among)
    held = list(mine)
    known = dict(
        RepositoryAccess.objects.filter(credential__in=held, key=found.key).values_list(
            "credential", "verdict"
        )
    )
    open_to = set(
        mine.filter(
            organizations__state=AccessState.ACCESSIBLE,
            organizations__organization__key__in=[key.lower() for key in found.place.organizations],
        ).values_list("pk", flat=True)
    )
    return sorted(
        held,
        key=lambda one: rank(
            verdict=known.get(one.pk, ""),
            organization_depth=1 if one.pk in open_to else 0,
            owns=one.account_name.lower() == found.place.owner.lower(),
            status=one.status,
            last_verified_at=one.last_verified_at,
            created_at=one.created_at,
            tie=str(one.pk),
        ),
        reverse=True,
    )


def _first_that_reads(
    found: Target, held: Sequence[Credential], *, user: Any, actor: Actor, now: Callable[[], datetime]
) -> Diagnosis:
    refused: list[tuple[Credential, Finding]] = []
    for credential in held[:MOST_ASKED]:
        finding = examine(credential, found, actor=actor, now=now)
        if finding.ok:
            return _readable(found, credential, finding, refused)
        if finding.code is VerdictCode.HOST_UNREACHABLE:
            # It would not answer about the others either.
            return Diagnosis(verdict=explain(found, credential, finding, user=user), credential=credential)
        refused.append((credential, finding))
    public = reach.walk_as_anybody(found.provider, found.place, now=now)
    if public.ok:
        answer = explain(found, None, public, user=user)
        return Diagnosis(
            verdict=answer.with_checked(*(check for _held, seen in refused for check in seen.checks)),
            clone_url=_clone_url(found, public),
            default_branch=public.repository.default_branch if public.repository else "",
            confirmed=found.place.nearest_and_topmost,
        )
    if not refused:
        is_silent = public.code is VerdictCode.HOST_UNREACHABLE
        nobody = public if is_silent else replace(public, code=VerdictCode.NO_CREDENTIAL)
        return Diagnosis(verdict=explain(found, _out_of_use(found, user), nobody, user=user))
    credential, finding = _most_telling(refused)
    return Diagnosis(
        verdict=explain(found, credential, finding, user=user),
        credential=credential,
        confirmed=tuple(dict.fromkeys(key for _held, seen in refused for key in _told(seen))),
    )


def _out_of_use(found: Target, user: Any) -> Credential | None:
    """What the person has connected there and nobody may use: then it is not missing."""
    mine = Credential.objects.select_related("host", "owner").filter(owner=user, host=found.host)
    return mine.filter(status=Status.QUARANTINED).first()


def _told(finding: Finding) -> list[str]:
    """The organizations of which the host has said anything at all."""
    return [fact.key for fact in finding.organizations if fact.state is not OrganizationState.UNKNOWN]


def _readable(
    found: Target,
    credential: Credential,
    finding: Finding,
    refused: Sequence[tuple[Credential, Finding]],
) -> Diagnosis:
    answer = explain(found, credential, finding, user=credential.owner)
    passed_over = tuple(check for _held, seen in refused for check in seen.checks)
    return Diagnosis(
        verdict=replace(answer, checked=(*passed_over, *answer.checked)),
        credential=credential,
        clone_url=_clone_url(found, finding),
        default_branch=finding.repository.default_branch if finding.repository else "",
        confirmed=found.place.nearest_and_topmost,
    )


def _clone_url(found: Target, finding: Finding) -> str:
    """Where Git finds it; a repository that has moved is told by the API at its new place."""
    return finding.repository.clone_url if finding.repository else found.provider.clone_url(found.place)


def known(*, user: Any, address: RepositoryAddress, credential_id: UUID | None, code: VerdictCode) -> Verdict:
    """The verdict that needs no asking: ``code`` is known already, of one credential or of none."""
    found = find_target(address)
    if found is None:
        return verdict(VerdictCode.HOST_UNKNOWN, values={"host": address.origin})
    credential = (
        Credential.objects.select_related("host", "owner").filter(pk=credential_id).first()
        if credential_id
        else None
    )
    return explain(found, credential, _recalled(found, credential, code), user=user)


def _recalled(found: Target, credential: Credential | None, code: VerdictCode) -> Finding:
    """A finding out of what is known already."""
    about_organization = code in _TELLING and code is not VerdictCode.SCOPE_MISSING
    lacking = tuple(credential.missing_scopes) if credential else ()
    finding = Finding(
        code=code,
        checks=(),
        organization=found.place.organizations[0] if about_organization and found.place.organizations else "",
        missing_scopes=lacking or _needed(found, code),
    )
    if credential is None:
        return finding
    return replace(finding, code=_as_requested(credential, finding))


def _needed(found: Target, code: VerdictCode) -> tuple[str, ...]:
    """Only a verdict about scopes names those that are missing; any other tells those that were given."""
    return reach.needed_scopes(found.provider) if code is VerdictCode.SCOPE_MISSING else ()


# What says most about why it does not work, the most telling first.
_TELLING = (
    VerdictCode.ORGANIZATION_NOT_APPROVED,
    VerdictCode.ORGANIZATION_REQUESTED,
    VerdictCode.ORGANIZATION_DENIED,
    VerdictCode.SSO_REQUIRED,
    VerdictCode.ORGANIZATION_POLICY,
    VerdictCode.TOKEN_PENDING,
    VerdictCode.IP_BLOCKED,
    VerdictCode.SCOPE_MISSING,
)


def _most_telling(refused: Sequence[tuple[Credential, Finding]]) -> tuple[Credential, Finding]:
    for code in _TELLING:
        for credential, finding in refused:
            if finding.code is code:
                return credential, finding
    unsure = [pair for pair in refused if not pair[1].known]
    sure = {finding.code for _credential, finding in refused if finding.known}
    # Whether one of them reads it could not be found out: then nobody knows that it is not there.
    return unsure[0] if unsure and sure <= {VerdictCode.NOT_FOUND_OR_NO_ACCESS} else refused[0]


def examine(credential: Credential, found: Target, *, actor: Actor, now: Callable[[], datetime]) -> Finding:
    """Whether one credential reads the repository; asks the host, and keeps what was learned."""
    early = _without_asking(credential, found, now=now())
    if early is not None:
        return early
    repository = found.address.text[:1000]
    try:
        login = open_login(credential, actor=actor, purpose="diagnosis", repository=repository, now=now)
    except CryptoError as problem:
        check = Check(step="secret", result=problem.code, at=now())
        return Finding(code=VerdictCode.UNKNOWN, checks=(check,), known=False)
    except RefreshUnavailable as problem:
        check = Check(step="credential", result=problem.evidence, at=now())
        return Finding(code=VerdictCode.HOST_UNREACHABLE, checks=(check,), known=False)
    # The refresh may just have found that the grant has ended.
    early = _without_asking(credential, found, now=now())
    if early is not None:
        return early
    finding = _walk(credential, found, login, now=now)
    if finding.code in DEAD:
        again = reopen(credential, actor=actor, purpose="diagnosis", repository=repository, now=now)
        finding = _walk(credential, found, again, now=now) if again is not None else finding
        early = _without_asking(credential, found, now=now())
    return early or _keep(credential, found, finding, actor=actor, now=now())


def _walk(credential: Credential, found: Target, login: Login, *, now: Callable[[], datetime]) -> Finding:
    return reach.walk(
        found.provider,
        found.place,
        login,
        allow_private=found.host.allow_private_network,
        lacks=tuple(credential.missing_scopes),
        now=now,
    )


def _without_asking(credential: Credential, found: Target, *, now: datetime) -> Finding | None:
    """What is known of the credential already, where asking would be of no use, or do harm."""
    if credential.status not in LENDABLE:
        code = STATUS_VERDICTS.get(Status(credential.status), VerdictCode.UNKNOWN)
        return Finding(code=code, checks=(Check(step="credential", result=credential.status, at=now),))
    is_over = credential.expires_at is not None and credential.expires_at <= now
    if is_over and not credential.is_renewable:
        return Finding(
            code=ended(credential.kind)[1], checks=(Check(step="credential", result="expired", at=now),)
        )
    if holds.is_held(credential, now=now, by_hand=True):
        return _resting(credential, found, now=now)
    if circuit_breaker.is_blocked(credential.host, now=now):
        check = Check(step="host", result="not asked: it has not been answering", at=now)
        return Finding(code=VerdictCode.HOST_UNREACHABLE, checks=(check,), known=False)
    return None


def _resting(credential: Credential, found: Target, *, now: datetime) -> Finding:
    """What to say of a credential that is left alone: the refusal it rests for, where that is remembered."""
    check = Check(step="credential", result="left alone for a while", at=now)
    if credential.hold_reason == Hold.QUOTA:
        return Finding(code=VerdictCode.RATE_LIMITED, checks=(check,), known=False)
    lately = credential.repositories.filter(key=found.key, checked_at__gt=now - REFUSAL_KEPT)
    kept = lately.exclude(verdict=VerdictCode.OK).first()
    code = VerdictCode(kept.verdict) if kept else VerdictCode.SCOPE_MISSING
    if kept is None and not credential.missing_scopes:
        return Finding(code=VerdictCode.UNKNOWN, checks=(check,), known=False)
    return replace(_recalled(found, credential, code), checks=(check,), known=False)


@transaction.atomic
def _keep(credential: Credential, found: Target, finding: Finding, *, actor: Actor, now: datetime) -> Finding:
    """Write down what was learned, unless the credential was changed meanwhile."""
    current = lock_unchanged(credential)
    if current is None:
        return finding
    if not finding.known:
        if finding.code is VerdictCode.RATE_LIMITED:
            holds.note_quota(current, wait=finding.retry_after, now=now)
        return finding
    facts = finding.organizations or _let_in(current, found, finding)
    organizations.observe(current, facts, actor=actor, now=now)
    if finding.code in DEAD:
        believed = rejection.note(current, finding.code, actor=actor, now=now)
        return finding if believed else replace(finding, code=VerdictCode.UNKNOWN, known=False)
    if finding.refused_by_git:
        holds.note_refusal(current, now=now)
    else:
        holds.clear(current)
    remember(current, found.key, finding.code, now=now)
    return replace(finding, code=_as_requested(current, finding))


def _let_in(current: Credential, found: Target, finding: Finding) -> tuple[OrganizationFact, ...]:
    """Who was said to keep the credential out, and has just let it read something that is not for everybody."""
    if finding.repository is None or not finding.repository.private or not finding.ok:
        return ()
    keys = [key.lower() for key in found.place.organizations]
    closed = current.organizations.filter(organization__key__in=keys, state__in=organizations.BLOCKED)
    return tuple(
        OrganizationFact(
            key=access.organization.key,
            name=access.organization.name,
            state=OrganizationState.ACCESSIBLE,
            evidence=finding.checks[-1].result,
        )
        for access in closed.select_related("organization")
    )


def _as_requested(current: Credential, finding: Finding) -> VerdictCode:
    """The host says "not approved" until somebody decides; that it was asked for, only the board knows."""
    if finding.code is not VerdictCode.ORGANIZATION_NOT_APPROVED:
        return finding.code
    access = current.organizations.filter(organization__key=finding.organization.lower()).first()
    state = access.state if access else ""
    return {
        AccessState.REQUESTED.value: VerdictCode.ORGANIZATION_REQUESTED,
        AccessState.DENIED.value: VerdictCode.ORGANIZATION_DENIED,
    }.get(state, finding.code)


def remember(credential: Credential, key: str, code: VerdictCode, *, now: datetime) -> None:
    """Keep what a credential could do with a repository, for the choice of the next lease."""
    RepositoryAccess.objects.update_or_create(
        credential=credential, key=key, defaults={"verdict": code.value, "checked_at": now}
    )
