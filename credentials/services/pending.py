"""Links an account by OAuth: what the flow brought back waits, sealed, until its owner confirms it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import Conflict, NotFound, ProviderUnreachable, TokenNotAccepted
from credentials.models import Credential, Host, PendingConnection, Status
from credentials.providers.facts import Login, OrganizationState
from credentials.providers.grants import OAuthGrant
from credentials.providers.tokens import Kind
from credentials.services import audit, hosts, vault
from credentials.services.audit import Actor
from credentials.services.connect import (
    Connected,
    give_up_secret,
    new_credential,
    put_secret,
    refusal,
    refuse_another_account,
    refuse_quarantined,
    save_with_facts,
)
from credentials.services.logins import lock_active
from credentials.services.rejection import DEAD
from credentials.services.revocation import requests
from credentials.services.verify import Look, look
from credentials.verdicts import VerdictCode

# What a person is not warned of before linking: what lets in, and what nobody can say anything about.
_NOT_IN_THE_WAY = {OrganizationState.ACCESSIBLE, OrganizationState.UNKNOWN, OrganizationState.NO_MEMBERSHIP}
# Seconds between the looks at a token that its own provider does not know yet.
_PAUSES = (0.5, 1.0, 2.0)


def receive_grant(
    *,
    actor: Actor,
    user: Any,
    host: Host,
    grant: OAuthGrant,
    reconnects: Credential | None,
    redirect_uri: str = "",
    now: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> PendingConnection:
    """Keep what an OAuth flow brought back, sealed, until its owner confirms it.

    ``redirect_uri`` is the one of the flow: some providers want it again at each refresh. Raises
    TokenNotAccepted where the provider refuses what it gave for another reason than not knowing it, or where
    a reconnect answered for another account; ProviderUnreachable where nobody could be asked whose it is, or
    the provider does not know its own token even after a few seconds (``sleep`` waits).
    """
    try:
        found = _welcome(host, grant, reconnects=reconnects, now=now, sleep=sleep)
    except (TokenNotAccepted, ProviderUnreachable):
        # What the host granted lives on there, and nobody will keep it.
        with transaction.atomic():
            requests.of_grant(grant, owner=user, host=host, now=now())
        raise
    assert found.proof is not None  # or it would not be welcome
    scopes = grant.scopes if grant.scopes is not None else found.proof.scopes
    return _seal_pending(
        actor=actor,
        pending=PendingConnection(user=user, host=host, reconnects=reconnects),
        grant=grant,
        found=found,
        scopes=scopes,
        redirect_uri=redirect_uri,
        now=now(),
    )


def _welcome(
    host: Host,
    grant: OAuthGrant,
    *,
    reconnects: Credential | None,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Look:
    found = _look_patiently(host, Login(token=grant.access, kind=Kind.OAUTH), now=now, sleep=sleep)
    if found.proof is None:
        if found.known and found.verdict.code not in DEAD:
            raise TokenNotAccepted(found.verdict)
        raise ProviderUnreachable(f"{host.name} did not say whose account this is.")
    if reconnects is not None:
        refuse_another_account(reconnects, found)
    return found


def _look_patiently(
    host: Host, login: Login, *, now: Callable[[], datetime], sleep: Callable[[float], None]
) -> Look:
    """A token made a moment ago may be unknown to the next of the provider's servers."""
    found = look(host, login, now=now)
    for pause in _PAUSES:
        if found.verdict.code not in DEAD:
            break
        sleep(pause)
        found = look(host, login, now=now)
    return found


@transaction.atomic
def _seal_pending(
    *,
    actor: Actor,
    pending: PendingConnection,
    grant: OAuthGrant,
    found: Look,
    scopes: tuple[str, ...] | None,
    redirect_uri: str,
    now: datetime,
) -> PendingConnection:
    assert found.proof is not None  # receive_grant refused everything else
    identity = found.proof.identity
    expires_in, refresh_ends_in = grant.expires_in, grant.refresh_expires_in
    pending.facts = {
        "account_id": identity.account_id if identity else "",
        "account_name": identity.account_name if identity else "",
        "scopes": list(scopes) if scopes is not None else None,
        "expires_at": (now.timestamp() + expires_in) if expires_in else None,
        "refresh_ends_at": (now.timestamp() + refresh_ends_in) if refresh_ends_in else None,
        "redirect_uri": redirect_uri,
        "organizations": [
            fact.name or fact.key
            for fact in found.organizations
            if fact.state is OrganizationState.ACCESSIBLE
        ],
        "closed_organizations": [
            [fact.name or fact.key, fact.state.value]
            for fact in found.organizations
            if fact.state not in _NOT_IN_THE_WAY
        ],
    }
    pending.expires_at = now + conf.pending_duration
    pending.access_envelope = vault.seal_secret(grant.access, pending.binding("access"))
    if grant.refresh is not None:
        pending.refresh_envelope = vault.seal_secret(grant.refresh, pending.binding("refresh"))
    pending.save(force_insert=True)
    audit.record(
        "connection.pending",
        actor=actor,
        subject=replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id)),
        data={"account": pending.facts["account_name"], "scopes": list(scopes or ())},
    )
    return pending


def get(*, user: Any, pending_id: UUID, now: datetime) -> PendingConnection:
    """The user's own pending connection; raises NotFound where it is gone or its time is over."""
    pending = (
        PendingConnection.objects.select_related("host", "reconnects")
        .filter(pk=pending_id, user=user, user__is_active=True, expires_at__gt=now)
        .first()
    )
    if pending is None:
        raise NotFound("This connection was confirmed already, or waited too long. Start again.")
    return pending


def confirm(
    *, actor: Actor, pending: PendingConnection, now: Callable[[], datetime] = timezone.now
) -> Connected:
    """Turn a pending connection into a credential, or into the new secret of the one it reconnects.

    Connecting an account again keeps its credential's id. Fewer scopes never replace more: raises
    TokenNotAccepted (``scope_missing``) and keeps what there is; Conflict where the host is switched off.
    """
    _refuse_switched_off(pending)
    subject = replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id))
    audit.record_durably("connection.confirmed", actor=actor, subject=subject)
    access = vault.unseal_after_audit(bytes(pending.access_envelope), pending.binding("access"))
    refresh = (
        vault.unseal_after_audit(bytes(pending.refresh_envelope), pending.binding("refresh"))
        if pending.refresh_envelope is not None
        else None
    )
    found = look(pending.host, Login(token=access, kind=Kind.OAUTH), now=now)
    if found.known and found.proof is None and found.verdict.code not in DEAD:
        raise TokenNotAccepted(found.verdict)
    return _store_grant(actor=actor, pending=pending, access=access, refresh=refresh, found=found, now=now())


@transaction.atomic
def _store_grant(
    *,
    actor: Actor,
    pending: PendingConnection,
    access: Secret,
    refresh: Secret | None,
    found: Look,
    now: datetime,
) -> Connected:
    # The person before what waits, as everybody does who closes both.
    lock_active(pending.user)
    if not PendingConnection.objects.select_for_update().filter(pk=pending.pk).exists():
        raise Conflict(_("This connection was confirmed already."))
    _refuse_switched_off(pending)
    credential = _reconnected(pending) or new_credential(owner=pending.user, host=pending.host)
    created = credential.generation == 0
    if not created:
        refuse_quarantined(credential)
        _refuse_fewer_scopes(credential, pending)
        give_up_secret(credential, for_the_sake_of=access, now=now)
    credential.kind = Kind.OAUTH.value
    credential.account_id = pending.facts["account_id"]
    credential.account_name = pending.facts["account_name"]
    credential.oauth_client_id = pending.host.client_id
    credential.oauth_redirect_uri = pending.facts.get("redirect_uri", "")
    credential.expires_at = _time_of(pending.facts["expires_at"], now=now)
    credential.refresh_ends_at = _time_of(pending.facts.get("refresh_ends_at"), now=now)
    credential.status = Status.UNVERIFIED
    put_secret(credential, access=access, refresh=refresh, now=now)
    save_with_facts(
        credential,
        found,
        actor=actor,
        action="credential.connected" if created else "credential.reconnected",
        now=now,
    )
    if pending.facts["scopes"] is not None and credential.scopes is None:
        credential.scopes = pending.facts["scopes"]
        credential.save(update_fields=["scopes"])
    pending.delete()
    return Connected(credential=credential, verdict=found.verdict, created=created)


def _refuse_switched_off(pending: PendingConnection) -> None:
    """An emergency stop switches the host off, then throws away what waits there: whoever holds the row of a
    pending connection sees here which of the two came first."""
    if not Host.objects.filter(pk=pending.host_id, is_enabled=True).exists():
        raise Conflict(_("%(host)s is switched off here at present.") % {"host": pending.host.name})


def _time_of(seconds: float | None, *, now: datetime) -> datetime | None:
    return datetime.fromtimestamp(seconds, tz=now.tzinfo) if seconds else None


def _reconnected(pending: PendingConnection) -> Credential | None:
    """The credential this grant renews: the one that was named, else the same account's."""
    live = Credential.objects.select_for_update().exclude(status=Status.DISCONNECTED)
    if pending.reconnects_id:
        return live.filter(pk=pending.reconnects_id, owner=pending.user).first()
    if not pending.facts["account_id"]:
        return None
    return live.filter(
        owner=pending.user,
        host=pending.host,
        kind=Kind.OAUTH.value,
        account_id=pending.facts["account_id"],
    ).first()


def _refuse_fewer_scopes(credential: Credential, pending: PendingConnection) -> None:
    granted = pending.facts["scopes"]
    lost = sorted(set(credential.scopes or ()) - set(granted or ()))
    if granted is None or not lost or not credential.is_lendable:
        return
    raise TokenNotAccepted(refusal(VerdictCode.SCOPE_MISSING, pending.host, scopes=", ".join(lost)))


@transaction.atomic
def cancel(*, actor: Actor, pending: PendingConnection, now: datetime) -> None:
    """Throw a pending connection away; what the host granted is revoked there (the duty asks it)."""
    if _dropped(pending.pk, now=now):
        subject = replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id))
        audit.record("connection.canceled", actor=actor, subject=subject)


def drop_expired(*, actor: Actor, now: datetime) -> int:
    """Throw away, and have revoked, what nobody confirmed in time; how many there were."""
    over = PendingConnection.objects.filter(expires_at__lt=now).select_related("host")
    dropped = 0
    for pending in over.order_by("expires_at"):
        with transaction.atomic():
            cancel(actor=actor, pending=pending, now=now)
            dropped += 1
    return dropped


def _dropped(pk: UUID, *, now: datetime) -> bool:
    """Hand the grant over to be revoked, and delete the row; False where somebody did already."""
    rows = PendingConnection.objects.select_for_update(of=("self",)).select_related("host", "user")
    current = rows.filter(pk=pk).first()
    if current is None:
        return False
    requests.of_pending(current, now=now)
    current.delete()
    return True


def decline_all(*, actor: Actor, waiting: QuerySet[PendingConnection], now: datetime) -> int:
    """Throw away, and have revoked, what is not to be confirmed any more, inside the caller's transaction; how
    many there were. One that is being confirmed at this moment is waited for."""
    found = list(waiting.select_related("host"))
    for pending in found:
        cancel(actor=actor, pending=pending, now=now)
    return len(found)
