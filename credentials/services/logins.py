"""How a credential is named in the trail, what its host needs beside the token, and how its row is locked."""

from __future__ import annotations

from credentials.crypto.secret import Secret
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


def lock_unchanged(credential: Credential) -> Credential | None:
    """The credential's row, locked for the caller's transaction; None where a newer secret came since
    ``credential`` was read, or its owner disconnected it: what was learned is then about the old one."""
    rows = Credential.objects.select_for_update(of=("self",)).select_related("host", "owner")
    current = rows.get(pk=credential.pk)
    return current if current.generation == credential.generation and current.is_connected else None
