"""The envelope: opens in its own place only, and nothing altered is ever accepted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.crypto.envelope import MINIMUM_LENGTH, Binding, key_id_of, rewrap, seal, unseal
from credentials.crypto.keyring import Key, KeyRing
from credentials.crypto.secret import Secret
from credentials.errors import CryptoError, EnvelopeInvalid, KeyUnavailable
from tests.credentials.crypto import reference
from tests.credentials.crypto.forgery import accepted_by_both
from tests.credentials.crypto.tracebacks import shown_by

OLD_KEY = bytes(range(32))
NEW_KEY = bytes(range(100, 132))
OLD = KeyRing([Key.from_material(OLD_KEY)])
NEW = KeyRing([Key.from_material(NEW_KEY)])
BOTH = KeyRing([Key.from_material(NEW_KEY), Key.from_material(OLD_KEY)])

TOKEN = "ghp_wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLE"
BINDING = Binding(
    model="credentials.credential",
    row=UUID("6f1c2c0e-52f2-4a57-9a3f-4a1d9f3f0b55"),
    field="access",
    owner="user:7",
    host="github|https|github.com|443",
    generation=3,
)
ONE_MESSAGE = "This envelope was altered, or belongs to another row, owner, host or generation."

# Where each field of the format starts and ends.
LAYOUT = {
    "version": slice(0, 1),
    "algorithm": slice(1, 2),
    "key id": slice(2, 10),
    "wrap nonce": slice(10, 22),
    "wrapped data key": slice(22, 70),
    "commitment": slice(70, 102),
    "nonce": slice(102, 114),
    "payload": slice(114, None),
}


def plain(binding: Binding) -> dict[str, Any]:
    """The binding as the second implementation takes it."""
    names = ("model", "row", "field", "owner", "host", "generation")
    return {name: getattr(binding, name) for name in names} | {"row": str(binding.row)}


def accepted(ring: KeyRing, blob: bytes, binding: Binding = BINDING) -> bool:
    try:
        unseal(ring, blob, binding)
    except CryptoError:
        return False
    return True


def test_a_sealed_secret_comes_back_and_costs_130_bytes() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)

    assert unseal(OLD, blob, BINDING).reveal() == TOKEN
    assert len(blob) == MINIMUM_LENGTH + len(TOKEN)
    assert MINIMUM_LENGTH == 130
    assert TOKEN.encode() not in blob


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=300),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(0, 2**64 - 1),
    st.uuids(),
)
def test_any_bytes_come_back_under_any_binding(
    plaintext: bytes, owner: str, host: str, generation: int, row: UUID
) -> None:
    binding = replace(BINDING, owner=owner, host=host, generation=generation, row=row)

    blob = seal(OLD, Secret(plaintext), binding)

    assert unseal(OLD, blob, binding).reveal_bytes() == plaintext
    moved = memoryview(rewrap(BOTH, bytearray(blob), binding))
    assert unseal(BOTH, moved, binding).reveal_bytes() == plaintext


def test_sealing_twice_shares_no_random_field() -> None:
    blobs = [seal(OLD, Secret(TOKEN), BINDING) for _ in range(300)]
    for name in ("wrap nonce", "wrapped data key", "commitment", "nonce", "payload"):
        assert len({blob[LAYOUT[name]] for blob in blobs}) == len(blobs)


def test_every_byte_replaced_by_every_other_value_is_refused() -> None:
    blob = seal(BOTH, Secret(TOKEN), BINDING)
    changed = bytearray(blob)
    tried = 0
    for at, original in enumerate(blob):
        for value in range(256):
            if value == original:
                continue
            changed[at] = value
            assert not accepted(BOTH, bytes(changed)), f"byte {at} = {value}"
            tried += 1
        changed[at] = original

    assert tried == len(blob) * 255
    assert accepted(BOTH, bytes(changed))


def test_every_truncation_at_either_end_is_refused() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)
    for length in range(len(blob)):
        assert not accepted(OLD, blob[:length])
        assert not accepted(OLD, blob[-length:] if length else b"")


def test_every_extension_and_every_inserted_or_removed_byte_is_refused() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)
    for more in (b"\x00", b"\xff", blob[-1:], bytes(16), blob):
        assert not accepted(OLD, blob + more)
        assert not accepted(OLD, more + blob)
    for at in range(len(blob) + 1):
        assert not accepted(OLD, blob[:at] + b"\x00" + blob[at:])
        assert at == len(blob) or not accepted(OLD, blob[:at] + blob[at + 1 :])


def test_an_envelope_opens_in_no_other_row() -> None:
    bindings = [replace(BINDING, row=uuid4()) for _ in range(40)]
    blobs = [seal(OLD, Secret(f"token-{number}"), row) for number, row in enumerate(bindings)]
    for (number, blob), (other, binding) in itertools.product(enumerate(blobs), enumerate(bindings)):
        assert accepted(OLD, blob, binding) is (number == other)


@pytest.mark.parametrize(
    "part",
    [
        {"model": "credentials.host"},
        {"model": ""},
        {"row": UUID(int=BINDING.row.int ^ 1)},
        {"row": UUID(int=BINDING.row.int ^ 1 << 127)},
        {"field": "refresh"},
        {"owner": "user:8"},
        {"owner": "user:77"},
        {"owner": "team:7"},
        {"owner": "USER:7"},
        {"host": "github|https|github.example|443"},
        {"host": "github|http|github.com|443"},
        {"host": "github|https|github.com|8443"},
        {"host": "gitea|https|github.com|443"},
        {"host": "github|https|github.com|443\x00"},
        {"generation": 2},
        {"generation": 4},
        {"generation": 3 + 2**32},
        {"generation": 0},
    ],
)
def test_an_envelope_opens_under_no_other_binding_and_is_not_rewrapped_there(part: dict[str, Any]) -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)
    moved = replace(BINDING, **part)

    for use in (unseal, rewrap):
        with pytest.raises(EnvelopeInvalid, match=ONE_MESSAGE):
            use(OLD, blob, moved)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"model": "a", "field": "bc"}, {"model": "ab", "field": "c"}),
        ({"field": "a", "owner": "bc"}, {"field": "ab", "owner": "c"}),
        ({"owner": "a", "host": "bc"}, {"owner": "ab", "host": "c"}),
        ({"owner": "a|b", "host": "c"}, {"owner": "a", "host": "b|c"}),
        ({"owner": "", "host": "abc"}, {"owner": "abc", "host": ""}),
        ({"field": "owner", "owner": "field"}, {"field": "field", "owner": "owner"}),
        ({"owner": "a\x00\x00\x00\x01b", "host": ""}, {"owner": "a", "host": "b"}),
    ],
)
def test_moving_a_border_between_two_parts_gives_another_binding(
    left: dict[str, Any], right: dict[str, Any]
) -> None:
    one, other = replace(BINDING, **left), replace(BINDING, **right)

    assert one.aad("label") != other.aad("label")
    assert not accepted(OLD, seal(OLD, Secret(TOKEN), one), other)
    assert not accepted(OLD, seal(OLD, Secret(TOKEN), other), one)


def test_fields_cannot_be_exchanged_between_envelopes_of_the_same_binding() -> None:
    one, other = (seal(OLD, Secret(TOKEN), BINDING) for _ in range(2))
    for names in itertools.chain.from_iterable(
        itertools.combinations(LAYOUT, count) for count in range(1, 8)
    ):
        mixed = bytearray(one)
        for name in names:
            mixed[LAYOUT[name]] = other[LAYOUT[name]]
        # The header is the same in both; taking only that, or everything else, changes nothing.
        whole = bytes(mixed) in (one, other)
        assert accepted(OLD, bytes(mixed)) is whole, names


@pytest.mark.parametrize(
    "head", [b"\x01", b"\x01\x01", b"\x01\x01" + reference.key_id(OLD_KEY), b"$encrypted$"]
)
def test_a_token_that_begins_like_an_envelope_is_a_token_like_any_other(head: bytes) -> None:
    token = head + TOKEN.encode()
    assert unseal(OLD, seal(OLD, Secret(token), BINDING), BINDING).reveal_bytes() == token
    assert not accepted(OLD, token)
    assert not accepted(OLD, token + bytes(200))


def test_an_envelope_inside_an_envelope_is_opened_once_only() -> None:
    inner = seal(OLD, Secret(TOKEN), BINDING)
    assert unseal(OLD, seal(OLD, Secret(inner), BINDING), BINDING).reveal_bytes() == inner


def test_plaintext_in_the_column_is_an_error_and_never_a_value() -> None:
    for text in (b"", TOKEN.encode(), b"x" * 129, b"x" * 200, bytes(200)):
        with pytest.raises(EnvelopeInvalid):
            unseal(OLD, text, BINDING)


def test_a_type_that_is_not_bytes_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        unseal(OLD, TOKEN, BINDING)  # type: ignore[arg-type] # the mistake is what is tried


def test_a_missing_key_is_another_matter_than_a_damaged_envelope() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)

    for use in (unseal, rewrap):
        with pytest.raises(KeyUnavailable, match=reference.key_id(OLD_KEY).hex()):
            use(NEW, blob, BINDING)
    assert accepted(BOTH, blob)


def test_only_the_key_that_is_named_is_tried() -> None:
    blob = bytearray(seal(OLD, Secret(TOKEN), BINDING))
    blob[LAYOUT["key id"]] = bytes.fromhex(BOTH.primary.id)

    with pytest.raises(EnvelopeInvalid, match=ONE_MESSAGE):
        unseal(BOTH, bytes(blob), BINDING)


def test_key_id_of_reads_the_header_and_refuses_what_is_no_envelope() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)

    assert key_id_of(blob) == OLD.primary.id == reference.key_id(OLD_KEY).hex()
    assert key_id_of(memoryview(blob)) == OLD.primary.id
    for bad in (b"", blob[:129], b"\x02" + blob[1:], blob[:1] + b"\x02" + blob[2:]):
        with pytest.raises(EnvelopeInvalid, match=ONE_MESSAGE):
            key_id_of(bad)


def test_rewrapping_changes_the_wrap_only_and_needs_the_old_key_no_longer() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)

    moved = rewrap(BOTH, blob, BINDING)

    assert key_id_of(moved) == BOTH.primary.id
    for name in ("version", "algorithm", "commitment", "nonce", "payload"):
        assert moved[LAYOUT[name]] == blob[LAYOUT[name]]
    for name in ("key id", "wrap nonce", "wrapped data key"):
        assert moved[LAYOUT[name]] != blob[LAYOUT[name]]
    assert unseal(NEW, moved, BINDING).reveal() == TOKEN
    assert not accepted(OLD, moved)
    assert rewrap(BOTH, moved, BINDING)[LAYOUT["wrap nonce"]] != moved[LAYOUT["wrap nonce"]]


def test_rewrapping_refuses_every_altered_byte_of_the_header_and_the_wrap() -> None:
    blob = seal(OLD, Secret(TOKEN), BINDING)
    for at in range(LAYOUT["wrapped data key"].stop):
        changed = bytearray(blob)
        changed[at] ^= 1
        with pytest.raises(CryptoError):
            rewrap(BOTH, bytes(changed), BINDING)


@pytest.mark.parametrize("field", ["commitment", "nonce", "payload"])
def test_rewrapping_never_opens_the_token_and_never_mends_a_damaged_one(field: str) -> None:
    damaged = bytearray(seal(OLD, Secret(TOKEN), BINDING))
    damaged[LAYOUT[field].start] ^= 1

    moved = rewrap(BOTH, damaged, BINDING)

    assert moved[70:] == damaged[70:]
    assert not accepted(BOTH, moved)


def test_a_payload_that_two_keys_accept_is_opened_with_the_committed_one_only() -> None:
    binding, nonce = plain(BINDING), bytes(range(12))
    data_keys = (b"\x11" * 32, b"\x22" * 32)
    associated = reference.associated_data(b"forgekey/secret", binding)
    keys = [reference.message_keys(data_key, binding) for data_key in data_keys]
    sealed = accepted_by_both(keys[0][0], keys[1][0], nonce, associated)
    opened = [AESGCM(key).decrypt(nonce, sealed, associated) for key, _ in keys]
    assert opened[0] != opened[1]

    for wrapped, committed in itertools.product(range(2), repeat=2):
        head = reference.header(OLD_KEY, data_keys[wrapped], bytes(12), binding)
        blob = head + keys[committed][1] + nonce + sealed
        if wrapped == committed:
            assert unseal(OLD, blob, BINDING).reveal_bytes() == opened[wrapped]
        else:
            with pytest.raises(EnvelopeInvalid, match=ONE_MESSAGE):
                unseal(OLD, blob, BINDING)


@pytest.mark.parametrize("field", LAYOUT)
def test_no_error_report_shows_a_key_or_the_token(field: str) -> None:
    data_key = b"\x5a" * 32
    binding = plain(BINDING)
    blob = bytearray(
        reference.envelope(
            key=OLD_KEY,
            data_key=data_key,
            wrap_nonce=bytes(12),
            nonce=bytes(12),
            plaintext=TOKEN.encode(),
            binding=binding,
        )
    )
    assert unseal(OLD, blob, BINDING).reveal() == TOKEN
    blob[LAYOUT[field].start] ^= 0x80

    with pytest.raises(CryptoError) as refusal:
        unseal(OLD, blob, BINDING)

    shown = shown_by(refusal.value)
    wrap_key = reference.hkdf(OLD_KEY, b"forgekey/wrap-key/v1", 32)
    for secret in (data_key, OLD_KEY, wrap_key, reference.message_keys(data_key, binding)[0], TOKEN.encode()):
        assert repr(secret)[2:-1] not in shown


def test_a_row_without_an_id_cannot_be_bound() -> None:
    for row in (None, "6f1c2c0e-52f2-4a57-9a3f-4a1d9f3f0b55", 7):
        with pytest.raises(TypeError, match="UUID"):
            replace(BINDING, row=row)  # type: ignore[arg-type] # the mistake is what is tried


@pytest.mark.parametrize("generation", [-1, 2**64])
def test_a_generation_that_needs_more_than_64_bits_is_refused(generation: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        replace(BINDING, generation=generation)
