"""Somebody left an organization: what was lent below it ends, and what was known of it is forgotten."""

from __future__ import annotations

from datetime import datetime

from credentials.models import AccessState, OrganizationAccess
from credentials.providers.repository_url import parse
from credentials.services import hosts, notices


def has_left(access: OrganizationAccess, *, before: str) -> bool:
    """Whether an account that was let in is no member any more; an answer that says nothing is no "no"."""
    return before == AccessState.ACCESSIBLE and access.state == AccessState.NO_MEMBERSHIP


def leave(access: OrganizationAccess, *, now: datetime) -> None:
    """End the leases for repositories below the organization and forget what was remembered of them, inside
    the caller's transaction; the next lease asks the host. The owner is told."""
    credential = access.credential
    below = _Below(access)
    remembered = credential.repositories.values_list("pk", "key")
    forgotten = [pk for pk, key in remembered if below.holds(tuple(key.split("/")))]
    credential.repositories.filter(pk__in=forgotten).delete()
    running = credential.leases.filter(ended_at=None, expires_at__gt=now).exclude(repository_url="")
    named = running.values_list("pk", "repository_url")
    over = [pk for pk, address in named if below.holds(parse(address).segments)]
    credential.leases.filter(pk__in=over).update(ended_at=now)
    notices.about_organization(access, notices.Code.ORGANIZATION_LEFT, now=now)


class _Below:
    """Which repositories are the organization's, and of none below it that still lets the account in."""

    def __init__(self, access: OrganizationAccess) -> None:
        host, key = access.credential.host, access.organization.key
        let_in = access.credential.organizations.filter(state=AccessState.ACCESSIBLE)
        nearer = let_in.filter(organization__key__startswith=f"{key}/")
        self._provider, self._base = hosts.provider_of(host), parse(host.web_url).segments
        self._left, self._open = key, set(nearer.values_list("organization__key", flat=True))

    def holds(self, path: tuple[str, ...]) -> bool:
        """Whether the address with these segments leads to one of them."""
        place = self._provider.place(path[len(self._base) :])
        owners = {key.lower() for key in place.organizations} if place else set()
        return self._left in owners and not owners & self._open
