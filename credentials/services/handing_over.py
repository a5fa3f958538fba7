"""Gives a credential another owner: its secret is sealed anew, so that the old owner's binding opens nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, InputInvalid
from credentials.models import Credential, Notice, QuarantineReason, Status
from credentials.models.credential import LENDABLE
from credentials.services import audit, changes, notices, quarantine, queue, vault
from credentials.services.audit import Actor
from credentials.services.logins import lock_active, lock_unchanged, subject_of
from credentials.services.refresh import claim

CHECKED = "handed over"
# Why somebody who leaves has a credential in quarantine; any other quarantine is lifted by a release only.
_OF_LEAVERS = (QuarantineReason.OFFBOARDING, QuarantineReason.KEPT)


def refuse(credential: Credential, *, to: Any, now: datetime) -> None:
    """Raises InputInvalid where ``credential`` cannot become ``to``'s as it is, however often it is tried, and
    Conflict where a refresh of it was interrupted."""
    if not to.is_active or to.pk == credential.owner_id:
        raise InputInvalid(_("Hand it over to another person who is active here."), field="hand_over")
    if credential.status == Status.QUARANTINED and credential.quarantine_reason not in _OF_LEAVERS:
        raise InputInvalid(
            _("This credential is quarantined. Release it before you hand it over."), field="hand_over"
        )
    _refuse_interrupted(credential, now=now)
    if credential.status not in {*LENDABLE, Status.QUARANTINED} or credential.access_envelope is None:
        raise InputInvalid(
            _("This credential does not work any more; there is nothing to hand over."), field="hand_over"
        )
    same = Credential.objects.exclude(status=Status.DISCONNECTED).filter(owner=to, host=credential.host)
    if credential.fingerprint and same.filter(fingerprint=credential.fingerprint).exists():
        raise InputInvalid(_("That person has connected the very same token already."), field="hand_over")


def _refuse_interrupted(credential: Credential, *, now: datetime) -> None:
    """Its refresh token may be spent, which is settled by asking once more: nobody asks with one in quarantine."""
    claimed = credential.status == Status.QUARANTINED and credential.refreshing_since is not None
    if claimed and claim.is_abandoned(credential, now=now):
        raise Conflict(
            _(
                "A refresh of this credential was interrupted. Make its owner active again and release it; the "
                "worker then settles it, and it can be handed over."
            )
        )


def hand_over(*, actor: Actor, credential: Credential, to: Any, now: datetime) -> Credential:
    """Make ``credential`` another person's. What it reaches and what is remembered of it stays; what is lent
    of it ends. Both people are told, and the worker checks it.

    At its host a person's own token stays that person's, whoever has it here. Raises InputInvalid, Conflict
    where it cannot be, AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    refuse(credential, to=to, now=now)
    _refuse_while_refreshing(credential)
    subject = subject_of(credential)
    access = vault.open_credential(
        credential,
        record=lambda: audit.record_durably(
            "credential.opened", actor=actor, subject=subject, purpose="hand over"
        ),
    )
    refresh = (
        vault.unseal_after_audit(bytes(credential.refresh_envelope), credential.binding("refresh"))
        if credential.refresh_envelope is not None
        else None
    )
    return _store(actor=actor, credential=credential, to=to, access=access, refresh=refresh, now=now)


def _refuse_while_refreshing(credential: Credential) -> None:
    """The new pair that a refresh brings would find no credential to belong to, and be revoked."""
    if credential.refreshing_since is not None:
        raise Conflict(_("This credential is being refreshed at this moment. Try again in a minute."))


@transaction.atomic
def _store(
    *, actor: Actor, credential: Credential, to: Any, access: Secret, refresh: Secret | None, now: datetime
) -> Credential:
    lock_active(to)
    current = lock_unchanged(credential)
    if current is None:
        raise Conflict(_("This credential was changed meanwhile. Look at it again, then repeat."))
    refuse(current, to=to, now=now)
    _refuse_while_refreshing(current)
    subject, giver, before = subject_of(current), current.owner, current.status
    current.owner = to
    current.generation += 1
    current.key_id = vault.primary_key_id()
    current.access_envelope = vault.seal_secret(access, current.binding("access"))
    current.refresh_envelope = vault.seal_secret(refresh, current.binding("refresh")) if refresh else None
    current.told = {}  # of the ends that are near the new owner has heard nothing
    if before == Status.QUARANTINED:
        quarantine.put_back(current, now=now)
    current.save()
    quarantine.end_leases([current.pk], now=now)
    audit.record(
        "credential.handed_over",
        actor=actor,
        subject=subject,
        data={
            "to": to.get_username(),
            "account": current.account_name,
            "status": current.status,
            "generation": current.generation,
            "envelope_mac": vault.envelope_mac(current),
        },
    )
    _tell(current, giver=giver, now=now)
    changes.status_changed(current, before=before, now=now)
    queue.verify_later(current.pk, purpose=CHECKED)
    return current


def _tell(current: Credential, *, giver: Any, now: datetime) -> None:
    Notice.objects.filter(credential=current, read_at=None).update(read_at=now)
    taken, given = notices.Code.CREDENTIAL_TAKEN_OVER, notices.Code.CREDENTIAL_GIVEN_AWAY
    notices.about_credentials([current], taken, now=now, person=giver.get_username())
    names = {"person": current.owner.get_username()}
    notices.about_credentials([current], given, now=now, to=giver, **names)
