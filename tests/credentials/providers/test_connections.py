"""TLS at the guarded door: the name is verified although the connection goes to a checked address."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from credentials.errors import AddressForbidden, ProviderUnreachable
from credentials.providers.connections import GuardedAdapter
from credentials.providers.http import Door
from tests.certificates import self_signed
from tests.credentials.providers.loopback import Server, json_reply


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of git.example, signed by itself, in one PEM file."""
    return self_signed(tmp_path_factory.mktemp("tls"), "git.example")


@pytest.fixture
def names() -> list[str | None]:
    """The server names that clients asked for in their TLS handshakes."""
    return []


@pytest.fixture
def server(certificate: Path, names: list[str | None]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with Server(lambda seen: json_reply({"ok": True}), tls=context) as running:
        yield running


def to_loopback(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def door(ca_bundle: Path | None) -> Door:
    return Door(
        allow_private=True,
        resolver=to_loopback,
        ca_bundle=str(ca_bundle) if ca_bundle else None,
        deadline=5.0,
    )


def test_the_name_is_sent_and_verified_while_the_address_is_the_checked_one(
    server: Server, certificate: Path, names: list[str | None]
) -> None:
    answer = door(certificate).request("GET", f"https://git.example:{server.port}/user")
    assert answer.json == {"ok": True}
    assert names == ["git.example"]
    assert server.seen[0].headers["Host"] == f"git.example:{server.port}"


def test_a_certificate_of_another_name_is_refused(server: Server, certificate: Path) -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        door(certificate).request("GET", f"https://other.example:{server.port}/user")
    assert caught.value.evidence == "GET /user: no trusted TLS connection"
    assert server.seen == []


def test_a_certificate_nobody_vouches_for_is_refused(server: Server) -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        door(None).request("GET", f"https://git.example:{server.port}/user")
    assert caught.value.evidence == "GET /user: no trusted TLS connection"
    assert server.seen == []


def test_nothing_connects_outside_of_an_exchange(server: Server) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", GuardedAdapter())
        with pytest.raises(LookupError):
            session.get(f"https://127.0.0.1:{server.port}/", timeout=2)
    assert server.connections == 0


def test_a_proxy_is_refused_even_where_one_is_given(server: Server) -> None:
    with requests.Session() as session:
        session.mount("https://", GuardedAdapter())
        with pytest.raises(AddressForbidden):
            session.get("https://git.example/", proxies={"https": server.url}, timeout=2)
