"""Keyed digests under purpose keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.crypto.purpose import fingerprint, mac, new_purpose_key
from credentials.crypto.secret import Secret
from tests.credentials.crypto import reference
from tests.credentials.crypto.tracebacks import shown_by

KEY = bytes(range(32))


def test_equal_secrets_have_equal_fingerprints_under_one_key_only() -> None:
    token = Secret("glpat-sample-token")

    assert fingerprint(KEY, token) == fingerprint(KEY, Secret("glpat-sample-token"))
    assert fingerprint(KEY, token) != fingerprint(KEY, Secret("glpat-sample-tokem"))
    assert fingerprint(KEY, token) != fingerprint(bytes(32), token)


def test_a_fingerprint_is_the_plain_hmac_of_the_exact_bytes() -> None:
    assert fingerprint(KEY, Secret("clé")) == reference.hmac256(KEY, "clé".encode())


def test_a_mac_covers_every_part_behind_its_length() -> None:
    expected = reference.hmac256(KEY, b"\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x02bc")
    assert mac(KEY, b"a", b"", b"bc") == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_two_lists_of_parts_share_a_mac_only_where_they_are_equal(
    left: list[bytes], right: list[bytes]
) -> None:
    assert (mac(KEY, *left) == mac(KEY, *right)) is (left == right)


def test_moving_a_border_between_parts_changes_the_mac() -> None:
    assert len({mac(KEY, *parts) for parts in [(b"a", b"bc"), (b"ab", b"c"), (b"abc",), (b"abc", b"")]}) == 4


def test_purpose_keys_have_32_bytes_and_are_never_the_same() -> None:
    keys = {new_purpose_key().reveal_bytes() for _ in range(200)}
    assert len(keys) == 200
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused_without_showing_it(length: int) -> None:
    key = b"K" * length
    with pytest.raises(ValueError, match="32 bytes") as refused_mac:
        mac(key, b"part")
    with pytest.raises(ValueError, match="32 bytes") as refused_fingerprint:
        fingerprint(key, Secret("token"))
    for refusal in (refused_mac, refused_fingerprint):
        assert "KKKK" not in shown_by(refusal.value)
