"""Unlinks an account: closed here first, then the provider is asked to kill the token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from credentials.errors import AuditUnavailable
from credentials.models import Credential, Revocation, RevocationReason, Status
from credentials.providers.facts import RevocationResult
from credentials.services import audit, changes
from credentials.services.audit import Actor
from credentials.services.logins import subject_of
from credentials.services.revocation import attempts, receipts, requests


def disconnect(
    *,
    actor: Actor,
    credential: Credential,
    reason: RevocationReason = RevocationReason.DISCONNECTED,
    now: Callable[[], datetime] = timezone.now,
) -> RevocationResult:
    """Disconnect, ask the provider once, and say what became of the token there.

    The row is closed first, so that nothing is lent from that moment, whatever the provider does. Until it
    is proved dead the answer is ``pending``, and the duty goes on; with the page on which its owner can
    revoke it. A second time the present receipt is told, and nobody is asked.
    """
    was_connected = Credential.objects.filter(pk=credential.pk).exclude(status=Status.DISCONNECTED).exists()
    made = close(actor=actor, credential=credential, reason=reason, now=now())
    if made is not None and was_connected:
        # It is closed, which is what was asked for; the duty asks the host when the trail can be written.
        with suppress(AuditUnavailable):
            made = attempts.attempt(made, actor=actor, now=now)
    return receipts.result_of(made)


def close(
    *,
    actor: Actor,
    credential: Credential,
    reason: RevocationReason = RevocationReason.DISCONNECTED,
    now: datetime,
) -> Revocation | None:
    """Close the row for good, and hand its sealed secrets over to be revoked. Asks nobody.

    None where it held no secret. Closing it twice changes nothing: the receipt there is comes back. Inside a
    transaction where there is one, such as that of a person's deletion.
    """
    with transaction.atomic():
        rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
        current = rows.get(pk=credential.pk)
        made = _closed(current, actor=actor, reason=reason, now=now) if current.is_connected else None
    credential.refresh_from_db(from_queryset=Credential.objects.select_related("host", "owner"))
    return made or receipts.of(credential)


def _closed(
    current: Credential, *, actor: Actor, reason: RevocationReason, now: datetime
) -> Revocation | None:
    made = requests.take(current, reason=reason, now=now)
    current.status, current.status_detail = Status.DISCONNECTED, ""
    # A refresh that is under way finds another generation, and its answer is not stored.
    current.generation += 1
    current.disconnected_at = now
    current.save()
    current.organizations.all().delete()
    current.repositories.all().delete()
    current.leases.filter(ended_at=None).update(ended_at=now)
    audit.record(
        "credential.disconnected",
        actor=actor,
        subject=subject_of(current),
        data={"account": current.account_name, "kind": current.kind, "reason": reason.value},
    )
    changes.disconnected(current, actor=actor, reason=reason, now=now)
    return made
