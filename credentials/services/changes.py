"""What a change of a credential means to others: its owner is told, and clients that listen.

Every function writes inside the caller's transaction, so that the news exists exactly when the change does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from credentials.models import Credential, OrganizationAccess, RevocationReason, Status, WebhookEvent
from credentials.services import notices
from credentials.services.audit import Actor
from credentials.services.webhooks import outbox

# What clients are told of each status. Of an end that is near the calendar tells. Quarantine is between an
# administrator and the owner: a client learns of it when it asks, and of what follows.
_EVENTS: Mapping[str, WebhookEvent] = {
    Status.VALID: WebhookEvent.CREDENTIAL_CONNECTED,
    Status.LIMITED: WebhookEvent.CREDENTIAL_LIMITED,
    Status.EXPIRED: WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED,
    Status.REJECTED: WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED,
    Status.RECONNECT_REQUIRED: WebhookEvent.CREDENTIAL_RECONNECT_REQUIRED,
}
# Where the owner has to act.
_NOTICES: Mapping[str, notices.Code] = {
    Status.LIMITED: notices.Code.CREDENTIAL_LIMITED,
    Status.EXPIRED: notices.Code.CREDENTIAL_EXPIRED,
    Status.REJECTED: notices.Code.CREDENTIAL_REJECTED,
    Status.RECONNECT_REQUIRED: notices.Code.CREDENTIAL_RECONNECT,
}


def connected(credential: Credential, *, now: datetime) -> None:
    """An account was connected, or connected again, or its token was replaced.

    Its owner has just done it and sees how it went.
    """
    notices.settle(credential, now=now)

    def data() -> Mapping[str, object]:
        return {**_facts(credential, now=now), "organizations": _organizations(credential)}

    outbox.announce(WebhookEvent.CREDENTIAL_CONNECTED, host=credential.host.slug, data=data, now=now)


def status_changed(credential: Credential, *, before: str, now: datetime, actor: Actor | None = None) -> None:
    """The status of ``credential`` is another than ``before``; nothing happens where it is the same.

    The owner needs no mail about what came of a button the owner has just pressed: that is the ``actor``.
    """
    after = credential.status
    if after == before:
        return
    code = _NOTICES.get(after)
    if code is None or not credential.owner.is_active or _is_owner(credential, actor):
        notices.settle(credential, now=now)
    else:
        notices.about_credential(credential, code, now=now)
    event = _EVENTS.get(after)
    if event is not None:
        told = {**_facts(credential, now=now), "status_before": before}
        outbox.announce(event, host=credential.host.slug, data=told, now=now)


def ends_soon(credential: Credential, *, threshold: int, at: datetime | None, now: datetime) -> None:
    """A credential ends within ``threshold`` days; 0, and None for ``at``, where it may end on any day.

    Called once per end and threshold by services/calendar. The status ``expiring`` that comes along is not
    announced apart.
    """

    def data() -> Mapping[str, object]:
        end = {**_end(at, now=now), "threshold": threshold if at else None}
        return {**_facts(credential, now=now), **end}

    outbox.announce(WebhookEvent.CREDENTIAL_EXPIRING, host=credential.host.slug, data=data, now=now)


def disconnected(credential: Credential, *, actor: Actor, reason: RevocationReason, now: datetime) -> None:
    """An account was disconnected, whatever the reason.

    Its owner is told where an administrator did it. Of an emergency stop the owner was told when it came, and
    whoever leaves is not told at all.
    """
    notices.settle(credential, now=now)
    by_another = actor.kind == "user" and not _is_owner(credential, actor)
    if by_another and reason == RevocationReason.DISCONNECTED and credential.owner.is_active:
        notices.about_credentials([credential], notices.Code.CREDENTIAL_CLOSED, now=now)
    told = {**_facts(credential, now=now), "reason": RevocationReason(reason).value}
    outbox.announce(WebhookEvent.CREDENTIAL_DISCONNECTED, host=credential.host.slug, data=told, now=now)


def access_changed(access: OrganizationAccess, *, before: str, now: datetime) -> None:
    """An organization answers another state than ``before``; its first answer ever is no change."""
    credential = access.credential
    if not before or before == access.state:
        return
    told = {
        **_facts(credential, now=now),
        "organization": {"key": access.organization.key, "name": access.organization.name},
        "state": access.state,
        "state_before": before,
        "since": outbox.time_text(access.since),
    }
    outbox.announce(WebhookEvent.ORGANIZATION_ACCESS_CHANGED, host=credential.host.slug, data=told, now=now)


def user_offboarded(*, username: str, credentials: int, now: datetime) -> None:
    """A person was offboarded, with so many credentials."""
    told = {"user": username, "credentials": credentials}
    outbox.announce(WebhookEvent.USER_OFFBOARDED, host="", data=told, now=now)


def _is_owner(credential: Credential, actor: Actor | None) -> bool:
    return actor is not None and actor.kind == "user" and actor.id == str(credential.owner_id)


def _facts(credential: Credential, *, now: datetime) -> dict[str, object]:
    """What a client that acts on the news would otherwise have to ask for."""
    known = bool(credential.account_id or credential.account_name)
    return {
        "credential": str(credential.pk),
        "user": credential.owner.get_username(),
        "host": credential.host.slug,
        "provider": credential.host.provider,
        "kind": credential.kind,
        "label": credential.label,
        "account": {"id": credential.account_id, "name": credential.account_name} if known else None,
        "status": credential.status,
        "status_detail": credential.status_detail,
        "lendable": credential.is_lendable,
        "missing_scopes": list(credential.missing_scopes),
        **_end(credential.ends_at, now=now),
    }


def _end(at: datetime | None, *, now: datetime) -> dict[str, object]:
    """An end, and the whole days until then."""
    if at is None:
        return {"expires_at": None, "days": None}
    return {"expires_at": outbox.time_text(at), "days": max((at - now).days, 0)}


def _organizations(credential: Credential) -> list[dict[str, str]]:
    rows = credential.organizations.order_by("organization__key")
    columns = rows.values_list("organization__key", "organization__name", "state")
    return [{"key": key, "name": name, "state": state} for key, name, state in columns]
