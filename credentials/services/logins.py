"""Opens a credential for one question to its host, the event first; and locks its row for the answer."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.utils.translation import gettext as _

from credentials.crypto.secret import Secret
from credentials.errors import AuditUnavailable, Conflict
from credentials.models import Credential, Status
from credentials.providers.facts import Login
from credentials.providers.tokens import Kind
from credentials.services import audit, vault
from credentials.services.audit import Actor, Subject


def subject_of(credential: Credential) -> Subject:
    """A credential as an audit event names it."""
    return Subject(
        kind="credential",
        id=str(credential.pk),
        name=str(credential),
        owner_id=str(credential.owner_id),
        owner_name=credential.owner.get_username(),
        host=credential.host.slug,
    )


def login_of(credential: Credential, token: Secret) -> Login:
    """What the provider needs beside the token; the name the host told counts more than the one typed."""
    return Login(
        token=token,
        kind=Kind(credential.kind),
        email=credential.email,
        username=credential.account_name or credential.username,
    )


def open_login(credential: Credential, *, actor: Actor, purpose: str, repository: str = "") -> Login:
    """The login of a credential, opened after its audit event is durable.

    Raises Conflict where its owner is not active any more or it was withdrawn, AuditUnavailable,
    KeyUnavailable, EnvelopeInvalid.
    """
    if not credential.owner.is_active:
        raise Conflict(_("The person this credential belongs to is not active here any more."))
    token = vault.open_credential(
        credential,
        record=lambda: _record_opening(credential, actor=actor, purpose=purpose, repository=repository),
    )
    return login_of(credential, token)


def _record_opening(credential: Credential, *, actor: Actor, purpose: str, repository: str) -> None:
    """Make the event durable, unless the credential was withdrawn since it was read.

    The row's lock decides: a quarantine that commits first refuses the opening, one that comes second waits.
    """
    try:
        with transaction.atomic(durable=True):
            in_use = Credential.objects.exclude(status__in=WITHDRAWN).filter(pk=credential.pk)
            if in_use.select_for_update().values_list("pk", flat=True).first() is None:
                raise Conflict(_("This connection is quarantined or disconnected. Nothing was opened."))
            subject = subject_of(credential)
            audit.record(
                "credential.opened", actor=actor, subject=subject, purpose=purpose, repository=repository
            )
    except DatabaseError as error:
        raise AuditUnavailable("The audit trail cannot be written; nothing was opened.") from error


# What is in nobody's use, whoever asks.
WITHDRAWN = (Status.QUARANTINED, Status.DISCONNECTED)


def lock_active(owner: Any) -> None:
    """Keep ``owner`` active until the caller's transaction ends; raises Conflict where the person is not."""
    people = get_user_model()._default_manager.select_for_update().filter(pk=owner.pk, is_active=True)
    if people.values_list("pk", flat=True).first() is None:
        raise Conflict(_("This person is not active here any more. Nothing was connected."))


def lock_unchanged(credential: Credential) -> Credential | None:
    """The credential's row, locked for the caller's transaction; None where a newer secret came since
    ``credential`` was read, or its owner disconnected it: what was learned is then about the old one."""
    rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
    current = rows.get(pk=credential.pk)
    return current if current.generation == credential.generation and current.is_connected else None
