"""What a foreign program said, made harmless."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.sources.redaction import harmless

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)


@given(st.binary(max_size=300))
def test_no_control_character_is_left_but_the_line_feed(raw: bytes) -> None:
    assert all(character == "\n" or character.isprintable() for character in harmless(raw))


def test_what_steers_a_terminal_or_turns_text_around_is_gone() -> None:
    raw = "a\x1b[31mb\x9bc\rd\x08e\x07f\u202eg\u2028h\ti\x00".encode()
    assert harmless(raw) == "a[31mbcdefghi"


@given(TOKENS, st.integers(0, 5), st.integers(0, 5))
def test_a_token_is_gone_in_every_spelling(token: str, before: int, after: int) -> None:
    around = ("a" * before, "z" * after)
    plain = token.encode()
    packed = base64.b64encode(around[0].encode() + plain + around[1].encode()).decode()
    for spelling in (token, token.upper(), quote(token, safe=""), plain.hex()):
        shown = harmless(f"{around[0]}{spelling}{around[1]}".encode(), username="user", secret=token)
        assert spelling not in shown
    for spelling in (packed, packed.replace("+", "-").replace("/", "_")):
        shown = harmless(spelling.encode(), username="user", secret=token)
        # At most what lies at the seams is left, which depends on the neighbors as much.
        left = shown.replace("****", "")
        assert len(left) <= 4 * (before + after) // 3 + 8


def test_a_token_torn_by_control_characters_is_gone() -> None:
    assert harmless(b"x ghp_\x00abc\x1bdef\rghi y", secret="ghp_abcdefghi") == "x **** y"


@pytest.mark.parametrize("user", ["ghp_abc", "a:b", "", "%41"])
def test_nobody_is_named_in_an_address(user: str) -> None:
    assert harmless(f"at 'https://{user}@git.example/a' and b@c".encode()) == (
        "at 'https://****@git.example/a' and b@c"
    )


def test_text_without_a_secret_stays_as_it_is() -> None:
    assert harmless("fatal: répository 'x' not found\n".encode()) == "fatal: répository 'x' not found\n"
