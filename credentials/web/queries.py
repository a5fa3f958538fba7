"""What the pages read, each in a number of statements that does not grow with what is stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from credentials.errors import NotFound
from credentials.models import (
    AuditEvent,
    Credential,
    Host,
    Lease,
    Notice,
    OrganizationAccess,
    Revocation,
    Status,
)
from credentials.services import calendar, notices

# A page has no use for what is sealed, so it does not even load it.
_SEALED = ("access_envelope", "refresh_envelope", "fingerprint")


def own_credential(user: Any, credential_id: UUID) -> Credential:
    """The user's own connected credential, complete; raises NotFound for anybody else's."""
    credential = (
        Credential.objects.select_related("host", "owner")
        .filter(pk=credential_id, owner=user)
        .exclude(status=Status.DISCONNECTED)
        .first()
    )
    if credential is None:
        raise NotFound("This connection does not exist, or it was disconnected.")
    return credential


def disconnected_credential(user: Any, credential_id: UUID) -> Credential:
    """The user's own credential after it was disconnected; raises NotFound for anything else."""
    rows = Credential.objects.select_related("host", "owner").filter(pk=credential_id, owner=user)
    closed = rows.filter(status=Status.DISCONNECTED).first()
    if closed is None:
        raise NotFound("This connection does not exist, or it is connected.")
    return closed


def own(user: Any) -> QuerySet[Credential]:
    """The user's connected credentials, plainly."""
    return Credential.objects.filter(owner=user).exclude(status=Status.DISCONNECTED)


def own_credentials(user: Any) -> QuerySet[Credential]:
    """The user's connected credentials for showing, each with ``last_used_at`` and what tells its ends."""
    return (
        calendar.prepared(own(user))
        .prefetch_related("organizations__organization")
        .defer(*_SEALED)
        .order_by("host__name", "created_at")
    )


def shown_credential(user: Any, credential_id: UUID) -> Credential:
    """As :func:`own_credential`, for showing only."""
    credential = own_credentials(user).filter(pk=credential_id).first()
    if credential is None:
        raise NotFound("This connection does not exist, or it was disconnected.")
    return credential


def recent_leases(credential: Credential, *, limit: int = 5) -> list[Lease]:
    """The latest borrowings of a credential, newest first."""
    return list(Lease.objects.select_related("client").filter(credential=credential)[:limit])


def open_hosts() -> list[Host]:
    """The hosts people may connect accounts at."""
    return list(Host.objects.filter(is_enabled=True).order_by("name"))


def own_access(user: Any, credential_id: UUID, organization_id: UUID) -> OrganizationAccess:
    """What an organization answers through the user's own connected credential; else raises NotFound."""
    access = _accesses(user, credential_id).filter(organization=organization_id).first()
    if access is None:
        raise NotFound("This connection knows no such organization.")
    return access


def access_by_key(user: Any, credential_id: UUID, key: str) -> OrganizationAccess | None:
    """As above, by the organization's own name; None where there is none."""
    return _accesses(user, credential_id).filter(organization__key=key.lower()).first()


def _accesses(user: Any, credential_id: UUID) -> QuerySet[OrganizationAccess]:
    return (
        OrganizationAccess.objects.select_related("organization", "credential__host", "credential__owner")
        .filter(credential=credential_id, credential__owner=user)
        .exclude(credential__status=Status.DISCONNECTED)
    )


def organization_changes(credential: Credential, *, limit: int = 100) -> dict[str, list[AuditEvent]]:
    """The latest changes on a credential's board by the organization's key, newest first."""
    events = AuditEvent.objects.filter(
        subject_kind="credential", subject_id=str(credential.pk), action="organization.access_changed"
    )
    found: dict[str, list[AuditEvent]] = {}
    for event in events.only("at", "organization", "actor_kind", "actor_name", "data")[:limit]:
        found.setdefault(event.organization, []).append(event)
    return found


def unread_notices(user: Any, *, limit: int = 10) -> list[Notice]:
    """The newest news a person has not read, without counting the rest."""
    return list(notices.unread(user)[:limit])


def own_notice(user: Any, notice_id: UUID) -> Notice:
    """A notice to this person; raises NotFound for anybody else's."""
    notice = Notice.objects.filter(pk=notice_id, user=user).first()
    if notice is None:
        raise NotFound("There is no such notice.")
    return notice


def own_revocation(user: Any, revocation_id: UUID) -> Revocation:
    """The receipt of a token of this person's; raises NotFound for anybody else's."""
    found = (
        Revocation.objects.select_related("host")
        .defer("access_envelope", "refresh_envelope")
        .filter(pk=revocation_id, owner_id=str(user.pk))
        .first()
    )
    if found is None:
        raise NotFound("There is no such token to revoke.")
    return found
