"""The key ring: its entries, its order, and its silence."""

from __future__ import annotations

import base64
import copy
import pickle
import pprint

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.crypto.keyring import Key, KeyRing, generate_entry
from credentials.errors import KeyRingInvalid, KeyUnavailable
from tests.credentials.crypto import reference
from tests.credentials.crypto.tracebacks import shown_by

FIRST = bytes(range(32))
SECOND = b"\xa5" * 32


def entry(material: bytes, key_id: str | None = None) -> str:
    key_id = reference.key_id(material).hex() if key_id is None else key_id
    return f"{key_id}:{base64.b64encode(material).decode()}"


def parts_of(material: bytes) -> tuple[str, ...]:
    """What must never be shown of a key: its base64 and hexadecimal forms and its Python form."""
    encoded = base64.b64encode(material).decode()
    return encoded[:12], encoded[12:24], material.hex()[:16], repr(material)[2:20]


def test_id_and_check_value_are_derived_from_the_key() -> None:
    key = Key.from_material(FIRST)

    assert key.id == reference.key_id(FIRST).hex()
    assert key.kcv == reference.check_value(FIRST)
    assert (len(key.id), len(key.kcv)) == (16, 16)


def test_the_material_itself_encrypts_nothing() -> None:
    key = Key.from_material(FIRST)
    sealed = key.wrapping.seal(nonce=bytes(12), plaintext=b"x", associated=b"")

    assert sealed == reference.gcm(reference.hkdf(FIRST, b"forgekey/wrap-key/v1", 32), bytes(12), b"x", b"")
    assert sealed != reference.gcm(FIRST, bytes(12), b"x", b"")


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(KeyRingInvalid, match="32 bytes") as refusal:
        Key.from_material(b"K" * length)
    assert "KKKK" not in shown_by(refusal.value)


def test_a_generated_entry_is_read_back() -> None:
    text = generate_entry()

    ring = KeyRing.parse(text)

    assert ring.ids == (text.partition(":")[0],)
    assert generate_entry() != text


def test_the_first_entry_encrypts_and_all_can_be_found() -> None:
    ring = KeyRing.parse(f"{entry(SECOND)}\n{entry(FIRST)}\n")

    assert ring.primary.id == reference.key_id(SECOND).hex()
    assert ring.ids == (reference.key_id(SECOND).hex(), reference.key_id(FIRST).hex())
    assert ring.get(ring.ids[1]).kcv == reference.check_value(FIRST)


@pytest.mark.parametrize(
    "text",
    [
        "{0}\n{1}",
        "{0},{1}",
        " {0} ,\t{1} ,",
        "{0}\r\n{1}\r\n",
        "# the ring\n\n{0} # first, since 2026\n   \n# old: keep, please\n{1}\n",
        ",,{0},\n,{1}",
    ],
)
def test_newlines_commas_blank_lines_and_comments_are_all_allowed(text: str) -> None:
    ring = KeyRing.parse(text.format(entry(FIRST), entry(SECOND)))
    assert ring.ids == (reference.key_id(FIRST).hex(), reference.key_id(SECOND).hex())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (base64.b64encode(FIRST).decode(), "id:base64key"),
        ("nonsense", "id:base64key"),
        (entry(FIRST, "0" * 16), "does not belong to its key"),
        (entry(FIRST, ""), "does not belong to its key"),
        (entry(FIRST, reference.key_id(FIRST).hex().upper()), "does not belong to its key"),
        (entry(FIRST)[:-1], "base64"),
        (entry(FIRST) + "=", "base64"),
        (entry(FIRST).replace("A", "*", 1), "base64"),
        (entry(FIRST).replace(":", ": "), "base64"),
        (entry(b"\xff" * 32).replace("/", "_"), "base64"),
        (entry(FIRST).replace("h8=", "h9="), "base64"),
        (entry(FIRST) + "é", "base64"),
        (entry(FIRST[:31]), "31 bytes instead of 32"),
        (entry(FIRST + b"x"), "33 bytes instead of 32"),
        (entry(FIRST)[:17], "0 bytes instead of 32"),
    ],
)
def test_a_bad_entry_is_refused_by_its_position_and_never_shown(bad: str, words: str) -> None:
    text = f"# a comment\n{entry(SECOND)}\n\n{bad}\n"

    with pytest.raises(KeyRingInvalid, match=f"^Entry 2 .*{words}") as refusal:
        KeyRing.parse(text)

    assert "generate_key" in str(refusal.value)
    shown = shown_by(refusal.value)
    assert not [part for part in (*parts_of(FIRST), *parts_of(SECOND)) if part in shown]


def test_the_altered_last_digit_of_the_base64_case_above_stands_for_the_same_bytes() -> None:
    assert base64.b64decode("Hh9=") == base64.b64decode("Hh8=")
    assert entry(FIRST).endswith("h8=")


def test_a_repeated_key_is_refused_with_both_positions() -> None:
    with pytest.raises(KeyRingInvalid, match="Entry 3 of the key ring repeats entry 1"):
        KeyRing.parse(f"{entry(FIRST)},{entry(SECOND)},{entry(FIRST)}")


@pytest.mark.parametrize("text", ["", "\n\n", " , ,", "# only a comment"])
def test_a_ring_without_keys_is_refused(text: str) -> None:
    with pytest.raises(KeyRingInvalid, match="empty"):
        KeyRing.parse(text)


def test_an_unknown_id_says_that_nothing_is_lost() -> None:
    ring = KeyRing.parse(entry(FIRST))

    with pytest.raises(KeyUnavailable, match=r"has no key 0123456789abcdef.*untouched") as refusal:
        ring.get("0123456789abcdef")

    assert refusal.value.retryable


def test_a_ring_and_its_keys_print_ids_only() -> None:
    ring = KeyRing.parse(f"{entry(FIRST)},{entry(SECOND)}")
    derived = [reference.hkdf(key, b"forgekey/wrap-key/v1", 32) for key in (FIRST, SECOND)]

    for shown in (repr(ring), str(ring), f"{ring}", repr(ring.primary), pprint.pformat([ring, ring.primary])):
        assert ring.primary.id in shown
        for secret in (FIRST, SECOND, *derived):
            assert not [part for part in parts_of(secret) if part in shown]


def test_a_ring_and_its_keys_are_neither_copied_nor_pickled() -> None:
    ring = KeyRing.parse(entry(FIRST))
    for thing in (ring, ring.primary):
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="never copied"):
                take(thing)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=120))
def test_any_text_is_a_ring_or_a_typed_refusal(text: str) -> None:
    with pytest.raises(KeyRingInvalid):
        KeyRing.parse(text)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5, unique=True))
def test_any_ring_keeps_its_order(materials: list[bytes]) -> None:
    ring = KeyRing.parse("\n".join(entry(material) for material in materials))
    assert ring.ids == tuple(reference.key_id(material).hex() for material in materials)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_one_mistyped_character_never_gives_another_key(data: st.DataObject) -> None:
    good = entry(FIRST)
    at = data.draw(st.integers(0, len(good) - 1))
    typed = data.draw(
        st.characters(codec="ascii", categories=["L", "N", "P", "S"]).filter(lambda c: c != good[at])
    )

    try:
        ring = KeyRing.parse(good[:at] + typed + good[at + 1 :])
    except KeyRingInvalid:
        return
    assert ring.ids == (reference.key_id(FIRST).hex(),)
