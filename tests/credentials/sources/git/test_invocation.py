"""Where git may be sent, with what, and which git it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from credentials.errors import (
    AddressError,
    AddressForbidden,
    AddressInvalid,
    ConfigurationError,
    ForgekeyError,
    InputInvalid,
)
from credentials.sources import child, git
from credentials.sources.git import Remote, invocation
from tests.credentials.sources.git_server import TOKEN, login

# --- Addresses ----------------------------------------------------------------------------------------

NO_ADDRESSES = [
    "", "-u", "--upload-pack=touch /tmp/x", "-c", "https://", "https:///acme/cases", "https://git.example",
    "https://git.example/", "ext::sh -c id", "ext::https://git.example/a/b", "file:///etc/passwd",
    "file://git.example/a/b", "/etc/passwd", "../a/b", "acme/cases", "git.example/acme/cases",
    "git@git.example:acme/cases.git", "ssh://git@git.example/acme/cases", "git://git.example/acme/cases",
    "ftp://git.example/acme/cases", "http::https://git.example/a/b", "https::https://git.example/a/b",
    "https://user@git.example/acme/cases", "https://ghp_abc@git.example/a/b", "https://a:b@git.example/a/b",
    "https://@git.example/acme/cases", "https://git.example/a/b?x=1", "https://git.example/a/b#x",
    "https://git.example\\@evil.example/a/b", "https://git.example/a\nb", "https://git.example/a\r/b",
    "https://git.example/a%0ab", "https://git.example/a%0d/b", "https://git.example/a%00/b",
    "https://git.example%0a/a/b", "https://git.example%0d.evil.example/a/b", "https://git.example:0/a/b",
    "https://git.example:443:80/a/b", "https://git.example/a/../b", "https://git.example/a/%2e%2e/b",
    "https://git.example/-upload-pack/b", "https://git.example/a/--output=x", " https://git.example/a/b",
    "HTTPS://git.example/a/b", "https://127.1/a/b", "https://0x7f.1/a/b", "https://①②⑦.⓪.⓪.①/a/b",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_web_address_of_a_repository_never_reaches_git(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*arguments: object, **options: object) -> object:
        raise AssertionError("git was started")

    monkeypatch.setattr(child, "started", nowhere)
    with pytest.raises(AddressInvalid) as caught:
        git.ls_remote(Remote(url=url, allow_private=True), login=login())
    assert TOKEN not in str(caught.value)


def test_an_address_with_a_bad_byte_anywhere_goes_nowhere_else() -> None:
    good = "https://git.example/acme/cases.git"
    tried = 0
    for bad in (
        "\r",
        "\n",
        "\0",
        "%0a",
        "%0d",
        "%00",
        "\\",
        "@",
        "\x1b",
        "\x85",
        "\u2028",
        "%",
        "#",
        "?",
        "\t",
    ):
        for place in range(len("https://"), len(good)):
            tried += 1
            address = good[:place] + bad + good[place:]
            if bad == "@" and place > len("https://git.example"):
                continue  # a character like any other, behind the host's name
            with pytest.raises(AddressError):
                invocation.read_address(address)
    assert tried > 350


@pytest.mark.parametrize(
    ("url", "allow_private"),
    [
        ("https://127.0.0.1/a/b", False),
        ("https://10.0.0.1/a/b", False),
        ("https://[::1]/a/b", False),
        ("https://169.254.169.254/a/b", True),
        ("https://[fd00:ec2::254]/a/b", True),
        ("https://[64:ff9b::a9fe:a9fe]/a/b", True),
        ("https://0.0.0.0/a/b", True),
        ("http://192.30.252.1/a/b", True),
    ],
)
def test_a_forbidden_network_is_not_gone_to(url: str, allow_private: bool) -> None:
    with pytest.raises(AddressForbidden):
        git.ls_remote(Remote(url=url, allow_private=allow_private), login=login())


@pytest.mark.parametrize("token", ["a\nb", "a\rb", "a\0b", "", "x" * 20_000])
def test_a_token_that_git_cannot_send_is_not_sent(token: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        git.ls_remote(Remote(url="https://127.0.0.1/a/b", allow_private=True), login=login(token))
    assert caught.value.field == "token"


# --- The program --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prints", "works"),
    [("git version 2.36.9", False), ("git version 2.37.0", True), ("git version 3.0.1", True), ("no", False)],
)
def test_a_git_that_would_pass_over_the_checked_addresses_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, works: bool
) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    invocation.program.cache_clear()
    try:
        if works:
            assert invocation.program() == str(program)
        else:
            with pytest.raises(ConfigurationError):
                invocation.program()
    finally:
        invocation.program.cache_clear()


def test_a_machine_without_git_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    invocation.program.cache_clear()
    try:
        with pytest.raises(ForgekeyError, match="git is not installed"):
            invocation.program()
    finally:
        invocation.program.cache_clear()
