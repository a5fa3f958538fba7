"""The conversation with a host about one secret that is to die: asked, then proved.

``revoked`` is said only once the host was seen to refuse the token. A refresh token cannot be looked at: the
only question about it is the one that would make a new pair of it. So it is asked last, and a pair that it
makes nevertheless is kept, sealed, and revoked in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from credentials.crypto.secret import Secret
from credentials.errors import (
    EnvelopeInvalid,
    ForgekeyError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.models import Credential, Revocation, RevocationReason, RevocationState, Status
from credentials.providers import facts
from credentials.providers.base import Provider
from credentials.providers.facts import Login
from credentials.providers.grants import OAuthGrant
from credentials.providers.tokens import Kind
from credentials.services import audit, circuit_breaker, hosts, oauth, vault
from credentials.services.audit import Actor
from credentials.services.rejection import LAG
from credentials.services.revocation import requests

# How long after the end of a credential a refresh that was under way may still bring an answer.
DOUBT = timedelta(minutes=2)
PROVED = "the host refuses the token now"
STILL_WORKS = "the host said yes, but the token still works"
# How often a refresh token that lives on is exchanged and revoked anew within one attempt.
_ROUNDS = 2
_BY_APP = frozenset({Kind.OAUTH, Kind.APP_TOKEN})
_ALWAYS = frozenset({RevocationReason.PANIC, RevocationReason.OFFBOARDED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one attempt brought. ``accepted``: the host said that it revokes the token. ``in_use``: the same
    token was connected again, so nobody should end it. ``doubt``: only a pair nobody knows is left open."""

    state: RevocationState
    evidence: str
    accepted: bool = False
    in_use: bool = False
    doubt: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One revocation with its secrets open."""

    row: Revocation
    provider: Provider
    login: Login
    refresh: Secret | None
    client_secret: Secret | None
    actor: Actor
    now: Callable[[], datetime]


def pending(evidence: str, *, accepted: bool = False, retry_after: timedelta | None = None) -> Outcome:
    """Not settled yet."""
    return Outcome(
        state=RevocationState.PENDING, evidence=evidence, accepted=accepted, retry_after=retry_after
    )


def accepted_but(outcome: Outcome) -> Outcome:
    """The host said yes, and the proof is missing."""
    return replace(outcome, accepted=True)


def by_hand(evidence: str) -> Outcome:
    """Only a person can do it."""
    return Outcome(state=RevocationState.MANUAL, evidence=evidence)


def without_asking(row: Revocation, *, now: Callable[[], datetime]) -> Outcome | None:
    """What is known before anything is opened, if so."""
    kind = Kind(row.kind)
    if not hosts.provider_of(row.host, now=now).revokes(kind):
        return by_hand("the host has no call for it")
    if kind in _BY_APP and not row.host.offers_oauth:
        return by_hand("no OAuth client is set up for the host")
    if circuit_breaker.is_blocked(row.host, now=now()):
        return pending("not asked: the host has not been answering")
    return None


def ask(row: Revocation, *, actor: Actor, now: Callable[[], datetime]) -> Outcome:
    """Open the secrets of a claimed row and ask its host; the audit event that says so comes first.

    Raises AuditUnavailable. Whatever else goes wrong is an outcome.
    """
    known = without_asking(row, now=now)
    if known is not None:
        return known
    record_asking([row], actor=actor)
    try:
        case = opened(row, actor=actor, now=now)
        return in_use(case) or _converse(case)
    except ForgekeyError as error:
        return of_error(error)


def record_asking(rows: Sequence[Revocation], *, actor: Actor) -> None:
    """Make the events durable that must precede the opening. Raises AuditUnavailable."""
    events = [
        audit.build(
            "credential.revocation",
            actor=actor,
            subject=requests.subject_of(row),
            purpose="ask the host",
            data={"attempts": row.attempts, "reason": row.reason},
        )
        for row in rows
    ]
    with transaction.atomic(durable=True):
        audit.append_all(events)


def opened(
    row: Revocation, *, actor: Actor, now: Callable[[], datetime], provider: Provider | None = None
) -> Case:
    """A row whose event is durable, with its secrets. Raises KeyUnavailable, EnvelopeInvalid.

    ``provider`` may be shared by many rows of a host, and with it the connection.
    """
    kind = Kind(row.kind)
    token = vault.unseal_after_audit(bytes(row.access_envelope or b""), row.binding("access"))
    refresh = row.refresh_envelope
    by_app = kind in _BY_APP
    return Case(
        row=row,
        provider=provider or hosts.provider_of(row.host, now=now),
        login=Login(token=token, kind=kind, email=row.email, username=row.account_name or row.username),
        refresh=vault.unseal_after_audit(bytes(refresh), row.binding("refresh")) if refresh else None,
        client_secret=oauth.open_client_secret(row.host, actor=actor, purpose="revocation")
        if by_app
        else None,
        actor=actor,
        now=now,
    )


def of_error(error: ForgekeyError) -> Outcome:
    """What an attempt that failed means. Unknown is not no: nearly all are tried again."""
    evidence = getattr(error, "evidence", "") or error.code
    if isinstance(error, EnvelopeInvalid):
        return by_hand("the stored token does not open any more")
    if isinstance(error, ProviderRateLimited):
        return pending(evidence, retry_after=error.retry_after)
    return pending(evidence)


def in_use(case: Case) -> Outcome | None:
    """Replaced, then pasted again: whoever holds the same token now wants it to live."""
    if case.row.reason in _ALWAYS:
        return None
    held = Credential.objects.filter(
        owner_id=int(case.row.owner_id), host=case.row.host, fingerprint=vault.fingerprint(case.login.token)
    ).exclude(status=Status.DISCONNECTED)
    if not held.exists():
        return None
    return Outcome(state=RevocationState.MANUAL, evidence="the same token is connected again", in_use=True)


def _converse(case: Case) -> Outcome:
    doubt = False
    if case.row.in_doubt and case.refresh is not None:
        # Before it is revoked: only a live refresh token proves that nobody made a newer pair of it.
        grant = _renewed(case)
        doubt = grant is None
        case = case if grant is None else _kept(case, grant)
    for _round in range(_ROUNDS):
        asked = case.provider.revoke(case.login, client_secret=case.client_secret, refresh=case.refresh)
        if asked.outcome is facts.Revocation.MANUAL:
            return by_hand("the host does not end this token by a call")
        try:
            refused = case.provider.refuses(case.login)
        except ForgekeyError as error:
            outcome = of_error(error)
            return outcome if asked.outcome is facts.Revocation.ALREADY_INVALID else accepted_but(outcome)
        if not refused:
            return pending(STILL_WORKS, accepted=True)
        if doubt:
            return _in_doubt(case)
        grant = _refresh_lives(case, asked.outcome)
        if grant is None:
            return _proved(case, asked.outcome)
        case = _kept(case, grant)
    return pending("the refresh token still works", accepted=True)


def _proved(case: Case, asked: facts.Revocation) -> Outcome:
    if asked is facts.Revocation.PENDING and case.refresh is not None and case.row.accepted_at is None:
        return pending("the host will revoke the refresh token", accepted=True)
    if asked is not facts.Revocation.ALREADY_INVALID or case.row.accepted_at is not None:
        return Outcome(state=RevocationState.REVOKED, evidence=PROVED, accepted=True)
    if _is_young(case.row, now=case.now()):
        return pending("the host does not know the token yet")
    return Outcome(state=RevocationState.ALREADY_INVALID, evidence="the host had refused the token before")


def _is_young(row: Revocation, *, now: datetime) -> bool:
    """A host's servers may not know a token yet that another of them has just made."""
    sealed = row.credential.sealed_at if row.credential is not None else row.requested_at
    return row.kind == Kind.OAUTH and sealed is not None and now - sealed < LAG


def _in_doubt(case: Case) -> Outcome:
    evidence = "a refresh was under way, and the host may have made a newer pair that nobody here knows"
    if case.now() - case.row.requested_at < DOUBT:
        return pending(evidence, accepted=True)
    return replace(by_hand(evidence), doubt=True)


def _refresh_lives(case: Case, asked: facts.Revocation) -> OAuthGrant | None:
    """The pair that a refresh token made although it should be dead; None where it is."""
    seen_to_die = asked is facts.Revocation.REVOKED
    if case.refresh is None or (seen_to_die and case.provider.pair_is_one):
        return None
    if asked is facts.Revocation.PENDING and case.row.accepted_at is None:
        return None  # it is given the time it asked for
    # A process that dies between the answer and the commit leaves the doubt behind.
    _note_doubt(case.row, doubt=True)
    try:
        grant = _renewed(case)
    except ForgekeyError as error:
        # Whatever the host answered says that it made no pair; no answer says nothing.
        if not isinstance(error, ProviderUnreachable):
            _note_doubt(case.row, doubt=False)
        raise
    if grant is None:
        _note_doubt(case.row, doubt=False)
    return grant


def _renewed(case: Case) -> OAuthGrant | None:
    """A new pair by the old refresh token; None where the host refuses it."""
    if case.refresh is None or case.client_secret is None:
        return None
    try:
        return oauth.renew(
            host=case.row.host,
            refresh=case.refresh,
            client_secret=case.client_secret,
            redirect_uri=case.row.oauth_redirect_uri,
            now=case.now,
        )
    except TokenRejected:
        return None


def _note_doubt(row: Revocation, *, doubt: bool) -> None:
    Revocation.objects.filter(pk=row.pk, attempts=row.attempts).update(in_doubt=doubt)


def _kept(case: Case, grant: OAuthGrant) -> Case:
    """The case with a newer pair, which is in the row before anything else is done with it."""
    row = case.row
    with transaction.atomic():
        current = Revocation.objects.select_for_update(of=("self",)).select_related("host").get(pk=row.pk)
        if current.attempts != row.attempts or current.state != RevocationState.PENDING:
            # Another process has the row by now; the pair gets one of its own.
            current = requests.again(current, now=case.now())
        requests.seal_pair(current, grant)
        current.in_doubt = False
        current.save()
    row.key_id, row.in_doubt = current.key_id, False
    row.access_envelope, row.refresh_envelope = current.access_envelope, current.refresh_envelope
    login = replace(case.login, token=grant.access)
    return replace(case, login=login, refresh=grant.refresh or case.refresh)
