"""Links an account: by a pasted token, or by what an OAuth flow brought back and its owner confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, InputInvalid, TokenNotAccepted
from credentials.models import Credential, Host, RevocationReason, Status
from credentials.models.credential import LABEL_LENGTH
from credentials.providers import registry, tokens
from credentials.providers.facts import Login
from credentials.providers.tokens import Kind, Recognition
from credentials.services import audit, changes, hosts, notices, organizations, vault
from credentials.services.audit import Actor
from credentials.services.logins import lock_active, lock_unchanged, subject_of
from credentials.services.refresh import schedule
from credentials.services.revocation import requests
from credentials.services.verify import Look, apply_proof, look
from credentials.verdicts import Verdict, VerdictCode
from credentials.verdicts.wording import verdict


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
    credential = same or new_credential(owner=owner, host=host)
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
        raise Conflict(_("This credential was disconnected. Connect the account again instead."))
    kept = replace(
        entry,
        email=entry.email or credential.email,
        username=entry.username or credential.username,
        label=entry.label or credential.label,
    )
    login, found = _examine(credential.host, kept, now=now)
    refuse_another_account(credential, found)
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
        raise TokenNotAccepted(refusal(VerdictCode.TOKEN_MISTYPED, host))
    _refuse_by_shape(host, recognition)
    provider = hosts.provider_of(host, now=now)
    kind = recognition.kind if recognition.kind in provider.kinds else provider.default_kind
    if "email" in provider.guide().fields and not entry.email and kind is Kind.API_TOKEN:
        raise TokenNotAccepted(refusal(VerdictCode.EMAIL_REQUIRED, host))
    login = Login(token=Secret(text), kind=kind, email=entry.email, username=entry.username)
    found = look(host, login, now=now)
    if found.known and found.proof is None:
        raise TokenNotAccepted(_explain_refusal(host, recognition, found.verdict))
    return login, found


def _refuse_by_shape(host: Host, recognition: Recognition) -> None:
    if recognition.retired:
        raise TokenNotAccepted(refusal(VerdictCode.TOKEN_RETIRED_KIND, host, kind=recognition.title))
    if recognition.provider not in {None, host.provider}:
        raise TokenNotAccepted(refusal(VerdictCode.TOKEN_WRONG_PROVIDER, host, kind=recognition.title))
    if not recognition.usable:
        raise TokenNotAccepted(refusal(VerdictCode.TOKEN_WRONG_KIND, host, kind=recognition.title))


def refusal(code: VerdictCode, host: Host, **values: object) -> Verdict:
    known = {"host": host.name, "provider": registry.get(host.provider).title, **values}
    return verdict(code, values=known, host=host.slug)


def _explain_refusal(host: Host, recognition: Recognition, found: Verdict) -> Verdict:
    """A refused token whose checksum is wrong was mistyped, which is the kinder and truer answer."""
    if found.code is VerdictCode.TOKEN_REJECTED and recognition.looks_mistyped:
        return replace(refusal(VerdictCode.TOKEN_MISTYPED, host), checked=found.checked)
    return found


def refuse_another_account(credential: Credential, found: Look) -> None:
    identity = found.proof.identity if found.proof else None
    if identity is None or not credential.account_id or credential.account_id == identity.account_id:
        return
    raise TokenNotAccepted(
        refusal(
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


def new_credential(*, owner: Any, host: Host) -> Credential:
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
    lock_active(credential.owner)
    if not created:
        current = _lock_unchanged(credential)
        _refuse_half_a_pair(current, login.token)
        give_up_secret(current, for_the_sake_of=login.token, now=now)
    credential.kind = login.kind.value
    credential.email, credential.username = entry.email, entry.username
    credential.label = entry.label or credential.label
    credential.expires_at, credential.refresh_ends_at = entry.expires_at, None
    credential.oauth_redirect_uri = ""
    credential.scopes, credential.status = None, Status.UNVERIFIED
    put_secret(credential, access=login.token, refresh=None, now=now)
    save_with_facts(credential, found, actor=actor, action=action, now=now)
    return Connected(credential=credential, verdict=found.verdict, created=created)


def _lock_unchanged(credential: Credential) -> Credential:
    """Lock the row; raises Conflict where somebody changed or disconnected it since it was read, and where it
    is quarantined."""
    current = lock_unchanged(credential)
    if current is None:
        raise Conflict(_("This credential was changed meanwhile. Look at it again, then repeat."))
    refuse_quarantined(current)
    return current


def refuse_quarantined(current: Credential) -> None:
    """Raises Conflict for one that only an administrator puts back into use: no new token does it."""
    if current.status == Status.QUARANTINED:
        raise Conflict(_("This connection is quarantined. An administrator can release it."))


def _refuse_half_a_pair(current: Credential, token: Secret) -> None:
    """Raises Conflict where the token is the access token of the pair that is there: without its other half it
    would end within hours, and the other half would be lost."""
    if current.is_renewable and bytes(current.fingerprint or b"") == vault.fingerprint(token):
        raise Conflict(_("This token belongs to the connection that is there, which renews it by itself."))


def give_up_secret(current: Credential, *, for_the_sake_of: Secret, now: datetime) -> None:
    """Hand what the locked row holds over to be revoked; the same token once more replaces nothing."""
    if bytes(current.fingerprint or b"") != vault.fingerprint(for_the_sake_of):
        requests.take(current, reason=RevocationReason.REPLACED, now=now)


def put_secret(credential: Credential, *, access: Secret, refresh: Secret | None, now: datetime) -> None:
    """Seal a new secret into the row, which the caller saves; what was known of the old one's life goes."""
    credential.generation += 1
    credential.sealed_at = now
    credential.refresh_due_at = (
        schedule.due_at(received_at=now, expires_at=credential.expires_at) if refresh else None
    )
    credential.refreshing_since = credential.refresh_wanted_at = None
    credential.refreshing_by, credential.refresh_failures, credential.told = "", 0, {}
    credential.refusals, credential.hold_until, credential.hold_reason = 0, None, ""
    credential.key_id = vault.primary_key_id()
    credential.access_envelope = vault.seal_secret(access, credential.binding("access"))
    credential.refresh_envelope = (
        vault.seal_secret(refresh, credential.binding("refresh")) if refresh else None
    )
    credential.fingerprint = vault.fingerprint(access)


def save_with_facts(credential: Credential, found: Look, *, actor: Actor, action: str, now: datetime) -> None:
    if found.proof is not None:
        apply_proof(credential, found.proof, now=now)
    credential.status_detail = "" if found.verdict.ok else found.verdict.code.value
    credential.save()
    notices.read_ends(credential, now=now)
    organizations.observe(credential, found.organizations, actor=actor, now=now)
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
    changes.connected(credential, now=now)


@transaction.atomic
def rename(*, actor: Actor, credential: Credential, label: str) -> Credential:
    """Give a credential another label; raises InputInvalid where it is too long."""
    if len(label.strip()) > LABEL_LENGTH:
        text = _("A label has at most %(limit)s characters.") % {"limit": LABEL_LENGTH}
        raise InputInvalid(text, field="label")
    credential.label = label.strip()
    credential.save(update_fields=["label", "updated_at"])
    audit.record("credential.renamed", actor=actor, subject=subject_of(credential))
    return credential
