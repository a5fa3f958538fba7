"""Where a request may go: a corpus of addresses, and names that resolve to them."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from credentials.errors import AddressForbidden, ProviderUnreachable
from credentials.providers.network import check, is_private, is_public, resolve

PUBLIC = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "140.82.121.4", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "2001:4860:4860::8888", "2600::1", "2a04:4e42::81", "2606:50c0:8000::154",
    "2001:200::1", "3ffe:ffff::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
)  # fmt: skip
PRIVATE = (
    "10.0.0.0", "10.255.255.255", "127.0.0.1", "127.1.2.3", "127.255.255.255", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "192.168.255.255", "::1", "fc00::1", "fd12:3456::1", "fdff:ffff::1", "::ffff:127.0.0.1",
    "::ffff:10.1.2.3", "64:ff9b::7f00:1", "64:ff9b::192.168.1.1",
)  # fmt: skip
NEVER = (
    "0.0.0.0",  # nothing binds to it here
    "0.1.2.3", "0.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "168.63.129.16",
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255", "::", "::2", "::127.0.0.1", "::1.2.3.4",
    "::ffff:0.0.0.0", "::ffff:169.254.169.254", "::ffff:224.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::0.0.0.0",
    "64:ff9b:1::1", "64:ff9b:1::a9fe:a9fe", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fd12::1%eth0", "2600::1%lo",
    "fec0::1", "ff02::1", "ff0e::1", "1fff::1", "e000::1",
    # Not addresses at all: a resolver that returned one of these would not be trusted either.
    "", "127.1", "0x7f.1", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1 ", "\t127.0.0.1", "①②⑦.⓪.⓪.①",
    "127。0。0。1", "localhost", "[::1]", "127.0.0.1/8", "::ffff:7f00:1:1:1:1:1",
)  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len({*PUBLIC, *PRIVATE, *NEVER}) >= 120


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_are_open_to_every_host(ip: str) -> None:
    assert is_public(ip)
    assert not is_private(ip)
    check(ip, allow_private=False)


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_are_open_only_where_an_administrator_allowed_them(ip: str) -> None:
    assert is_private(ip)
    check(ip, allow_private=True)
    with pytest.raises(AddressForbidden):
        check(ip, allow_private=False)


@pytest.mark.parametrize("ip", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_special_addresses_are_open_to_nobody(ip: str, allow_private: bool) -> None:
    with pytest.raises(AddressForbidden):
        check(ip, allow_private=allow_private)


def answers(*ips: str) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ips]


# What getaddrinfo itself understands as an address, besides proper ones.
ODD_NAMES = ("127.1", "0x7f.1", "2130706433", "017700000001", "①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "0")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_spellings_of_loopback_are_judged_by_what_they_resolve_to(name: str) -> None:
    with pytest.raises((AddressForbidden, ProviderUnreachable)):
        resolve(name, 443)


def test_an_odd_spelling_really_reaches_the_check() -> None:
    with pytest.raises(AddressForbidden):
        resolve("127.1", 443)


@pytest.mark.parametrize("forbidden", ["127.0.0.1", "169.254.169.254", "::1", "64:ff9b::a9fe:a9fe"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_forbidden_answer_refuses_the_whole_name(forbidden: str, place: int) -> None:
    ips = ["8.8.8.8", "1.1.1.1"]
    ips.insert(place, forbidden)
    with pytest.raises(AddressForbidden):
        resolve("mixed.example", 443, resolver=lambda *_args, **_kw: answers(*ips))


def test_the_order_of_the_resolver_is_kept_and_repetitions_are_dropped() -> None:
    found = resolve("x.example", 443, resolver=lambda *_args, **_kw: answers("8.8.8.8", "1.1.1.1", "8.8.8.8"))
    assert found == ("8.8.8.8", "1.1.1.1")


def test_a_name_without_an_address_is_an_outage_and_no_verdict() -> None:
    def unknown(*_args: object, **_kw: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(ProviderUnreachable):
        resolve("x.example", 443, resolver=unknown)
    with pytest.raises(ProviderUnreachable):
        resolve("x.example", 443, resolver=lambda *_args, **_kw: [])
    with pytest.raises(ProviderUnreachable):
        resolve("a" * 64 + ".example", 443)


def test_a_resolver_that_changes_its_mind_is_judged_every_time() -> None:
    asked = 0

    def flipping(*_args: object, **_kw: object) -> list[tuple[Any, ...]]:
        nonlocal asked
        asked += 1
        return answers("8.8.8.8" if asked % 2 else "127.0.0.1")

    refused = 0
    for _ in range(1000):
        try:
            assert resolve("flip.example", 443, resolver=flipping) == ("8.8.8.8",)
        except AddressForbidden:
            refused += 1
    assert (asked, refused) == (1000, 500)
