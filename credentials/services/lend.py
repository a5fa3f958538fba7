"""Lends a credential: one statement finds it, one makes lease and audit event durable, then it is opened.

The common lease costs two statements on PostgreSQL and three on SQLite, whatever the number of
credentials, clients and events: the caller's key, the user, the host and the candidates come from one
SELECT, and nothing is opened before the lease and its event are committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import (
    AddressInvalid,
    AuditUnavailable,
    Conflict,
    InputInvalid,
    KeyUnavailable,
    NoUsableCredential,
    RefreshUnavailable,
    TooManyRequests,
)
from credentials.models import Credential, Lease, Scope, ServiceClient
from credentials.models.credential import secret_binding
from credentials.providers import registry
from credentials.providers.facts import Login
from credentials.providers.repository_url import RepositoryAddress, folded, parse
from credentials.providers.tokens import Kind
from credentials.services import audit, choice, clients, diagnose, lend_statements, vault
from credentials.services.audit import Actor, Subject
from credentials.services.choice import Candidate, Choice, Judged
from credentials.services.clients import PresentedKey
from credentials.services.explain import state_variants
from credentials.services.refresh import ensure
from credentials.verdicts import Verdict, VerdictCode
from credentials.verdicts.wording import verdict

MAX_MIN_VALID = 86_400
# A refresh, or another change, between the two statements is met by looking again.
_TRIES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseRequest:
    """What a client asks for. Exactly one of ``repository_url``, ``host`` (a slug), ``credential``."""

    user: str
    purpose: str
    repository_url: str = ""
    host: str = ""
    credential: UUID | None = None
    reference: str = ""
    min_valid_seconds: int = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class LentCredential:
    """A lease and, unless it was only a preview, the Git login it lends."""

    lease_id: UUID | None
    username: str
    password: Secret | None
    candidate: Candidate
    repository_url: str
    chosen_because: str
    judged: tuple[Judged, ...]
    lease_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    client: ServiceClient
    owner_id: object
    choice: Choice
    address: RepositoryAddress | None
    host_known: bool
    supported: bool
    looked: Verdict | None = None


def lend(
    *,
    key: PresentedKey,
    request: LeaseRequest,
    address: str,
    request_id: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> LentCredential:
    """Lend the credential that serves ``request``.

    Raises NotAuthenticated and PermissionRefused (the key), InputInvalid, NoUsableCredential (with the
    verdict), AuditUnavailable (nothing was opened), KeyUnavailable, RefreshUnavailable (a new token is needed
    and cannot be had now), Conflict.
    """
    lend_statements.refuse_inside_a_transaction()
    stale: dict[UUID, RefreshUnavailable] = {}
    for _try in range(_TRIES):
        found, actor = _settled(key, request, address=address, request_id=request_id, without=stale, now=now)
        if found.choice.chosen is None and stale:
            raise next(iter(stale.values()))
        chosen = _chosen(found, request, actor=actor, now=now())
        need = timedelta(seconds=request.min_valid_seconds)
        if not chosen.lives(need=need, now=now()):
            # With a new token, or without this credential, everything is looked at again.
            try:
                _refresh(chosen, need=need, now=now)
            except RefreshUnavailable as problem:
                stale[chosen.id] = problem
            continue
        lease = _lease(found, chosen, request, now=now())
        if _commit(lease, chosen, request, actor=actor):
            return _open(lease, chosen, found)
    if stale:
        raise next(iter(stale.values()))
    # Between the two statements the credential was replaced, refreshed, quarantined or disconnected.
    raise Conflict("The credential changed at this moment. Ask again.")


def preview(
    *,
    key: PresentedKey,
    request: LeaseRequest,
    address: str,
    request_id: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> LentCredential:
    """The same walk without a lease and without opening anything; raises the same errors."""
    found, actor = _settled(key, request, address=address, request_id=request_id, now=now)
    chosen = _chosen(found, request, actor=actor, now=now())
    return LentCredential(
        lease_id=None,
        username="",
        password=None,
        candidate=chosen,
        repository_url=found.address.text if found.address else "",
        chosen_because=str(found.choice.because),
        judged=found.choice.judged,
        lease_expires_at=None,
    )


def _settled(
    key: PresentedKey,
    request: LeaseRequest,
    *,
    address: str,
    request_id: str,
    without: Collection[UUID] = (),
    now: Callable[[], datetime],
) -> tuple[_Found, Actor]:
    """The choice; where nothing known speaks for the chosen credential, its host is asked first.

    What the host says is remembered, so that the next lease for the repository goes without.
    """
    found = _find(key, request, address=address, without=without, now=now())
    actor = clients.actor_of(found.client, request_id=request_id, address=address)
    if found.address is None or found.choice.chosen is None or found.supported:
        return found, actor
    try:
        looked = diagnose.diagnose(
            actor=actor,
            user=_owner(found),
            repository_url=found.address.text,
            among=[judged.candidate.id for judged in found.choice.judged if judged.kept],
            now=now,
        )
    except (AddressInvalid, TooManyRequests):
        # It names the host and no repository, as Git's credential protocol does by default; or this
        # person's repositories were looked into so often just now that the host is spared.
        return found, actor
    again = _find(key, request, address=address, without=without, now=now())
    return replace(again, looked=looked.verdict), actor


def _owner(found: _Found) -> AbstractBaseUser:
    owner: AbstractBaseUser = get_user_model()._default_manager.get(pk=cast(Any, found.owner_id))
    return owner


def _find(
    key: PresentedKey,
    request: LeaseRequest,
    *,
    address: str,
    without: Collection[UUID],
    now: datetime,
) -> _Found:
    target = _target(request)
    segments = folded(target.segments) if target else ()
    rows = lend_statements.select(
        public_id=key.public_id,
        user=request.user,
        origin=target.origin if target else "",
        keys=_keys(segments),
        host=request.host,
        credential=request.credential,
    )
    client = lend_statements.client_of(rows[0]) if rows else None
    if client is None or not clients.matches(key, key_hash=bytes(client.key_hash)):
        raise clients.unknown_key()
    clients.admit(client, address=address, now=now)
    clients.require_scope(client, Scope.CREDENTIALS_LEND)
    owner_id = lend_statements.owner_of(rows[0])
    here = lend_statements.at_place(rows, target)
    candidates = [
        item for item in lend_statements.candidates_of(here, segments=segments) if item.id not in without
    ]
    allowed = [item for item in candidates if not client.hosts or item.host_slug in client.hosts]
    below = segments[len(lend_statements.place_of(allowed[0].web_url)[1]) :] if allowed else ()
    made = choice.choose(
        allowed,
        segments=below,
        asked_for=request.credential is not None,
        min_valid=timedelta(seconds=request.min_valid_seconds),
        now=now,
    )
    return _Found(
        client=client,
        owner_id=owner_id,
        choice=made,
        address=target,
        host_known=bool(here),
        supported=choice.is_supported(made, below),
    )


def _refresh(chosen: Candidate, *, need: timedelta, now: Callable[[], datetime]) -> None:
    credential = Credential.objects.select_related("host", "owner").filter(pk=chosen.id).first()
    if credential is None or credential.generation != chosen.generation:
        return
    if credential.refreshing_since is not None:
        ensure.settled(credential, now=now)
    else:
        ensure.fresh(credential, min_valid=need, now=now)


def _target(request: LeaseRequest) -> RepositoryAddress | None:
    if not request.purpose.strip():
        raise InputInvalid("Say what the credential is for.", field="purpose")
    if not 0 <= request.min_valid_seconds <= MAX_MIN_VALID:
        raise InputInvalid("From 0 to 86400 seconds.", field="min_valid_seconds")
    if sum(map(bool, (request.repository_url, request.host, request.credential))) != 1:
        raise InputInvalid("Give exactly one of repository_url, host and credential.", field="repository_url")
    return parse(request.repository_url) if request.repository_url else None


def _keys(segments: tuple[str, ...]) -> list[str]:
    """Every run of whole segments: what an organization or the repository may be called, whatever path
    its host begins with. Those that begin the address come first."""
    ends = range(len(segments) + 1)
    runs = ((start, end) for start in ends for end in ends if start < end)
    return ["/".join(segments[start:end]) for start, end in runs]


def _chosen(found: _Found, request: LeaseRequest, *, actor: Actor, now: datetime) -> Candidate:
    """The chosen candidate; without one, the refusal is recorded and raised with its verdict."""
    if found.choice.chosen is not None:
        return found.choice.chosen
    answer = _refusal(found, request)
    audit.record(
        "lease.refused",
        actor=actor,
        # A name nobody has may be anything, a pasted token too: it is neither kept nor said again.
        subject=Subject(
            kind="user", id=str(found.owner_id or ""), name=request.user[:150] if found.owner_id else ""
        ),
        repository=found.address.text if found.address else "",
        purpose=request.purpose[:200],
        reference=request.reference[:200],
        data={"verdict": answer.code.value},
    )
    raise NoUsableCredential(answer)


def _refusal(found: _Found, request: LeaseRequest) -> Verdict:
    if not found.host_known and request.credential is None:
        return verdict(VerdictCode.HOST_UNKNOWN)
    if found.looked is not None and not found.looked.ok:
        return found.looked
    code, candidate = choice.explain_refusal(found.choice)
    if found.owner_id is not None and found.address is not None:
        with suppress(AddressInvalid):
            return diagnose.known(
                user=_owner(found),
                address=found.address,
                credential_id=candidate.id if candidate else None,
                code=code,
            )
    host = candidate.host_name if candidate else (found.address.origin if found.address else request.host)
    return verdict(
        code,
        values={
            "user": request.user if found.owner_id else _("This person"),
            "host": host or _("this host"),
            "provider": registry.get(candidate.provider).title if candidate else host,
        },
        variants=state_variants(candidate),
        host=candidate.host_slug if candidate else "",
        credential=str(candidate.id) if candidate else "",
    )


def _lease(found: _Found, chosen: Candidate, request: LeaseRequest, *, now: datetime) -> Lease:
    return Lease(
        client_id=found.client.pk,
        credential_id=chosen.id,
        repository_url=found.address.text[:1000] if found.address else "",
        purpose=request.purpose.strip()[:200],
        reference=request.reference[:200],
        chosen_because=str(found.choice.because),
        created_at=now,
        expires_at=now + conf.lease_duration,
        # No longer than the lease: a token that is never free could never be refreshed.
        reserved_until=now + min(timedelta(seconds=request.min_valid_seconds), conf.lease_duration),
    )


def _commit(lease: Lease, chosen: Candidate, request: LeaseRequest, *, actor: Actor) -> bool:
    """Make lease and event durable together; False where the credential is no longer what was read."""
    if not vault.is_unlocked():
        raise KeyUnavailable("The key ring is not available; nothing was lent.")
    event = audit.build(
        "lease.created",
        actor=actor,
        subject=_subject(chosen, owner_name=request.user),
        at=lease.created_at,
        repository=lease.repository_url,
        purpose=lease.purpose,
        reference=lease.reference,
        data={"lease": str(lease.pk), "reason": lease.chosen_because, "generation": chosen.generation},
    )
    try:
        return lend_statements.insert(lease, event, generation=chosen.generation)
    except DatabaseError as error:
        raise AuditUnavailable("The lease could not be recorded; nothing was opened.") from error


def _subject(candidate: Candidate, *, owner_name: str) -> Subject:
    return Subject(
        kind="credential",
        id=str(candidate.id),
        name=candidate.label or candidate.account_name or candidate.kind,
        owner_id=str(candidate.owner_id),
        owner_name=owner_name,
        host=candidate.host_slug,
    )


def _open(lease: Lease, chosen: Candidate, found: _Found) -> LentCredential:
    binding = secret_binding(
        row=chosen.id,
        owner_id=chosen.owner_id,
        host_key=chosen.host_binding,
        field="access",
        generation=chosen.generation,
    )
    assert chosen.access_envelope is not None  # choice.choose refuses a candidate without one
    token = vault.unseal_after_audit(chosen.access_envelope, binding)
    login = registry.get(chosen.provider).git_login(
        Login(
            token=token,
            kind=Kind(chosen.kind),
            email=chosen.email,
            username=chosen.account_name or chosen.username,
        )
    )
    return LentCredential(
        lease_id=lease.pk,
        username=login.username,
        password=login.password,
        candidate=chosen,
        repository_url=lease.repository_url,
        chosen_because=lease.chosen_because,
        judged=found.choice.judged,
        lease_expires_at=lease.expires_at,
    )
