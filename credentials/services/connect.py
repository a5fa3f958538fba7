"""Links an account: by a pasted token, or by what an OAuth flow brought back and its owner confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import Conflict, InputInvalid, NotFound, ProviderUnreachable, TokenNotAccepted
from credentials.models import Credential, Host, PendingConnection, Status
from credentials.providers import registry, tokens
from credentials.providers.base import Login, OAuthGrant
from credentials.providers.tokens import Kind, Recognition
from credentials.services import audit, hosts, vault
from credentials.services.audit import Actor
from credentials.services.verify import Look, apply_proof, keep_organizations, login_of, look, subject_of
from credentials.verdicts import Verdict, VerdictCode, verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualEntry:
    """What a person typed into the token form. ``expires_at`` only where the provider does not tell."""

    token: Secret
    email: str = ""
    username: str = ""
    label: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """The stored credential, and what was learned about it."""

    credential: Credential
    verdict: Verdict
    created: bool


# --- A pasted token -----------------------------------------------------------------------------------


def connect_token(
    *,
    actor: Actor,
    owner: Any,
    host: Host,
    entry: ManualEntry,
    now: Callable[[], datetime] = timezone.now,
) -> Connected:
    """Verify a pasted token and store it.

    Nothing is stored where it is mistyped, of a wrong kind or provider, retired, or refused: raises
    TokenNotAccepted with the verdict. A provider that cannot be asked leaves it ``unverified``. The same
    token pasted again brings its credential up to date.
    """
    login, found = _examine(host, entry, now=now)
    same = _holding(owner, host, login.token)
    credential = same or _new_credential(owner=owner, host=host)
    return _store(
        actor=actor,
        credential=credential,
        entry=entry,
        login=login,
        found=found,
        action="credential.replaced" if same else "credential.connected",
        now=now(),
    )


def replace_token(
    *,
    actor: Actor,
    credential: Credential,
    entry: ManualEntry,
    now: Callable[[], datetime] = timezone.now,
) -> Connected:
    """Put a new token into an existing credential; its id, label and history stay.

    Raises TokenNotAccepted as :func:`connect_token` does, also where the token belongs to another account.
    """
    if not credential.is_connected:
        raise Conflict("This credential was disconnected. Connect the account again instead.")
    kept = replace(
        entry,
        email=entry.email or credential.email,
        username=entry.username or credential.username,
        label=entry.label or credential.label,
    )
    login, found = _examine(credential.host, kept, now=now)
    _refuse_another_account(credential, found)
    return _store(
        actor=actor,
        credential=credential,
        entry=kept,
        login=login,
        found=found,
        action="credential.replaced",
        now=now(),
    )


def _examine(host: Host, entry: ManualEntry, *, now: Callable[[], datetime]) -> tuple[Login, Look]:
    """Recognize and verify; returns only where storing is right."""
    text = tokens.clean(entry.token.reveal())
    recognition = tokens.recognize(text) if text else None
    if text is None or recognition is None:
        raise TokenNotAccepted(_refusal(VerdictCode.TOKEN_MISTYPED, host))
    _refuse_by_shape(host, recognition)
    guide = hosts.provider_of(host, now=now).guide()
    kind = recognition.kind or Kind.PERSONAL_TOKEN
    if "email" in guide.fields and not entry.email and kind is Kind.API_TOKEN:
        raise TokenNotAccepted(_refusal(VerdictCode.EMAIL_REQUIRED, host))
    login = Login(token=Secret(text), kind=kind, email=entry.email, username=entry.username)
    found = look(host, login, now=now)
    if found.known and found.proof is None:
        raise TokenNotAccepted(_explain_refusal(host, recognition, found.verdict))
    return login, found


def _refuse_by_shape(host: Host, recognition: Recognition) -> None:
    if recognition.retired:
        raise TokenNotAccepted(
            _refusal(VerdictCode.TOKEN_RETIRED_KIND, host, kind=recognition.title)
        )
    if recognition.provider is not None and recognition.provider not in _readable_by(host):
        raise TokenNotAccepted(
            _refusal(VerdictCode.TOKEN_WRONG_PROVIDER, host, kind=recognition.title)
        )
    if not recognition.usable:
        raise TokenNotAccepted(_refusal(VerdictCode.TOKEN_WRONG_KIND, host, kind=recognition.title))


def _readable_by(host: Host) -> tuple[str, ...]:
    return (host.provider,)


def _refusal(code: VerdictCode, host: Host, **values: object) -> Verdict:
    known = {"host": host.name, "provider": registry.get(host.provider).title, **values}
    return verdict(code, values=known, host=host.slug)


def _explain_refusal(host: Host, recognition: Recognition, found: Verdict) -> Verdict:
    """A refused token whose checksum is wrong was mistyped, which is the kinder and truer answer."""
    if found.code is VerdictCode.TOKEN_REJECTED and recognition.checksum_ok is False:
        return replace(_refusal(VerdictCode.TOKEN_MISTYPED, host), checked=found.checked)
    return found


def _refuse_another_account(credential: Credential, found: Look) -> None:
    identity = found.proof.identity if found.proof else None
    if identity is None or not credential.account_id or credential.account_id == identity.account_id:
        return
    raise TokenNotAccepted(
        _refusal(
            VerdictCode.WRONG_ACCOUNT,
            credential.host,
            account=credential.account_name,
            other_account=identity.account_name,
        )
    )


def _holding(owner: Any, host: Host, token: Secret) -> Credential | None:
    return (
        Credential.objects.filter(owner=owner, host=host, fingerprint=vault.fingerprint(token))
        .exclude(status=Status.DISCONNECTED)
        .first()
    )


def _new_credential(*, owner: Any, host: Host) -> Credential:
    return Credential(owner=owner, host=host, generation=0)


@transaction.atomic
def _store(
    *,
    actor: Actor,
    credential: Credential,
    entry: ManualEntry,
    login: Login,
    found: Look,
    action: str,
    now: datetime,
) -> Connected:
    created = credential.generation == 0
    if not created:
        _lock_unchanged(credential)
    credential.kind = login.kind.value
    credential.email, credential.username = entry.email, entry.username
    credential.label = entry.label or credential.label
    credential.expires_at = entry.expires_at
    credential.scopes, credential.status = None, Status.UNVERIFIED
    _put_secret(credential, access=login.token, refresh=None)
    _save_with_facts(credential, found, actor=actor, action=action, now=now)
    return Connected(credential=credential, verdict=found.verdict, created=created)


def _lock_unchanged(credential: Credential) -> None:
    """Lock the row; raises Conflict where somebody changed or disconnected it since it was read."""
    current = Credential.objects.select_for_update().get(pk=credential.pk)
    if current.generation != credential.generation or not current.is_connected:
        raise Conflict("This credential was changed meanwhile. Look at it again, then repeat.")


def _put_secret(credential: Credential, *, access: Secret, refresh: Secret | None) -> None:
    credential.generation += 1
    credential.key_id = vault.primary_key_id()
    credential.access_envelope = vault.seal_secret(access, credential.binding("access"))
    credential.refresh_envelope = (
        vault.seal_secret(refresh, credential.binding("refresh")) if refresh else None
    )
    credential.fingerprint = vault.fingerprint(access)


def _save_with_facts(
    credential: Credential, found: Look, *, actor: Actor, action: str, now: datetime
) -> None:
    if found.proof is not None:
        apply_proof(credential, found.proof, now=now)
    credential.status_detail = "" if found.verdict.ok else found.verdict.code.value
    credential.save()
    if found.organizations is not None:
        keep_organizations(credential, found.organizations, now=now)
    audit.record(
        action,
        actor=actor,
        subject=subject_of(credential),
        data={
            "kind": credential.kind,
            "account": credential.account_name,
            "status": credential.status,
            "scopes": credential.scopes or [],
            "generation": credential.generation,
            "envelope_mac": vault.envelope_mac(credential),
        },
    )


# --- OAuth --------------------------------------------------------------------------------------------


def receive_grant(
    *,
    actor: Actor,
    user: Any,
    host: Host,
    grant: OAuthGrant,
    reconnects: Credential | None,
    now: Callable[[], datetime] = timezone.now,
) -> PendingConnection:
    """Keep what an OAuth flow brought back, sealed, until its owner confirms it.

    Raises TokenNotAccepted where the provider refuses the very token it gave, or where a reconnect
    answered for another account; ProviderUnreachable where nobody could be asked whose it is.
    """
    login = Login(token=grant.access, kind=Kind.OAUTH)
    found = look(host, login, now=now)
    if found.proof is None:
        if found.known:
            raise TokenNotAccepted(found.verdict)
        raise ProviderUnreachable(f"{host.name} did not say whose account this is.")
    if reconnects is not None:
        _refuse_another_account(reconnects, found)
    scopes = grant.scopes if grant.scopes is not None else found.proof.scopes
    return _seal_pending(
        actor=actor,
        pending=PendingConnection(user=user, host=host, reconnects=reconnects),
        grant=grant,
        found=found,
        scopes=scopes,
        now=now(),
    )


@transaction.atomic
def _seal_pending(
    *,
    actor: Actor,
    pending: PendingConnection,
    grant: OAuthGrant,
    found: Look,
    scopes: tuple[str, ...] | None,
    now: datetime,
) -> PendingConnection:
    assert found.proof is not None  # receive_grant refused everything else
    identity = found.proof.identity
    expires_in = grant.expires_in
    pending.facts = {
        "account_id": identity.account_id if identity else "",
        "account_name": identity.account_name if identity else "",
        "scopes": list(scopes) if scopes is not None else None,
        "expires_at": (now.timestamp() + expires_in) if expires_in else None,
        "organizations": [fact.name or fact.key for fact in found.organizations or ()],
    }
    pending.expires_at = now + conf.pending_duration
    pending.access_envelope = vault.seal_secret(grant.access, pending.binding("access"))
    if grant.refresh is not None:
        pending.refresh_envelope = vault.seal_secret(grant.refresh, pending.binding("refresh"))
    PendingConnection.objects.filter(expires_at__lt=now).delete()
    pending.save(force_insert=True)
    audit.record(
        "connection.pending",
        actor=actor,
        subject=replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id)),
        data={"account": pending.facts["account_name"], "scopes": list(scopes or ())},
    )
    return pending


def get_pending(*, user: Any, pending_id: object, now: datetime) -> PendingConnection:
    """The user's own pending connection; raises NotFound where it is gone or its time is over."""
    pending = (
        PendingConnection.objects.select_related("host", "reconnects")
        .filter(pk=pending_id, user=user, expires_at__gt=now)
        .first()
    )
    if pending is None:
        raise NotFound("This connection was confirmed already, or waited too long. Start again.")
    return pending


def confirm(
    *, actor: Actor, pending: PendingConnection, now: Callable[[], datetime] = timezone.now
) -> Connected:
    """Turn a pending connection into a credential, or into the new secret of the one it reconnects.

    Connecting an account again keeps its credential's id. Fewer scopes never replace more: raises
    TokenNotAccepted (``scope_missing``) and keeps what there is.
    """
    subject = replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id))
    audit.record_durably("connection.confirmed", actor=actor, subject=subject)
    access = vault.unseal_after_audit(bytes(pending.access_envelope), pending.binding("access"))
    refresh = (
        vault.unseal_after_audit(bytes(pending.refresh_envelope), pending.binding("refresh"))
        if pending.refresh_envelope is not None
        else None
    )
    found = look(pending.host, Login(token=access, kind=Kind.OAUTH), now=now)
    if found.known and found.proof is None:
        raise TokenNotAccepted(found.verdict)
    return _store_grant(
        actor=actor, pending=pending, access=access, refresh=refresh, found=found, now=now()
    )


@transaction.atomic
def _store_grant(
    *,
    actor: Actor,
    pending: PendingConnection,
    access: Secret,
    refresh: Secret | None,
    found: Look,
    now: datetime,
) -> Connected:
    if not PendingConnection.objects.select_for_update().filter(pk=pending.pk).exists():
        raise Conflict("This connection was confirmed already.")
    credential = _reconnected(pending) or _new_credential(owner=pending.user, host=pending.host)
    created = credential.generation == 0
    if not created:
        _refuse_fewer_scopes(credential, pending)
    credential.kind = Kind.OAUTH.value
    credential.account_id = pending.facts["account_id"]
    credential.account_name = pending.facts["account_name"]
    credential.oauth_client_id = pending.host.client_id
    ends = pending.facts["expires_at"]
    credential.expires_at = datetime.fromtimestamp(ends, tz=now.tzinfo) if ends else None
    credential.status = Status.UNVERIFIED
    _put_secret(credential, access=access, refresh=refresh)
    _save_with_facts(
        credential,
        found,
        actor=actor,
        action="credential.connected" if created else "credential.reconnected",
        now=now,
    )
    if pending.facts["scopes"] is not None and credential.scopes is None:
        credential.scopes = pending.facts["scopes"]
        credential.save(update_fields=["scopes"])
    pending.delete()
    return Connected(credential=credential, verdict=found.verdict, created=created)


def _reconnected(pending: PendingConnection) -> Credential | None:
    """The credential this grant renews: the one that was named, else the same account's."""
    live = Credential.objects.select_for_update().exclude(status=Status.DISCONNECTED)
    if pending.reconnects_id:
        return live.filter(pk=pending.reconnects_id, owner=pending.user).first()
    if not pending.facts["account_id"]:
        return None
    return live.filter(
        owner=pending.user,
        host=pending.host,
        kind=Kind.OAUTH.value,
        account_id=pending.facts["account_id"],
    ).first()


def _refuse_fewer_scopes(credential: Credential, pending: PendingConnection) -> None:
    granted = pending.facts["scopes"]
    lost = sorted(set(credential.scopes or ()) - set(granted or ()))
    if granted is None or not lost or not credential.is_lendable:
        return
    raise TokenNotAccepted(
        _refusal(VerdictCode.SCOPE_MISSING, pending.host, scopes=", ".join(lost))
    )


@transaction.atomic
def cancel(*, actor: Actor, pending: PendingConnection) -> None:
    """Throw a pending connection away."""
    subject = replace(hosts.subject_of(pending.host), owner_id=str(pending.user_id))
    audit.record("connection.canceled", actor=actor, subject=subject)
    pending.delete()


# --- Small things -------------------------------------------------------------------------------------


@transaction.atomic
def rename(*, actor: Actor, credential: Credential, label: str) -> Credential:
    """Give a credential another label; raises InputInvalid where it is too long."""
    if len(label) > 100:  # noqa: PLR2004  # the column's width
        raise InputInvalid("A label has at most 100 characters.", field="label")
    credential.label = label.strip()
    credential.save(update_fields=["label", "updated_at"])
    audit.record("credential.renamed", actor=actor, subject=subject_of(credential))
    return credential


__all__ = [
    "Connected",
    "ManualEntry",
    "cancel",
    "confirm",
    "connect_token",
    "get_pending",
    "login_of",
    "receive_grant",
    "rename",
    "replace_token",
]
