"""Puts work into the background queue: ids only, so that no secret ever lies in a queue."""

from __future__ import annotations

from uuid import UUID

from django_tasks import task

from credentials.models import Credential, Status
from credentials.services import verify
from credentials.services.audit import Actor


@task()
def verify_credential(credential_id: str) -> None:
    """Verify one credential, if it is still there to be verified and its host is open."""
    credential = (
        Credential.objects.select_related("host", "owner")
        .filter(pk=credential_id, host__is_enabled=True)
        .exclude(status=Status.DISCONNECTED)
        .first()
    )
    if credential is not None:
        verify.verify(actor=Actor.system("worker"), credential=credential, purpose="reported as rejected")


def verify_later(credential_id: UUID) -> None:
    """Have a credential verified by a worker.

    The entry is an INSERT in the caller's transaction: it appears, and disappears, with the change that
    asked for it.
    """
    verify_credential.enqueue(str(credential_id))
