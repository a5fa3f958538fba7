"""One refresh, from the claim to the stored pair."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error, connection, transaction
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import (
    AddressError,
    AuditUnavailable,
    CryptoError,
    ProviderError,
    ProviderRateLimited,
    TokenRejected,
)
from credentials.models import AuditEvent, Credential, Host, Status
from credentials.models.audit import Action
from credentials.providers.grants import CLIENT_REFUSED, OAuthGrant
from credentials.services import audit, changes, database, hosts, oauth, processes, vault
from credentials.services.circuit_breaker import NOT_ASKED
from credentials.services.logins import subject_of
from credentials.services.processes import Kind
from credentials.services.refresh import claim, heal, journal, schedule
from credentials.services.refresh.claim import ACTOR, Claim, Outcome, Result
from credentials.services.refresh.journal import Entry, Pair
from credentials.services.refresh.store import store
from credentials.verdicts import VerdictCode

logger = logging.getLogger("credentials.refresh")

# A refusal is asked for once more after so long, before a person is sent to connect again.
_SECOND_LOOK = 1.0
# So many grants of one host refused within ten minutes is the host's mistake, not its users': wait instead.
MANY, MANY_WITHIN = 20, timedelta(minutes=10)
# Between the tries to store a pair; afterwards it waits in the journal.
_STORE_PAUSES = (0.2, 1.0, 3.0)


def refresh(
    credential_id: UUID,
    *,
    need: timedelta | None,
    distrust: int | None = None,
    now: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Renew the token of a credential that lives for less than ``need``; see the package for the order.

    Without ``need`` the row says itself whether it is due, or wanted.

    ``distrust`` is a generation whose token the host has refused. Raises CryptoError, ConfigurationError,
    OSError, DatabaseError and AuditUnavailable for what failed before the provider was called.
    """
    vault.prove_sealing()
    vault.purpose_key(vault.FINGERPRINT)
    # Whoever finds the claim asks whether this process lives; one call is shorter than its sign of life lasts.
    processes.beat(Kind.PASSING, now=database.now())
    mark = claim.new_mark()
    entry = journal.prepare(f"{credential_id}.{mark.rpartition('#')[2]}")
    with claim.in_flight(mark):
        try:
            taken = claim.take(credential_id, by=mark, need=need, distrust=distrust, now=now)
        except BaseException:
            entry.remove()
            raise
        if isinstance(taken, Result):
            entry.remove()
            return taken
        answered = heal.answered(taken, now=now) if taken.interrupted else None
        if answered is not None:
            entry.remove()
            return Result(outcome=answered)
        return _ask(taken, entry, now=now, sleep=sleep)


def _ask(
    taken: Claim, entry: Entry, *, now: Callable[[], datetime], sleep: Callable[[float], None]
) -> Result:
    asked_at = now()
    try:
        grant = _answer(taken, now=now, sleep=sleep)
    except TokenRejected as problem:
        entry.remove()
        return _refused(taken, problem, now=now())
    except (ProviderError, AddressError, CryptoError) as problem:
        entry.remove()
        return _failed(taken, problem, now=now())
    pair = _sealed(taken.credential, grant, by=taken.by, received_at=asked_at)
    del grant
    _write_down(entry, pair)
    outcome = _stored(pair, now=now, sleep=sleep)
    if outcome is None:
        # The database does not answer. The journal keeps the pair, and heal.py stores it.
        return Result(outcome=Outcome.FAILED)
    entry.remove()
    return Result(outcome=outcome)


def _answer(taken: Claim, *, now: Callable[[], datetime], sleep: Callable[[float], None]) -> OAuthGrant:
    """Ask; a refusal is asked for once more, unless somebody else stored a new pair meanwhile."""
    row = taken.credential
    assert row.refresh_envelope is not None  # claim.is_possible looked
    assert row.host.client_secret_envelope is not None  # as above
    # The claim's event is durable, and says what it opens.
    token = vault.unseal_after_audit(bytes(row.refresh_envelope), row.binding("refresh"))
    binding = row.host.client_secret_binding(row.host.client_secret_generation)
    client_secret = vault.unseal_after_audit(bytes(row.host.client_secret_envelope), binding)
    try:
        return _renew(row, token, client_secret, now=now)
    except TokenRejected:
        if not _is_unchanged(row):
            raise
        sleep(_SECOND_LOOK)
        return _renew(row, token, client_secret, now=now)


def _renew(
    row: Credential, token: Secret, client_secret: Secret, *, now: Callable[[], datetime]
) -> OAuthGrant:
    grant = oauth.renew(
        host=row.host,
        refresh=token,
        client_secret=client_secret,
        redirect_uri=row.oauth_redirect_uri,
        now=now,
    )
    # A provider that does not rotate sends none, and the old one stays good (RFC 6749 section 6).
    return grant if grant.refresh is not None else grant.with_refresh(token)


def _is_unchanged(row: Credential) -> bool:
    return Credential.objects.filter(pk=row.pk, generation=row.generation).exists()


def _sealed(row: Credential, grant: OAuthGrant, *, by: str, received_at: datetime) -> Pair:
    assert grant.refresh is not None  # _renew put the old one in its place
    generation = row.generation + 1
    return Pair(
        credential=row.pk,
        owner_id=str(row.owner_id),
        owner_name=row.owner.get_username(),
        host=row.host_id,
        kind=row.kind,
        account_name=row.account_name,
        oauth_redirect_uri=row.oauth_redirect_uri,
        generation=generation,
        by=by,
        key_id=vault.primary_key_id(),
        access_envelope=vault.seal_booked(grant.access, row.binding("access", generation=generation)),
        refresh_envelope=vault.seal_booked(grant.refresh, row.binding("refresh", generation=generation)),
        fingerprint=vault.fingerprint(grant.access),
        received_at=received_at,
        expires_at=_after(received_at, grant.expires_in),
        refresh_ends_at=_after(received_at, grant.refresh_expires_in),
        scopes=grant.scopes,
    )


def _after(moment: datetime, seconds: int | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds else None


def _write_down(entry: Entry, pair: Pair) -> None:
    try:
        entry.write(pair)
    except OSError as problem:
        # Its room was made before; the pair is in memory yet, and goes to the database all the same.
        logger.error("the refresh journal cannot be written: %s", type(problem).__name__)


def _stored(pair: Pair, *, now: Callable[[], datetime], sleep: Callable[[float], None]) -> Outcome | None:
    for pause in (*_STORE_PAUSES, None):
        try:
            return store(pair, now=now())
        except (Error, AuditUnavailable) as problem:
            logger.error("a new pair cannot be stored yet: %s", type(problem).__name__)
            connection.close_if_unusable_or_obsolete()
        if pause is not None:
            sleep(pause)
    return None


def _refused(taken: Claim, problem: TokenRejected, *, now: datetime) -> Result:
    """The provider says, twice, that the grant has ended: only its owner can make another."""
    host = taken.credential.host
    if _many_refused(host, now=now):
        return _failed(taken, problem, now=now)
    with transaction.atomic(durable=True):
        rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
        row = rows.filter(pk=taken.credential.pk, generation=taken.credential.generation).first()
        if row is None:
            # Somebody else stored a new pair, or a new connection: the refusal was about the old one.
            return Result(outcome=Outcome.NOT_NEEDED)
        before = row.status
        row.refreshing_since = row.refresh_wanted_at = row.refresh_due_at = None
        row.refreshing_by = ""
        if before != Status.QUARANTINED and row.is_connected:
            row.status, row.status_detail = Status.RECONNECT_REQUIRED, VerdictCode.RECONNECT_REQUIRED
        row.save()
        audit.record(
            "credential.refresh_refused",
            actor=ACTOR,
            subject=subject_of(row),
            data={
                "reason": "interrupted" if taken.interrupted else problem.evidence,
                "status_before": before,
                "status": row.status,
                "generation": row.generation,
            },
        )
        changes.status_changed(row, before=before, now=now)
    return Result(outcome=Outcome.REFUSED)


def _many_refused(host: Host, *, now: datetime) -> bool:
    lately = AuditEvent.objects.filter(
        action=Action.CREDENTIAL_REFRESH_REFUSED, host=host.slug, at__gt=now - MANY_WITHIN
    )
    return lately[:MANY].count() >= MANY


def _failed(taken: Claim, problem: Exception, *, now: datetime) -> Result:
    """Nothing was learned of the grant: keep everything, and try again later."""
    row = taken.credential
    evidence = problem.evidence if isinstance(problem, ProviderError) else type(problem).__name__
    # What the breaker did not let out was no failure of this one, and makes its pause no longer.
    failures = row.refresh_failures + (not evidence.startswith(NOT_ASKED))
    wait = schedule.pause(failures)
    if isinstance(problem, ProviderRateLimited) and problem.retry_after is not None:
        wait = min(max(wait, problem.retry_after), schedule.LONGEST_PAUSE)
    until = now + wait
    with transaction.atomic():
        claim.give_back(taken, failures=failures, due_at=until)
        is_news = evidence in CLIENT_REFUSED and _note_refused_client(row.host, now=now)
        # An outage is told once, not every quarter of an hour.
        if failures == 1:
            audit.record(
                "credential.refresh_failed", actor=ACTOR, subject=subject_of(row), data={"reason": evidence}
            )
        if is_news:
            audit.record(
                "host.client_refused",
                actor=ACTOR,
                subject=hosts.subject_of(row.host),
                data={"reason": evidence},
            )
    return Result(outcome=Outcome.FAILED, until=until)


def _note_refused_client(host: Host, *, now: datetime) -> bool:
    """It is the operator's to mend; nobody has to connect again for it. Whether it is news."""
    return bool(Host.objects.filter(pk=host.pk, client_refused_since=None).update(client_refused_since=now))
