"""What depends on credentials: who borrowed them lately, and which organizations nobody else opens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from credentials.models import AccessState, Lease, Organization, OrganizationAccess
from credentials.models.credential import LENDABLE

LATELY = timedelta(days=90)
# Lines of one list; those borrowed last come first.
MOST = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependent:
    """One client that borrowed one credential for one repository, and why it did so last.

    ``is_active``: it was to have what it borrowed for longer, so that a job may be running with it.
    """

    client: str
    repository: str
    purpose: str
    last_borrowed_at: datetime
    credential: UUID
    is_active: bool


def borrowers(credentials: Collection[UUID], *, now: datetime) -> list[Dependent]:
    """Who borrowed these credentials in the last 90 days, whoever owns them by now."""
    newest = Window(
        RowNumber(),
        partition_by=[F("client"), F("credential"), F("repository_url")],
        order_by=F("created_at").desc(),
    )
    rows = (
        Lease.objects.filter(credential__in=credentials, created_at__gt=now - LATELY)
        .annotate(place=newest)
        .filter(place=1)
        .select_related("client")
        .order_by("-created_at")
    )
    return [
        Dependent(
            client=lease.client.name,
            repository=lease.repository_url,
            purpose=lease.purpose,
            last_borrowed_at=lease.created_at,
            credential=lease.credential_id,
            is_active=lease.expires_at > now,
        )
        for lease in rows[:MOST]
    ]


def going_dark(credentials: Collection[UUID]) -> Sequence[Organization]:
    """The organizations that let in one of these credentials and nobody else's that works."""
    opened = OrganizationAccess.objects.filter(state=AccessState.ACCESSIBLE)
    others = opened.exclude(credential__in=credentials).filter(
        credential__status__in=LENDABLE, credential__owner__is_active=True
    )
    mine = opened.filter(credential__in=credentials)
    return list(
        Organization.objects.select_related("host")
        .filter(pk__in=mine.values("organization"))
        .exclude(pk__in=others.values("organization"))
        .order_by("host__slug", "key")
    )
