"""Which host and repository an address names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.errors import AddressInvalid
from credentials.models import Host
from credentials.providers.base import Provider
from credentials.providers.facts import RepositoryPlace
from credentials.providers.repository_url import RepositoryAddress, folded, parse
from credentials.services import hosts


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An address, with the host and the repository that it names there."""

    address: RepositoryAddress
    host: Host
    provider: Provider
    place: RepositoryPlace

    @property
    def key(self) -> str:
        """By which what is known of the repository is remembered: its path at the host, in lower case."""
        return memory_key(parse(self.provider.clone_url(self.place)))


def memory_key(address: RepositoryAddress) -> str:
    """The one spelling of an address below its host."""
    return "/".join(folded(address.segments))[:500]


def find_target(address: RepositoryAddress, *, now: Callable[[], datetime] = timezone.now) -> Target | None:
    """The enabled host an address belongs to, by whole path segments, the longest base path first."""
    bases = [(host, parse(host.web_url).segments) for host in _hosts_at(address)]
    for host, base in sorted(bases, key=lambda item: len(item[1]), reverse=True):
        if not address.segments_start_with(base):
            continue
        if not host.is_enabled:
            return None
        provider = hosts.provider_of(host, now=now)
        place = provider.place(address.segments[len(base) :])
        if place is None:
            raise AddressInvalid(_("This address names a host, but no repository on it."))
        return Target(address=address, host=host, provider=provider, place=place)
    return None


def _hosts_at(address: RepositoryAddress) -> list[Host]:
    """Those switched off too: an address below one must not fall to a host with a shorter path."""
    known = Host.objects.filter(web_origin=address.origin)
    return [host for host in known if parse(host.web_url).origin == address.origin]


def key_at(host: Host, repository_url: str) -> str:
    """Under which key a repository of a host is remembered; empty where the address names none."""
    try:
        found = find_target(parse(repository_url))
    except AddressInvalid:  # a host alone, as Git names it by default
        return ""
    return found.key if found is not None and found.host.pk == host.pk else ""
