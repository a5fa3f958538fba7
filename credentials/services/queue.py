"""Puts work into the background queue: ids only, so that no secret ever lies in a queue."""

from __future__ import annotations

from uuid import UUID

from django_tasks import task

from credentials.models import Credential
from credentials.models.credential import LENDABLE
from credentials.services import verify
from credentials.services.audit import Actor

REPORTED = "reported as rejected"


@task()
def verify_credential(credential_id: str, purpose: str = REPORTED) -> None:
    """Verify one credential, if it is still lent and its host is open.

    One that is known to be dead by now is not asked about again: refusals add up at its host.
    """
    credential = (
        Credential.objects.select_related("host", "owner")
        .filter(pk=credential_id, host__is_enabled=True, owner__is_active=True, status__in=LENDABLE)
        .first()
    )
    if credential is not None:
        verify.verify(
            actor=Actor.system("worker"),
            credential=credential,
            purpose=purpose,
            in_doubt=purpose == REPORTED,
        )


def verify_later(credential_id: UUID, *, purpose: str = REPORTED) -> None:
    """Have a credential verified by a worker; by default because its borrower was refused.

    The entry is an INSERT in the caller's transaction: it appears, and disappears, with the change that
    asked for it.
    """
    why = {} if purpose == REPORTED else {"purpose": purpose}
    verify_credential.enqueue(str(credential_id), **why)
