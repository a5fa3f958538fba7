"""Opens a credential for one question to its host: renewed where its token is at its end, the event first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.errors import AuditUnavailable, Conflict, RefreshUnavailable
from credentials.models import Credential
from credentials.models.credential import LENDABLE, WITHDRAWN
from credentials.providers.facts import Login
from credentials.services import audit, vault
from credentials.services.audit import Actor
from credentials.services.logins import login_of, subject_of
from credentials.services.refresh import ensure


def open_login(
    credential: Credential,
    *,
    actor: Actor,
    purpose: str,
    repository: str = "",
    reference: str = "",
    min_valid: timedelta = ensure.FOR_A_QUESTION,
    now: Callable[[], datetime] = timezone.now,
) -> Login:
    """The login of a credential, opened after its audit event is durable.

    One that can be renewed is, where its token does not live for ``min_valid``. Raises Conflict where its owner is
    not active any more or it was withdrawn, RefreshUnavailable (a ProviderUnreachable), AuditUnavailable,
    KeyUnavailable, EnvelopeInvalid.
    """
    if not credential.owner.is_active:
        raise Conflict(_("The person this credential belongs to is not active here any more."))
    ensure.fresh(credential, min_valid=min_valid, now=now)
    said: Mapping[str, Any] = {"purpose": purpose, "repository": repository, "reference": reference}
    token = vault.open_credential(
        credential, record=lambda: _record_opening(credential, actor=actor, said=said)
    )
    return login_of(credential, token)


def _record_opening(credential: Credential, *, actor: Actor, said: Mapping[str, Any]) -> None:
    """Make the event durable, unless the credential was withdrawn since it was read.

    The row's lock decides: a quarantine that commits first refuses the opening, one that comes second waits.
    """
    try:
        with transaction.atomic(durable=True):
            in_use = Credential.objects.exclude(status__in=WITHDRAWN).filter(pk=credential.pk)
            if in_use.select_for_update().values_list("pk", flat=True).first() is None:
                raise Conflict(_("This connection is quarantined or disconnected. Nothing was opened."))
            subject = subject_of(credential)
            audit.record("credential.opened", actor=actor, subject=subject, **said)
    except DatabaseError as error:
        raise AuditUnavailable("The audit trail cannot be written; nothing was opened.") from error


def reopen(
    credential: Credential,
    *,
    actor: Actor,
    purpose: str,
    repository: str = "",
    reference: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> Login | None:
    """Another login after the host refused the first one, of a credential that can be renewed.

    None where there is no other: it cannot be renewed, or not now, or the grant itself has ended, which its
    status then says.
    """
    refused = credential.generation
    if not credential.is_renewable or credential.status not in LENDABLE:
        return None
    try:
        ensure.fresh(credential, distrusted=True, now=now)
    except RefreshUnavailable:
        return None
    if credential.generation == refused or credential.status not in LENDABLE:
        return None
    return open_login(
        credential, actor=actor, purpose=purpose, repository=repository, reference=reference, now=now
    )
