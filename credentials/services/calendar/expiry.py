"""Puts an end date right by hand, where the host does not tell it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from credentials.errors import Conflict, InputInvalid
from credentials.models import Credential, Status
from credentials.models.credential import ended, is_near
from credentials.providers import registry
from credentials.providers.tokens import Kind
from credentials.services import audit, notices
from credentials.services.audit import Actor
from credentials.services.logins import subject_of

# What stands for a date, in the memory of warnings.
_DATES = ("expiry", "longest")


def can_set_expiry(credential: Credential) -> bool:
    """Whether a person may say when it ends: its host does not, and no consent gave it a date."""
    provider = registry.get(credential.host.provider)
    return not provider.tells_expiry and credential.kind not in {Kind.OAUTH, Kind.APP_TOKEN}


@transaction.atomic
def set_expiry(
    *, actor: Actor, credential: Credential, expires_at: datetime | None, now: datetime
) -> Credential:
    """Store when a token ends; None where it has no date. Warnings begin anew.

    Raises InputInvalid for a date that is over, and where the host tells the date itself; Conflict where the
    credential was disconnected.
    """
    rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
    row = rows.get(pk=credential.pk)
    if not row.is_connected:
        raise Conflict(_("This credential was disconnected. Connect the account again instead."))
    if not can_set_expiry(row):
        text = _("The host itself tells when this connection ends; its answer counts.")
        raise InputInvalid(text, field="expires_at")
    if expires_at is not None and expires_at <= now:
        raise InputInvalid(_("This date is not in the future."), field="expires_at")
    if expires_at == row.expires_at:
        return row
    row.expires_at = expires_at
    row.status = _status_by_date(row, now)
    row.told = {kind: told for kind, told in row.told.items() if kind not in _DATES}
    row.save(update_fields=["expires_at", "status", "told", "updated_at"])
    notices.read_ends(row, kinds=_DATES, now=now)
    data = {"expires_at": expires_at.isoformat() if expires_at else "", "status": row.status}
    audit.record("credential.expiry_set", actor=actor, subject=subject_of(row), data=data)
    return row


def _status_by_date(row: Credential, now: datetime) -> str:
    """The status, where only the date had made it what it is: the host itself has refused nothing."""
    if row.status in {Status.VALID, Status.EXPIRING}:
        return Status.EXPIRING if is_near(row.kind, row.expires_at, now=now) else Status.VALID
    if row.status == ended(row.kind)[0] and not row.status_detail:
        return Status.UNVERIFIED
    return row.status
