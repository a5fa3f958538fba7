"""Where a request may go: explicit address ranges, applied to every address a name resolves to.

The ranges are written out because the standard library's own classification differs between Python
versions and calls NAT64, 6to4 and multicast addresses "global". Source of the ranges: the IANA
special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its successors).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from django.utils.translation import gettext_lazy as _

from credentials.errors import AddressForbidden, ProviderUnreachable

Resolver = Callable[..., Sequence[tuple[Any, ...]]]
"""Called like :func:`socket.getaddrinfo`."""

_V4_DENIED = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_V4_PRIVATE = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_V6_ALLOWED = IPv6Network("2000::/3")
_V6_DENIED = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_V6_PRIVATE = tuple(IPv6Network(text) for text in ("::1/128", "fc00::/7"))
_V4_IN_V6 = tuple(IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))

# Clouds answer these with machine credentials; they lie inside public or private ranges, so no range
# above keeps them out once private networks are allowed.
_METADATA: frozenset[IPv4Address | IPv6Address] = frozenset(
    {
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    }
)


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv6Address) and any(ip in network for network in _V4_IN_V6):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _read(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return _unwrapped(address)


def is_private(ip: str) -> bool:
    """True for loopback and the private ranges: all that ``allow_private`` opens."""
    address = _read(ip)
    if address is None or address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return any(address in network for network in _V4_PRIVATE)
    return any(address in network for network in _V6_PRIVATE)


def is_public(ip: str) -> bool:
    """True for addresses that anyone on the internet may be asked at."""
    address = _read(ip)
    if address is None or address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4_DENIED)
    return address in _V6_ALLOWED and not any(address in network for network in _V6_DENIED)


def check(ip: str, allow_private: bool = False) -> None:
    """Raise AddressForbidden unless a request may go to this address.

    ``allow_private`` opens loopback and private ranges for a host that an administrator trusts; never
    link-local, metadata, multicast or unspecified addresses.
    """
    if is_public(ip) or (allow_private and is_private(ip)):
        return
    raise AddressForbidden(_("This host lies in a network that requests may not go to."))


def resolve(
    hostname: str,
    port: int,
    *,
    resolver: Resolver = socket.getaddrinfo,
    allow_private: bool = False,
) -> tuple[str, ...]:
    """The addresses of a name, in the resolver's order, all of them checked.

    One forbidden address among them refuses the name as a whole: otherwise whoever controls it could
    mix a harmless answer with one that points inside. Raises AddressForbidden, and ProviderUnreachable
    where the name does not resolve.
    """
    try:
        answers = resolver(hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        answers = ()
    addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
    if not addresses:
        raise ProviderUnreachable("the name of the host does not resolve", evidence="name lookup failed")
    for address in addresses:
        check(address, allow_private)
    return addresses
