"""The small duties of services/duties.py; each is safe to run twice, also at the same time."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from credentials.conf import conf
from credentials.models import (
    Credential,
    IdempotencyRecord,
    Notice,
    Organization,
    RepositoryAccess,
    Status,
)
from credentials.models.credential import LENDABLE, ended
from credentials.services import audit, audit_proof, changes
from credentials.services.audit import Actor
from credentials.services.logins import subject_of

IDEMPOTENCY_KEPT = timedelta(days=1)
# A season: long enough for the import that is repeated every quarter.
MEMORY_KEPT = timedelta(days=100)
_ACTOR = Actor.system("maintenance")


def drop_idempotency(*, now: datetime) -> int:
    """Forget idempotency keys after a day."""
    return IdempotencyRecord.objects.filter(created_at__lt=now - IDEMPOTENCY_KEPT).delete()[0]


def drop_memories(*, now: datetime) -> int:
    """Forget what nobody has looked at for long: it would be asked again anyway."""
    old = now - MEMORY_KEPT
    lists = (
        RepositoryAccess.objects.filter(checked_at__lt=old),
        Notice.objects.filter(created_at__lt=old),
        Organization.objects.filter(accesses=None, first_seen_at__lt=old).exclude(last_named_at__gte=old),
    )
    return sum(rows.delete()[0] for rows in lists)


def mark_ends(*, now: datetime) -> int:
    """Mark credentials whose known end has come. That it comes near is the calendar's to say.

    An access token that is renewed by itself ends with its refresh token. What was marked by a clock that ran
    ahead is taken back; what the host itself called expired says so in its detail.
    """
    live = Credential.objects.filter(status__in=LENDABLE)
    over = live.filter(_end(lte=now))
    kinds = over.order_by().values_list("kind", flat=True).distinct()
    marked = sum(_mark(over.filter(kind=kind), ended(kind)[0], now=now) for kind in list(kinds))
    # Whatever models/credential.py calls ended.
    early = Credential.objects.filter(
        _end(gt=now), status__in=(Status.EXPIRED, Status.RECONNECT_REQUIRED), status_detail=""
    )
    return marked + _mark(early, Status.UNVERIFIED, now=now)


def _end(**lookup: datetime) -> Q:
    """``Credential.ends_at`` compared, as a query."""
    [(name, moment)] = lookup.items()
    single = Q(refresh_envelope=None, **{f"expires_at__{name}": moment})
    return single | Q(refresh_envelope__isnull=False, **{f"refresh_ends_at__{name}": moment})


def _mark(credentials: QuerySet[Credential], status: Status, *, now: datetime) -> int:
    marked = 0
    for pk in list(credentials.values_list("pk", flat=True)):
        with transaction.atomic():
            # Asked again under its lock: a newer secret may have come meanwhile.
            locked = credentials.select_for_update(of=("self",)).select_related("host", "owner")
            credential = locked.filter(pk=pk).first()
            if credential is None:
                continue
            before, credential.status = credential.status, status
            Credential.objects.filter(pk=pk).update(status=status)
            audit.record(
                "credential.unexpired" if status is Status.UNVERIFIED else "credential.expired",
                actor=_ACTOR,
                subject=subject_of(credential),
                data={"status_before": before, "status": status.value},
            )
            changes.status_changed(credential, before=before, now=now)
            marked += 1
    return marked


def seal(*, now: datetime) -> int:
    """Seal the audit trail, inside and outside the database."""
    return int(audit_proof.seal(now=now, anchor=conf.data_dir / "audit-anchor") is not None)
