"""Unlinks an account: the secret is destroyed here, and the provider is asked to kill the token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import CryptoError, ForgekeyError
from credentials.models import Credential, RevocationReason, Status
from credentials.providers.facts import Revocation, RevocationResult
from credentials.providers.tokens import Kind
from credentials.services import audit, changes, hosts, oauth, vault
from credentials.services.audit import Actor
from credentials.services.logins import login_of, subject_of


def disconnect(
    *, actor: Actor, credential: Credential, now: Callable[[], datetime] = timezone.now
) -> RevocationResult:
    """Disconnect, and say what became of the token at the provider.

    The row is closed first, so that nothing is lent from that moment, whatever the provider does. Where
    the provider has no call for it, cannot be reached, or the key ring is missing, the answer is
    ``manual`` with the page on which its owner revokes the token.
    """
    if not credential.is_connected:
        return RevocationResult(outcome=Revocation.ALREADY_INVALID)
    token = _take_secret(actor=actor, credential=credential, now=now())
    result = _revoke(credential, token, actor=actor, now=now)
    audit.record(
        "credential.revocation",
        actor=actor,
        subject=subject_of(credential),
        data={"revocation": result.outcome.value},
    )
    return result


def _take_secret(*, actor: Actor, credential: Credential, now: datetime) -> Secret | None:
    """Close the row and destroy what it stored; the secret itself, for the one call that revokes it."""
    with transaction.atomic(durable=True):
        current = Credential.objects.select_for_update().select_related("host", "owner").get(pk=credential.pk)
        blob, binding = current.access_envelope, current.binding("access")
        current.status, current.status_detail = Status.DISCONNECTED, ""
        current.access_envelope = current.refresh_envelope = current.fingerprint = None
        current.key_id = ""
        current.disconnected_at = now
        current.generation += 1
        current.save()
        current.organizations.all().delete()
        current.repositories.all().delete()
        current.leases.filter(ended_at=None).update(ended_at=now)
        audit.record(
            "credential.disconnected",
            actor=actor,
            subject=subject_of(current),
            data={"account": current.account_name, "kind": current.kind},
        )
        changes.disconnected(current, reason=RevocationReason.DISCONNECTED, now=now)
    credential.refresh_from_db()
    try:
        return vault.unseal_after_audit(bytes(blob), binding) if blob is not None else None
    except CryptoError:
        return None


def _revoke(
    credential: Credential, token: Secret | None, *, actor: Actor, now: Callable[[], datetime]
) -> RevocationResult:
    provider = hosts.provider_of(credential.host, now=now)
    by_hand = RevocationResult(outcome=Revocation.MANUAL, manual_url=provider.guide().manage_url)
    if token is None:
        return by_hand
    try:
        return provider.revoke(
            login_of(credential, token), client_secret=_client_secret(credential, actor=actor)
        )
    except ForgekeyError:
        return by_hand


def _client_secret(credential: Credential, *, actor: Actor) -> Secret | None:
    """What the host's app needs to revoke its own tokens; a token made by hand needs none."""
    if credential.kind not in {Kind.OAUTH, Kind.APP_TOKEN} or not credential.host.offers_oauth:
        return None
    return oauth.open_client_secret(credential.host, actor=actor, purpose="revocation")
