from typing import Any
from credentials.models import Revocation


def of_envelopes(
    credential: Any,
    *,
    access_envelope: Any,
    refresh_envelope: Any,
    generation: int,
    key_id: str,
    reason: Any,
    now: Any,
) -> Any:
    from credentials.models import Credential

    return Revocation.objects.create(
        credential=Credential.objects.filter(pk=credential.pk).first(),
        host=credential.host,
        row=credential.pk,
        owner_id=str(credential.owner_id),
        owner_name=credential.owner.get_username(),
        generation=generation,
        kind=credential.kind,
        reason=reason,
        requested_at=now,
        key_id=key_id,
        access_envelope=access_envelope,
        refresh_envelope=refresh_envelope,
    )
