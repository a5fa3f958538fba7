"""The shapes of tokens: the checksums are computed here a second time, from the providers' descriptions."""

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest

from project.sandbox import tokens
from project.sandbox.tokens import Token

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def value(text: str, alphabet: str) -> int:
    total = 0
    for letter in text:
        total = total * len(alphabet) + alphabet.index(letter)
    return total


@pytest.mark.parametrize("prefix", ["ghp", "gho", "ghu", "ghr"])
def test_a_github_token_is_forty_letters_and_ends_with_the_checksum_of_its_body(prefix: str) -> None:
    token = tokens.github(prefix)
    assert re.fullmatch(prefix + r"_[0-9A-Za-z]{36}", token)
    assert value(token[34:], BASE62) == zlib.crc32(token[4:34].encode())


def test_a_fine_grained_token_has_ninety_three_letters() -> None:
    assert re.fullmatch(r"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}", tokens.github_fine_grained())


def test_a_routable_gitlab_token_carries_its_user_its_length_and_its_checksum() -> None:
    token = tokens.gitlab_routable(4711)
    match = re.fullmatch(r"glpat-([\w-]+)\.01\.([0-9a-z]{2})([0-9a-z]{7})", token)
    assert match is not None
    assert value(match[2], BASE36) == len(match[1])
    assert value(match[3], BASE36) == zlib.crc32(token[:-7].encode())
    payload = base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
    lines = payload[16:-1].decode().split("\n")
    assert payload[-1] == len(payload) - 17
    assert f"u:{'3mv'}" in lines  # 4711 in base 36


def test_an_atlassian_token_ends_with_the_checksum_of_all_before() -> None:
    token = tokens.atlassian("ATATT3")
    match = re.fullmatch(r"(ATATT3[\w-]+=)([0-9A-F]{8})", token)
    assert match is not None
    assert match[2] == f"{zlib.crc32(match[1].encode()):08X}"


def test_an_app_password_and_an_opaque_token_have_the_lengths_of_the_originals() -> None:
    assert re.fullmatch(r"ATBB[0-9A-Za-z]{32}", tokens.bitbucket_app_password())
    assert re.fullmatch(r"[0-9a-f]{40}", tokens.opaque(40))


def test_tokens_of_the_data_center_and_of_azure_have_their_marks() -> None:
    made = tokens.bitbucket_server()
    assert re.fullmatch(r"BBDC-[0-9A-Za-z+/]{44}", made)
    assert re.fullmatch(rb"[0-9]{12}:.{20}", base64.b64decode(made[5:]), re.DOTALL)
    assert re.fullmatch(r"[0-9A-Za-z]{76}AZDO[0-9A-Za-z]{4}", tokens.azure())


def test_a_web_token_shows_its_claims_in_the_middle_part() -> None:
    middle = tokens.web_token({"tt": 1}).split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["tt"] == 1


def _token(**facts: object) -> Token:
    base = {
        "id": "1",
        "kind": "oauth",
        "account": "octo-alice",
        "scopes": (),
        "digest": "d",
        "created_at": 100.0,
    }
    return Token(**base | facts)  # type: ignore[arg-type]  # the facts of one token, written short


def test_a_token_is_dead_from_the_very_second_in_which_it_expires() -> None:
    token = _token(expires_at=200.0)
    assert token.is_live(199.9)
    assert not token.is_live(200.0)


def test_a_revoked_token_is_not_live() -> None:
    assert not _token(revoked_at=150.0).is_live(160.0)


def test_a_spent_or_an_old_refresh_token_refreshes_nothing() -> None:
    assert _token(refresh_digest="r").can_refresh(1e12)
    assert not _token(refresh_digest="r", refresh_spent=True).can_refresh(0)
    assert not _token(refresh_digest="r", refresh_expires_at=200.0).can_refresh(200.0)
    assert not _token().can_refresh(0)
