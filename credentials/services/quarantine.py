"""Takes credentials out of use at once, on every process, until a person decides; and puts one back.

What is quarantined keeps its secret, and nobody uses it: it is not lent, checked, looked into or refreshed.
Clients are not told; they learn of what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from credentials.errors import Conflict
from credentials.models import Credential, Lease, Notice, QuarantineReason, Status
from credentials.models.credential import WITHDRAWN
from credentials.services import audit, changes, notices, queue
from credentials.services.audit import Actor
from credentials.services.logins import subject_of

# Credentials in one transaction: other writers of the trail wait for one at most.
BATCH = 500
RELEASED = "released from quarantine"

# What can be released. Of the rest the owner is told by what follows, or is not here any more.
_NEWS = {
    QuarantineReason.ADMINISTRATOR: notices.Code.CREDENTIAL_QUARANTINED,
    QuarantineReason.PANIC: notices.Code.CREDENTIAL_QUARANTINED,
}


def quarantine(
    *, actor: Actor, credential: Credential, reason: QuarantineReason, now: datetime
) -> Credential:
    """Take one credential out of use. One that is quarantined already stays as it is.

    From the commit on nothing is lent of it, and its leases have ended. Raises Conflict where it was
    disconnected.
    """
    with transaction.atomic():
        one = Credential.objects.filter(pk=credential.pk).exclude(status__in=WITHDRAWN)
        withdraw(one, actor=actor, reason=reason, now=now)
    credential.refresh_from_db()
    if not credential.is_connected:
        raise Conflict(_("This credential was disconnected. There is nothing left to quarantine."))
    return credential


def quarantine_all(
    *,
    actor: Actor,
    credentials: QuerySet[Credential],
    reason: QuarantineReason,
    now: datetime,
    news: notices.Code | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Take every one of ``credentials`` out of use, in batches; how many there were to take. ``news`` is what
    their owners are told, by default that they can be released.

    May be ended at any point and called again, also twice at the same time.
    """
    done = 0
    while True:
        with transaction.atomic():
            rows = credentials.exclude(status__in=WITHDRAWN).order_by("pk")[:BATCH]
            taken = withdraw(rows, actor=actor, reason=reason, news=news, now=now)
        if not taken:
            return done
        done += len(taken)
        progress(done)


def withdraw(
    rows: QuerySet[Credential],
    *,
    actor: Actor,
    reason: QuarantineReason,
    news: notices.Code | None = None,
    now: datetime,
) -> Sequence[Credential]:
    """Quarantine ``rows`` inside the caller's transaction, whatever they were before.

    A few statements, however many there are. The credentials come first and their leases last: a lease that
    was made in between is seen and ended, too.
    """
    held = list(
        rows.select_related("host", "owner")
        .defer("access_envelope", "refresh_envelope", "fingerprint", "host__client_secret_envelope")
        .select_for_update(of=("self",))
    )
    if not held:
        return held
    keys = [credential.pk for credential in held]
    Credential.objects.filter(pk__in=keys).update(
        status=Status.QUARANTINED,
        quarantine_reason=reason,
        status_detail="",
        refresh_due_at=None,
        refresh_wanted_at=None,
        updated_at=now,
    )
    end_leases(keys, now=now)
    audit.append_all(
        [
            audit.build(
                "credential.quarantined",
                actor=actor,
                subject=subject_of(credential),
                at=now,
                data={"reason": str(reason), "status_before": credential.status},
            )
            for credential in held
        ]
    )
    Notice.objects.filter(credential__in=keys, read_at=None).update(read_at=now)
    told = news or _NEWS.get(reason)
    if told is not None:
        notices.about_credentials(held, told, now=now)
    return held


def end_leases(keys: Sequence[UUID], *, now: datetime) -> int:
    """End what is borrowed of these credentials, inside the caller's transaction; how many leases."""
    running = Lease.objects.filter(credential__in=keys, ended_at=None, expires_at__gt=now)
    return running.update(ended_at=now)


@transaction.atomic
def release(*, actor: Actor, credential: Credential, now: datetime) -> Credential:
    """Put a quarantined credential back into use: not checked yet, and checked by the worker at once.

    One that is not quarantined stays as it is. Raises Conflict where its owner is not active.
    """
    rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
    current = rows.get(pk=credential.pk)
    if current.status != Status.QUARANTINED:
        return current
    if not current.owner.is_active:
        raise Conflict(_("Its owner is not active here. Make the person active again, or hand it over."))
    before = current.quarantine_reason
    put_back(current, now=now)
    current.save()
    audit.record(
        "credential.released",
        actor=actor,
        subject=subject_of(current),
        data={"reason": before, "status_before": Status.QUARANTINED.value, "status": current.status},
    )
    Notice.objects.filter(credential=current, read_at=None).update(read_at=now)
    notices.about_credentials([current], notices.Code.CREDENTIAL_RELEASED, now=now)
    changes.status_changed(current, before=Status.QUARANTINED, now=now)
    queue.verify_later(current.pk, purpose=RELEASED)
    return current


def put_back(current: Credential, *, now: datetime) -> None:
    """What a quarantine took from the row, without saving."""
    current.status, current.status_detail = Status.UNVERIFIED, ""
    current.quarantine_reason, current.is_kept = "", False
    # Its access token may have ended meanwhile: the refresher looks at it first.
    current.refresh_due_at = now if current.is_renewable else None
