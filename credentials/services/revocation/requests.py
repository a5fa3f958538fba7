"""Takes a secret out of its credential, still sealed, to be killed at its host.

Everything here writes inside the caller's transaction and opens nothing: the envelopes move as they are,
bound to where they came from.
"""

from __future__ import annotations

from copy import copy
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db import transaction

from credentials.crypto.envelope import key_id_of
from credentials.models import (
    Credential,
    Host,
    PendingConnection,
    Revocation,
    RevocationReason,
    RevocationState,
)
from credentials.models.pending import PENDING_GENERATION
from credentials.providers.grants import OAuthGrant
from credentials.providers.tokens import Kind
from credentials.services import audit, hosts, vault
from credentials.services.audit import Actor, Subject

_ACTOR = Actor.system("revocation")
SETTLED = "a newer pair of tokens came later and is revoked by itself"


def subject_of(revocation: Revocation) -> Subject:
    """A revocation as an audit event names it: by the credential that the secret was of."""
    return Subject(
        kind="connection" if revocation.reason == RevocationReason.DECLINED else "credential",
        id=str(revocation.row),
        name=str(revocation),
        owner_id=revocation.owner_id,
        owner_name=revocation.owner_name,
        host=revocation.host.slug,
    )


def take(credential: Credential, *, reason: RevocationReason, now: datetime) -> Revocation | None:
    """Move the envelopes of a locked credential into a revocation; None where it holds none.

    ``credential`` is left without them, and without a refresh under way; the caller saves it, with a newer
    generation, and records the event, in the same transaction.
    """
    if credential.access_envelope is None:
        return None
    made = _from_credential(credential, reason=reason, now=now)
    made.credential = credential
    made.generation, made.key_id = credential.generation, credential.key_id
    made.access_envelope, made.refresh_envelope = credential.access_envelope, credential.refresh_envelope
    made.in_doubt = credential.refreshing_since is not None
    made.save(force_insert=True)
    credential.access_envelope = credential.refresh_envelope = credential.fingerprint = None
    credential.key_id = credential.refreshing_by = ""
    credential.refreshing_since = credential.refresh_due_at = credential.refresh_wanted_at = None
    return made


@transaction.atomic
def of_envelopes(
    credential: Credential,
    *,
    access_envelope: bytes,
    refresh_envelope: bytes | None,
    generation: int,
    key_id: str,
    reason: RevocationReason,
    mark: str = "",
    now: datetime,
) -> Revocation:
    """A revocation of a pair that came too late, sealed for ``credential`` at ``generation``, out of the
    refresh that ``mark`` names.

    The credential's row may be gone. What was in doubt about its older pairs is settled by it: the pair
    that nobody knew of is this one.
    """
    made = _from_credential(credential, reason=reason, now=now)
    made.credential = Credential.objects.select_for_update(of=("self",)).filter(pk=credential.pk).first()
    made.generation, made.key_id, made.mark = generation, key_id, mark
    made.access_envelope, made.refresh_envelope = access_envelope, refresh_envelope
    made.save(force_insert=True)
    _settle_doubt(credential, now=now)
    audit.record(
        "credential.revocation",
        actor=_ACTOR,
        subject=subject_of(made),
        data={"revocation": made.state, "reason": made.reason, "generation": generation},
    )
    return made


def _settle_doubt(credential: Credential, *, now: datetime) -> None:
    """The older pair made no other pair than the one that has just come."""
    older = Revocation.objects.filter(row=credential.pk, in_doubt=True)
    older.filter(state=RevocationState.PENDING).update(in_doubt=False)
    # These were left to a person for the doubt alone; of the old pair itself nothing lives.
    older.filter(state=RevocationState.MANUAL).update(
        state=RevocationState.ALREADY_INVALID,
        in_doubt=False,
        evidence=SETTLED,
        manual_url="",
        finished_at=now,
    )


def of_pending(pending: PendingConnection, *, now: datetime) -> Revocation:
    """A revocation of what an OAuth flow brought and its owner never confirmed; the caller deletes the row."""
    made = _unconfirmed(owner=pending.user, host=pending.host, account=pending.facts, now=now)
    made.row = pending.pk
    made.access_envelope, made.refresh_envelope = pending.access_envelope, pending.refresh_envelope
    made.key_id = key_id_of(pending.access_envelope)
    made.save(force_insert=True)
    return made


def of_grant(grant: OAuthGrant, *, owner: Any, host: Host, now: datetime) -> Revocation:
    """A revocation of what a token endpoint has just given and nobody will keep."""
    made = _unconfirmed(owner=owner, host=host, account={}, now=now)
    made.row = uuid4()
    seal_pair(made, grant)
    made.save(force_insert=True)
    return made


def again(revocation: Revocation, *, now: datetime) -> Revocation:
    """The same request once more, for another pair; the caller saves it."""
    made = copy(revocation)
    made.pk, made._state.adding = uuid4(), True
    made.state, made.attempts, made.evidence = RevocationState.PENDING, 0, ""
    made.next_attempt_at, made.claimed_until = now, None
    made.finished_at = made.verified_at = made.accepted_at = made.acknowledged_at = None
    return made


def seal_pair(revocation: Revocation, grant: OAuthGrant) -> None:
    """Put a pair into a revocation, in place of the one it was made from; the caller saves it.

    A grant without a refresh token leaves the old one as it is (RFC 6749 section 6).
    """
    revocation.key_id = vault.primary_key_id()
    revocation.access_envelope = vault.seal_secret(grant.access, revocation.binding("access"))
    if grant.refresh is not None:
        revocation.refresh_envelope = vault.seal_secret(grant.refresh, revocation.binding("refresh"))


def _unconfirmed(*, owner: Any, host: Host, account: dict[str, Any], now: datetime) -> Revocation:
    made = _blank(host, kind=Kind.OAUTH, reason=RevocationReason.DECLINED, now=now)
    made.owner_id, made.owner_name = str(owner.pk), owner.get_username()
    made.account_name = account.get("account_name", "")
    made.oauth_redirect_uri = account.get("redirect_uri", "")
    made.generation = PENDING_GENERATION
    return made


def _from_credential(credential: Credential, *, reason: RevocationReason, now: datetime) -> Revocation:
    made = _blank(credential.host, kind=Kind(credential.kind), reason=reason, now=now)
    made.row, made.owner_id = credential.pk, str(credential.owner_id)
    made.owner_name = _name_of_owner(credential)
    made.label, made.account_name = credential.label, credential.account_name
    made.email, made.username = credential.email, credential.username
    made.oauth_redirect_uri = credential.oauth_redirect_uri
    return made


def _name_of_owner(credential: Credential) -> str:
    """What is known of it already counts: the person may be gone from the database."""
    if not Credential._meta.get_field("owner").is_cached(credential):
        owner = get_user_model().objects.filter(pk=credential.owner_id).first()
        return owner.get_username() if owner is not None else ""
    return credential.owner.get_username()


def _blank(host: Host, *, kind: Kind, reason: RevocationReason, now: datetime) -> Revocation:
    return Revocation(
        host=host,
        kind=kind.value,
        reason=reason,
        manual_url=hosts.provider_of(host).revocation_page(kind),
        requested_at=now,
        next_attempt_at=now,
    )
