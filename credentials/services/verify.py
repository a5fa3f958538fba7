"""Asks the provider about a credential, and keeps what was proved; what is not known changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from credentials.errors import (
    AccessRefused,
    AddressForbidden,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    RefreshUnavailable,
    TokenRejected,
)
from credentials.models import Credential, Hold, Host, Status
from credentials.models.credential import ended, is_near
from credentials.providers import registry
from credentials.providers.facts import Login, OrganizationFact, Verification
from credentials.services import audit, changes, circuit_breaker, holds, hosts, organizations
from credentials.services.audit import Actor
from credentials.services.logins import lock_unchanged, subject_of
from credentials.services.opening import open_login, reopen
from credentials.services.organizations import NOBODY, Interest
from credentials.services.rejection import DEAD, failed_status, may_lag
from credentials.verdicts import Check, Verdict, VerdictCode
from credentials.verdicts.wording import verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the provider brought: facts, or the verdict that says why there are none.

    ``proof`` is None unless the token was proved authentic. ``known`` is False where the provider
    could not be asked: then nothing that was known before may change.
    """

    verdict: Verdict
    proof: Verification | None = None
    organizations: tuple[OrganizationFact, ...] = ()
    known: bool = True
    retry_after: timedelta | None = None


def look(
    host: Host, login: Login, *, also: Interest = NOBODY, now: Callable[[], datetime] = timezone.now
) -> Look:
    """Ask the provider who the token belongs to, what it may do, and what each organization answers.

    ``also`` are the organizations to ask about beside those that are listed. Writes nothing.
    """
    provider = hosts.provider_of(host, now=now)
    values: dict[str, object] = {
        "provider": provider.title,
        "host": host.name,
        "kind": login.kind.title,
    }

    def answer(code: VerdictCode, result: str, **more: object) -> Verdict:
        check = Check(step="verify", result=result, at=now())
        return verdict(code, values={**values, **more}, checked=(check,), host=host.slug)

    try:
        proof = provider.verify(login)
    except (TokenRejected, AccessRefused) as error:
        return Look(verdict=answer(VerdictCode(error.verdict_code), error.evidence))
    except ProviderRateLimited as error:
        limited = answer(VerdictCode.RATE_LIMITED, error.evidence)
        return Look(verdict=limited, known=False, retry_after=error.retry_after)
    except (ProviderUnreachable, AddressForbidden) as error:
        return Look(verdict=answer(VerdictCode.HOST_UNREACHABLE, str(error)), known=False)
    except ProviderError as error:
        return Look(verdict=answer(VerdictCode.UNKNOWN, error.evidence), known=False)
    code = VerdictCode.SCOPE_MISSING if proof.missing_scopes else VerdictCode.OK
    found = answer(code, "; ".join(proof.evidence), scopes=", ".join(proof.missing_scopes))
    board = organizations.look(provider, login, also=also)
    return Look(verdict=found, proof=proof, organizations=tuple(board))


def status_of(proof: Verification, *, expires_at: datetime | None, now: datetime) -> Status:
    """The status a proved token has."""
    if expires_at is not None and expires_at <= now:
        return ended(proof.kind)[0]
    if proof.missing_scopes:
        return Status.LIMITED
    if is_near(proof.kind, expires_at, now=now):
        return Status.EXPIRING
    return Status.VALID


def verify(
    *,
    actor: Actor,
    credential: Credential,
    purpose: str,
    by_hand: bool = False,
    in_doubt: bool = False,
    now: Callable[[], datetime] = timezone.now,
) -> Verdict:
    """Look at the provider and bring the credential up to date.

    The opening of its secret is recorded first. An outage, a spent quota or an answer no rule explains
    leaves the credential as it was. While the host or the credential must be left alone nothing is opened
    or asked; ``by_hand`` says that a person asked for it by a button, who waits only seconds after a
    refusal; ``in_doubt`` that a borrower's Git was refused: the credential then goes on resting, whatever
    the API says, because refusals of Git add up. Raises AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    early = _not_now(credential, by_hand=by_hand, in_doubt=in_doubt, now=now())
    if early is not None:
        return early
    try:
        found = _look_renewed(credential, actor=actor, purpose=purpose, now=now)
    except RefreshUnavailable:
        return _without_proof(credential, VerdictCode.HOST_UNREACHABLE)
    if found.verdict.code in DEAD and may_lag(credential, now=now()):
        found = replace(found, known=False, verdict=_without_proof(credential, VerdictCode.UNKNOWN))
    with transaction.atomic():
        if (current := lock_unchanged(credential)) is not None:
            _keep(current, found, actor=actor, in_doubt=in_doubt, now=now())
    credential.refresh_from_db()
    return found.verdict


def _look_renewed(credential: Credential, *, actor: Actor, purpose: str, now: Callable[[], datetime]) -> Look:
    """Look; where the token is refused but can be renewed, once more with a new one."""
    login = open_login(credential, actor=actor, purpose=purpose, now=now)
    also = organizations.interest_of(credential)
    found = look(credential.host, login, also=also, now=now)
    if found.verdict.code not in DEAD or not credential.is_renewable:
        return found
    again = reopen(credential, actor=actor, purpose=purpose, now=now)
    if again is not None:
        return look(credential.host, again, also=also, now=now)
    # The token is dead; whether the grant is, the refresh has told, or could not.
    is_over = credential.status == Status.RECONNECT_REQUIRED
    code = VerdictCode.RECONNECT_REQUIRED if is_over else VerdictCode.UNKNOWN
    return Look(verdict=_without_proof(credential, code), known=False)


def _not_now(credential: Credential, *, by_hand: bool, in_doubt: bool, now: datetime) -> Verdict | None:
    """Why nothing is asked at this moment, if so; what is known stands."""
    if circuit_breaker.is_blocked(credential.host, now=now):
        return _without_proof(credential, VerdictCode.HOST_UNREACHABLE)
    if not holds.is_held(credential, now=now, by_hand=by_hand):
        return None
    if credential.hold_reason == Hold.QUOTA:
        return _without_proof(credential, VerdictCode.RATE_LIMITED)
    return None if in_doubt else _without_proof(credential, VerdictCode.UNKNOWN)


def _without_proof(credential: Credential, code: VerdictCode) -> Verdict:
    host = credential.host
    names = {"host": host.name, "provider": registry.get(host.provider).title}
    return verdict(code, values=names, host=host.slug, credential=str(credential.pk))


def _keep(current: Credential, found: Look, *, actor: Actor, in_doubt: bool, now: datetime) -> None:
    before = current.status
    if found.proof is not None:
        apply_proof(current, found.proof, now=now)
        if not in_doubt:
            holds.clear(current)
    elif found.known and found.verdict.code in DEAD:
        current.status = failed_status(current, found.verdict.code)
        holds.note_refusal(current, now=now)
    elif found.verdict.code is VerdictCode.RATE_LIMITED:
        holds.note_quota(current, wait=found.retry_after, now=now)
    if found.known:
        current.status_detail = "" if found.verdict.ok else found.verdict.code.value
    if before == Status.QUARANTINED:
        current.status = before
    current.save()
    organizations.observe(current, found.organizations, actor=actor, now=now)
    audit.record(
        "credential.verified",
        actor=actor,
        subject=subject_of(current),
        data={
            "verdict": found.verdict.code.value,
            "status_before": before,
            "status": current.status,
        },
    )
    changes.status_changed(current, before=before, actor=actor, now=now)


def apply_proof(credential: Credential, proof: Verification, *, now: datetime) -> None:
    """Put what was proved into the row, without saving. What the provider hides keeps its old value."""
    if proof.identity is not None:
        same = credential.account_id == proof.identity.account_id
        credential.account_id = proof.identity.account_id
        # Some scopes show the id only; a name that is known for this id is still true.
        credential.account_name = proof.identity.account_name or (credential.account_name if same else "")
    credential.kind = proof.kind.value
    if proof.scopes is not None:
        credential.scopes = list(proof.scopes)
    if proof.expires_at is not None:
        credential.expires_at = proof.expires_at
    credential.missing_scopes = list(proof.missing_scopes)
    credential.oauth_client_id = proof.oauth_client_id or credential.oauth_client_id
    # The token of a pair ends by nature; the pair itself goes on.
    ends = None if credential.is_renewable else credential.expires_at
    credential.status = status_of(proof, expires_at=ends, now=now)
    credential.last_verified_at = now
