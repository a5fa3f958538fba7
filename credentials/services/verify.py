"""Asks the provider about a credential, and keeps what was proved; what is not known changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    AddressForbidden,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.models import Credential, Host, OrganizationAccess, Status
from credentials.providers.base import Provider
from credentials.providers.facts import Login, OrganizationFact, Verification
from credentials.providers.tokens import Kind
from credentials.services import audit, hosts, vault
from credentials.services.audit import Actor, Subject
from credentials.verdicts import Check, Verdict, VerdictCode, verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at the provider brought: facts, or the verdict that says why there are none.

    ``proof`` is None unless the token was proved authentic. ``known`` is False where the provider
    could not be asked: then nothing that was known before may change.
    """

    verdict: Verdict
    proof: Verification | None = None
    organizations: tuple[OrganizationFact, ...] | None = None
    known: bool = True


def subject_of(credential: Credential) -> Subject:
    """A credential as an audit event names it."""
    return Subject(
        kind="credential",
        id=str(credential.pk),
        name=str(credential),
        owner_id=str(credential.owner_id),
        owner_name=credential.owner.get_username(),
        host=credential.host.slug,
    )


def login_of(credential: Credential, token: Secret) -> Login:
    """What the provider needs beside the token."""
    return Login(
        token=token, kind=Kind(credential.kind), email=credential.email, username=credential.username
    )


def look(host: Host, login: Login, *, now: Callable[[], datetime] = timezone.now) -> Look:
    """Ask the provider who the token belongs to and what it may do. Writes nothing."""
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
    except TokenRejected as error:
        return Look(verdict=answer(_rejection(error.reason), error.evidence))
    except AccessRefused as error:
        return Look(verdict=answer(VerdictCode(error.verdict_code), error.evidence))
    except ProviderRateLimited as error:
        return Look(verdict=answer(VerdictCode.RATE_LIMITED, error.evidence), known=False)
    except (ProviderUnreachable, AddressForbidden) as error:
        return Look(verdict=answer(VerdictCode.HOST_UNREACHABLE, str(error)), known=False)
    except (ProviderAnswerUnexpected, ProviderError) as error:
        return Look(verdict=answer(VerdictCode.UNKNOWN, error.evidence), known=False)
    code = VerdictCode.SCOPE_MISSING if proof.missing_scopes else VerdictCode.OK
    found = answer(code, "; ".join(proof.evidence), scopes=", ".join(proof.missing_scopes))
    return Look(verdict=found, proof=proof, organizations=_organizations(provider, login))


def _rejection(reason: str) -> VerdictCode:
    return {
        "expired": VerdictCode.TOKEN_EXPIRED,
        "revoked": VerdictCode.TOKEN_REVOKED,
    }.get(reason, VerdictCode.TOKEN_REJECTED)


def _organizations(provider: Provider, login: Login) -> tuple[OrganizationFact, ...] | None:
    """The list is comfort: where it cannot be had, the token is no less proved."""
    try:
        return provider.organizations(login)
    except ProviderError:
        return None


def status_of(proof: Verification, *, expires_at: datetime | None, now: datetime) -> Status:
    """The status a proved token has."""
    if expires_at is not None and expires_at <= now:
        return Status.EXPIRED
    if proof.missing_scopes:
        return Status.LIMITED
    if proof.kind is not Kind.OAUTH and expires_at and expires_at - now <= conf.expiring_window:
        return Status.EXPIRING
    return Status.VALID


def failed_status(credential: Credential, code: VerdictCode) -> Status:
    """The status of a credential whose token the provider confirmed to be dead."""
    if code is VerdictCode.TOKEN_EXPIRED:
        return Status.EXPIRED
    if credential.kind in {Kind.OAUTH, Kind.APP_TOKEN}:
        return Status.RECONNECT_REQUIRED
    return Status.REJECTED


def verify(
    *, actor: Actor, credential: Credential, purpose: str, now: Callable[[], datetime] = timezone.now
) -> Verdict:
    """Look at the provider and bring the credential up to date.

    The opening of its secret is recorded first. An outage, a spent quota or an answer no rule explains
    leaves the credential as it was. Raises AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    subject = subject_of(credential)
    token = vault.open_credential(
        credential,
        record=lambda: audit.record_durably(
            "credential.opened", actor=actor, subject=subject, purpose=purpose
        ),
    )
    found = look(credential.host, login_of(credential, token), now=now)
    with transaction.atomic():
        current = Credential.objects.select_for_update().get(pk=credential.pk)
        # A newer secret came while we asked, or the owner disconnected: the answer is about the old one.
        if current.generation == credential.generation and current.is_connected:
            _keep(current, found, actor=actor, now=now())
    credential.refresh_from_db()
    return found.verdict


def _keep(current: Credential, found: Look, *, actor: Actor, now: datetime) -> None:
    before = current.status
    if found.proof is not None:
        apply_proof(current, found.proof, now=now)
    elif found.known and found.verdict.code in _DEAD:
        current.status = failed_status(current, found.verdict.code)
    current.status_detail = "" if found.verdict.ok else found.verdict.code.value
    if before == Status.QUARANTINED:
        current.status = before
    current.save()
    if found.organizations is not None:
        keep_organizations(current, found.organizations, now=now)
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


_DEAD = (VerdictCode.TOKEN_REJECTED, VerdictCode.TOKEN_EXPIRED, VerdictCode.TOKEN_REVOKED)


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
    credential.status = status_of(proof, expires_at=credential.expires_at, now=now)
    credential.last_verified_at = now


def keep_organizations(credential: Credential, facts: tuple[OrganizationFact, ...], *, now: datetime) -> None:
    """Bring the credential's organizations up to date. One that is not listed is kept: half a list
    is not a list."""
    for fact in facts:
        OrganizationAccess.objects.update_or_create(
            credential=credential,
            key=fact.key.lower(),
            defaults={
                "name": fact.name or fact.key,
                "state": fact.state.value,
                "evidence": fact.evidence[:300],
                "mend_url": fact.url,
                "checked_at": now,
            },
        )
