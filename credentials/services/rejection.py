"""What becomes of a credential whose token its host calls dead."""

from __future__ import annotations

from datetime import datetime, timedelta

from credentials.errors import AddressForbidden, ProviderError, TokenRejected
from credentials.models import Credential, Status
from credentials.models.credential import LENDABLE, ended
from credentials.providers.base import Provider
from credentials.providers.facts import Login
from credentials.providers.tokens import Kind
from credentials.services import audit, changes, holds
from credentials.services.audit import Actor
from credentials.services.logins import subject_of
from credentials.verdicts import VerdictCode

DEAD = (VerdictCode.TOKEN_REJECTED, VerdictCode.TOKEN_EXPIRED, VerdictCode.TOKEN_REVOKED)

# How long a fresh token may be unknown to some of its provider's servers.
LAG = timedelta(minutes=2)


def failed_status(credential: Credential, code: VerdictCode) -> Status:
    """The status of a credential whose token the provider confirmed to be dead."""
    if code is VerdictCode.TOKEN_EXPIRED:
        return ended(credential.kind)[0]
    if credential.kind in {Kind.OAUTH, Kind.APP_TOKEN}:
        return Status.RECONNECT_REQUIRED
    return Status.REJECTED


def may_lag(credential: Credential, *, now: datetime) -> bool:
    """A provider's replicas may not know a token yet that another of them has just made."""
    is_young = credential.sealed_at is not None and now - credential.sealed_at < LAG
    return is_young and credential.kind == Kind.OAUTH


def confirm(provider: Provider, login: Login) -> TokenRejected | None:
    """Ask the one question every living token may ask; what else went wrong says nothing about it."""
    try:
        provider.verify(login)
    except TokenRejected as problem:
        return problem
    except (ProviderError, AddressForbidden):
        return None
    return None


def note(current: Credential, code: VerdictCode, *, actor: Actor, now: datetime) -> bool:
    """Mark the locked row ``current`` dead and let it rest; False where that is not certain yet, because its
    token may be too young to tell, or can be renewed.

    One that was quarantined meanwhile stays so: only a person takes that back.
    """
    if current.is_renewable and current.status in LENDABLE:
        # The token is of no use, but the grant may live: the refresher finds out.
        Credential.objects.filter(pk=current.pk).update(expires_at=now, refresh_due_at=now)
        return False
    holds.note_refusal(current, now=now)
    if may_lag(current, now=now):
        return False
    before = current.status
    if before not in LENDABLE:
        return True
    current.status, current.status_detail = failed_status(current, code), code.value
    current.save(update_fields=["status", "status_detail", "updated_at"])
    audit.record(
        "credential.verified",
        actor=actor,
        subject=subject_of(current),
        data={"verdict": code.value, "status_before": before, "status": current.status},
    )
    changes.status_changed(current, before=before, actor=actor, now=now)
    return True
