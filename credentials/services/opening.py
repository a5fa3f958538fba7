"""Opens a credential for one question to its host: renewed where its token is at its end, the event first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.errors import Conflict, RefreshUnavailable
from credentials.models import Credential
from credentials.models.credential import LENDABLE
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
    now: Callable[[], datetime] = timezone.now,
) -> Login:
    """The login of a credential, opened after its audit event is durable.

    One that can be renewed is, where its token is at its end. Raises Conflict where its owner is not active
    any more, RefreshUnavailable (a ProviderUnreachable), AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    if not credential.owner.is_active:
        raise Conflict(_("The person this credential belongs to is not active here any more."))
    ensure.fresh(credential, now=now)
    subject = subject_of(credential)
    token = vault.open_credential(
        credential,
        record=lambda: audit.record_durably(
            "credential.opened", actor=actor, subject=subject, purpose=purpose, repository=repository
        ),
    )
    return login_of(credential, token)


def reopen(
    credential: Credential,
    *,
    actor: Actor,
    purpose: str,
    repository: str = "",
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
    return open_login(credential, actor=actor, purpose=purpose, repository=repository, now=now)
