"""What happens to a lease after it was made: it is looked up, reported on, ended, or answered again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from credentials.errors import Conflict, InputInvalid, NotFound
from credentials.models import Credential, Hold, Lease, Outcome, ServiceClient
from credentials.providers import registry
from credentials.services import audit, clients, diagnose, holds, queue, targets, vault
from credentials.services.audit import Actor
from credentials.services.choice import Candidate
from credentials.services.lend import LentCredential
from credentials.services.logins import login_of, subject_of
from credentials.verdicts import VerdictCode


def get(*, client: ServiceClient, lease_id: UUID) -> Lease:
    """The client's own lease; raises NotFound for anybody else's."""
    lease = (
        Lease.objects.select_related("credential__host", "credential__owner", "client")
        .filter(pk=lease_id, client=client)
        .first()
    )
    if lease is None:
        raise NotFound("There is no such lease.")
    return lease


@transaction.atomic
def end(*, actor: Actor, lease: Lease, now: datetime) -> Lease:
    """End a lease before its time; ending it twice changes nothing."""
    if Lease.objects.filter(pk=lease.pk, ended_at=None).update(ended_at=now):
        audit.record(
            "lease.ended", actor=actor, subject=subject_of(lease.credential), data={"lease": str(lease.pk)}
        )
        lease.ended_at = now
    return lease


@transaction.atomic
def report(*, actor: Actor, lease: Lease, outcome: Outcome, detail: str, now: datetime) -> Lease:
    """Keep what the borrower says of the credential.

    What was accepted is chosen again for that repository. The first rejection puts a verification into
    the queue, in the same transaction, and the credential rests until it is proved again.
    """
    if outcome is Outcome.NONE:
        raise InputInvalid("Report accepted or rejected.", field="outcome")
    is_news = outcome is Outcome.REJECTED and lease.outcome != Outcome.REJECTED
    lease.outcome, lease.outcome_detail, lease.reported_at = outcome, detail[:200], now
    lease.save(update_fields=["outcome", "outcome_detail", "reported_at"])
    audit.record(
        "lease.reported",
        actor=actor,
        subject=subject_of(lease.credential),
        repository=lease.repository_url,
        data={"lease": str(lease.pk), "outcome": outcome.value},
    )
    _learn(lease, outcome, now=now)
    if is_news:
        holds.note_refusal(lease.credential, now=now)
        queue.verify_later(lease.credential_id)
    return lease


def _learn(lease: Lease, outcome: Outcome, *, now: datetime) -> None:
    key = targets.key_at(lease.credential.host, lease.repository_url) if lease.repository_url else ""
    if not key:
        return
    if outcome is Outcome.ACCEPTED:
        holds.clear(lease.credential)
        diagnose.remember(lease.credential, key, VerdictCode.OK, now=now)
    else:
        # Whatever was remembered is in doubt: the next lease asks the host.
        lease.credential.repositories.filter(key=key).delete()


def reopen(
    *,
    client: ServiceClient,
    lease_id: UUID,
    address: str,
    request_id: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> LentCredential:
    """Answer a repeated request (same ``Idempotency-Key``) with the lease it made.

    The opening is recorded like the first one. Raises PermissionRefused where the client may not use the
    host any more, Conflict where the lease has ended, or its credential was changed or withdrawn since.
    """
    lease = get(client=client, lease_id=lease_id)
    credential = lease.credential
    clients.require_host(client, credential.host.slug)
    if not _still_stands(lease, now=now()):
        raise Conflict("The lease of this Idempotency-Key has ended. Use a new key.")
    actor = clients.actor_of(client, request_id=request_id, address=address)
    token = vault.open_credential(
        credential,
        record=lambda: audit.record_durably(
            "lease.repeated",
            actor=actor,
            subject=subject_of(lease.credential),
            repository=lease.repository_url,
            purpose=lease.purpose,
            reference=lease.reference,
            data={"lease": str(lease.pk)},
        ),
    )
    chosen = candidate_of(credential)
    login = registry.get(credential.host.provider).git_login(login_of(credential, token))
    return LentCredential(
        lease_id=lease.pk,
        username=login.username,
        password=login.password,
        candidate=chosen,
        repository_url=lease.repository_url,
        chosen_because=lease.chosen_because,
        judged=(),
        lease_expires_at=lease.expires_at,
    )


def _still_stands(lease: Lease, *, now: datetime) -> bool:
    """Whether a new lease could be had for it: everything that withdraws a credential ends this one too."""
    credential = lease.credential
    is_newer = credential.sealed_at is not None and credential.sealed_at > lease.created_at
    rests = credential.hold_reason == Hold.REFUSED and holds.is_held(credential, now=now)
    return (
        lease.is_active(now)
        and credential.is_lendable
        and credential.access_envelope is not None
        and credential.owner.is_active
        and credential.host.is_enabled
        and not is_newer
        and not rests
    )


def candidate_of(credential: Credential) -> Candidate:
    """A stored credential as the choice sees it."""
    host = credential.host
    return Candidate(
        id=credential.pk,
        owner_id=credential.owner_id,
        host_slug=host.slug,
        host_name=host.name,
        host_binding=host.binding_key,
        provider=host.provider,
        web_url=host.web_url,
        api_url=host.api_url,
        kind=credential.kind,
        label=credential.label,
        status=credential.status,
        account_id=credential.account_id,
        account_name=credential.account_name,
        email=credential.email,
        username=credential.username,
        expires_at=credential.expires_at,
        last_verified_at=credential.last_verified_at,
        created_at=credential.created_at,
        generation=credential.generation,
        access_envelope=bytes(credential.access_envelope) if credential.access_envelope else None,
        is_renewable=credential.is_renewable,
        sealed_at=credential.sealed_at,
        organization="",
    )
