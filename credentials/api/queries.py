"""What a caller can see at all. Every object the API touches is looked up here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, QuerySet, Subquery

from credentials.api.authentication import Caller
from credentials.errors import InputInvalid, NotFound, PermissionRefused
from credentials.models import Credential, Host, Lease
from credentials.models.credential import IS_PAIRED
from credentials.providers.repository_url import parse
from credentials.services import clients, hosts, leases
from credentials.services.targets import find_target

# Nobody but the services has a use for what is sealed.
_SEALED = ("access_envelope", "refresh_envelope", "fingerprint")


def credentials_of(caller: Caller) -> QuerySet[Credential]:
    """The credentials this caller can see: a person's own; a client's at the hosts it may use."""
    rows = Credential.objects.select_related("host", "owner")
    if caller.client is None:
        return rows.filter(owner=caller.user)
    return rows.filter(host__slug__in=caller.hosts) if caller.hosts else rows


def told_credentials(caller: Caller) -> QuerySet[Credential]:
    """As above, for telling: with ``last_used_at`` and without what is sealed."""
    latest = Lease.objects.filter(credential=OuterRef("pk")).order_by("-created_at")
    return (
        credentials_of(caller)
        .defer(*_SEALED)
        .annotate(last_used_at=Subquery(latest.values("created_at")[:1]), is_paired=IS_PAIRED)
    )


def credential(caller: Caller, credential_id: UUID) -> Credential:
    """One credential, complete; raises NotFound for one this caller cannot see."""
    return _one(credentials_of(caller), credential_id)


def told_credential(caller: Caller, credential_id: UUID) -> Credential:
    """One credential for telling; raises NotFound for one this caller cannot see."""
    return _one(told_credentials(caller), credential_id)


def _one(rows: QuerySet[Credential], credential_id: UUID) -> Credential:
    found = rows.filter(pk=credential_id).first()
    if found is None:
        raise NotFound("There is no such credential.")
    return found


def hosts_of(caller: Caller) -> QuerySet[Host]:
    """The open hosts this caller may use."""
    rows = Host.objects.filter(is_enabled=True)
    return rows.filter(slug__in=caller.hosts) if caller.hosts else rows


def host(caller: Caller, slug: str) -> Host:
    """An open host; raises PermissionRefused for one this client may not use, NotFound for an unknown one."""
    if caller.client is not None:
        clients.require_host(caller.client, slug)
    return hosts.get(slug)


def require_host_of(caller: Caller, repository_url: str) -> None:
    """Raises PermissionRefused where the address is at a host that this client may not use, AddressInvalid
    where it is none. A host that nobody knows is for others to tell of."""
    if caller.client is None or not caller.hosts:
        return
    found = find_target(parse(repository_url))
    if found is not None:
        clients.require_host(caller.client, found.host.slug)


def owner(caller: Caller, username: str) -> Any:
    """Whose credentials it is about: the person's own, or those of the user a client names.

    Raises PermissionRefused where a person names somebody else, InputInvalid where a client names nobody,
    NotFound where nobody active has this name.
    """
    if caller.client is None:
        if username in {"", caller.user.get_username()}:
            return caller.user
        raise PermissionRefused("You may act only for yourself.")
    if not username:
        raise InputInvalid("Say which user it is for.", field="user")
    people = get_user_model()
    found = people._default_manager.filter(**{people.USERNAME_FIELD: username, "is_active": True}).first()
    if found is None:
        raise NotFound("There is no such user.")
    return found


def person(username: str) -> Any:
    """Anybody of this name, active or not; raises NotFound."""
    people = get_user_model()
    found = people._default_manager.filter(**{people.USERNAME_FIELD: username}).first()
    if found is None:
        raise NotFound("There is no such user.")
    return found


def lease(caller: Caller, lease_id: UUID) -> Lease:
    """A client's own lease; raises NotFound for any other, and for one at a host it may not use any more."""
    assert caller.client is not None  # permissions let no person come here
    found = leases.get(client=caller.client, lease_id=lease_id)
    if caller.hosts and found.credential.host.slug not in caller.hosts:
        raise NotFound("There is no such lease.")
    return found
