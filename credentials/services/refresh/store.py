"""Puts a new pair in the place of the old one, if that is still there; a pair that came too late is revoked."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction

from credentials.models import Credential, Host, Revocation, RevocationReason, Status
from credentials.services import audit, changes, hosts, vault
from credentials.services.logins import subject_of
from credentials.services.refresh import schedule
from credentials.services.refresh.claim import ACTOR, Outcome
from credentials.services.refresh.journal import Pair
from credentials.services.revocation import requests


def store(pair: Pair, *, now: datetime) -> Outcome:
    """Store a pair where its credential is connected and still holds the generation before it.

    Storing it twice changes nothing. ``LATE`` where the account was disconnected, replaced or connected anew
    meanwhile: the pair then waits to be revoked. Raises DatabaseError, AuditUnavailable: try again.
    """
    with transaction.atomic(durable=True):
        rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
        row = rows.filter(pk=pair.credential).first()
        if row is not None and row.is_connected:
            if row.generation == pair.generation - 1:
                _replace(row, pair, now=now)
                return Outcome.REFRESHED
            if (
                row.generation == pair.generation
                and bytes(row.access_envelope or b"") == pair.access_envelope
            ):
                return Outcome.REFRESHED
        _revoke(row or _remembered(pair), pair, now=now)
    return Outcome.LATE


def _replace(row: Credential, pair: Pair, *, now: datetime) -> None:
    before = row.status
    row.generation = pair.generation
    row.access_envelope, row.refresh_envelope = pair.access_envelope, pair.refresh_envelope
    row.key_id, row.fingerprint = pair.key_id, pair.fingerprint
    row.sealed_at, row.expires_at = pair.received_at, pair.expires_at
    row.refresh_ends_at = pair.refresh_ends_at
    row.refresh_due_at = schedule.due_at(received_at=pair.received_at, expires_at=pair.expires_at)
    row.refresh_wanted_at = row.refreshing_since = row.hold_until = None
    row.refreshing_by, row.refresh_failures, row.refusals, row.hold_reason = "", 0, 0, ""
    if pair.scopes is not None:
        row.scopes = list(pair.scopes)
    _settle_status(row)
    row.save()
    audit.record(
        "credential.refreshed",
        actor=ACTOR,
        subject=subject_of(row),
        data={
            "generation": row.generation,
            "status_before": before,
            "status": row.status,
            "envelope_mac": vault.envelope_mac(row),
        },
    )
    _note_accepted_client(row.host)
    changes.status_changed(row, before=before, now=now)


def _settle_status(row: Credential) -> None:
    """A new pair says that the grant lives; whether it may do what it could, only for one given up before."""
    if row.status == Status.EXPIRING:
        row.status = Status.VALID
    elif row.status in {Status.EXPIRED, Status.REJECTED, Status.RECONNECT_REQUIRED}:
        row.status, row.status_detail = Status.UNVERIFIED, ""


def _note_accepted_client(host: Host) -> None:
    if Host.objects.filter(pk=host.pk, client_refused_since__isnull=False).update(client_refused_since=None):
        audit.record("host.client_accepted", actor=ACTOR, subject=hosts.subject_of(host))


def _remembered(pair: Pair) -> Credential:
    """The credential as it was, for a pair whose row has gone with its owner."""
    owner = get_user_model()(pk=pair.owner_id, username=pair.owner_name)
    return Credential(
        pk=pair.credential,
        owner=owner,
        host=Host.objects.get(pk=pair.host),
        kind=pair.kind,
        account_name=pair.account_name,
        oauth_redirect_uri=pair.oauth_redirect_uri,
    )


def _revoke(row: Credential, pair: Pair, *, now: datetime) -> None:
    # The answer of one refresh may be stored by two: by whoever asked, and out of the journal.
    # By the envelope: whoever connected the account anew gave another pair the same generation.
    same = Revocation.objects.filter(row=pair.credential, access_envelope=pair.access_envelope)
    if same.exists():
        return
    requests.of_envelopes(
        row,
        access_envelope=pair.access_envelope,
        refresh_envelope=pair.refresh_envelope,
        generation=pair.generation,
        key_id=pair.key_id,
        reason=RevocationReason.LATE_REFRESH,
        now=now,
    )
