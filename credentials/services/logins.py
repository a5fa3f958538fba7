"""How a credential is named in the trail, what its host needs beside the token, and how its row is locked."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from credentials.crypto.secret import Secret
from credentials.errors import Conflict
from credentials.models import Credential
from credentials.providers.facts import Login
from credentials.providers.tokens import Kind
from credentials.services.audit import Subject


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
