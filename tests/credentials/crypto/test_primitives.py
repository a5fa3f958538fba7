"""Published known answers, run through the wrappers that the secrets go through."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.crypto.primitives import Aead, hkdf_sha256, hmac_sha256, length_prefixed
from tests.credentials.crypto import reference

# McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 to 16:
# key, nonce, plaintext, associated data, ciphertext, tag.
LONG_KEY = "feffe9928665731c6d6a8f9467308308" * 2
LONG_PLAINTEXT = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
LONG_CIPHERTEXT = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
)
GCM_ANSWERS = {
    "13": ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    "14": (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    "15": (
        LONG_KEY,
        "cafebabefacedbaddecaf888",
        LONG_PLAINTEXT,
        "",
        LONG_CIPHERTEXT,
        "b094dac5d93471bdec1a502270e3cc6c",
    ),
    "16": (
        LONG_KEY,
        "cafebabefacedbaddecaf888",
        LONG_PLAINTEXT[:120],
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        LONG_CIPHERTEXT[:120],
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
}

# RFC 5869, appendix A.1 to A.3: material, salt, info, length, output.
HKDF_ANSWERS = {
    "A.1": (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    "A.2": (
        bytes(range(0x00, 0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    "A.3": (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
}

# RFC 4231, section 4: key, message, output (case 5 is cut to 128 bits there).
HMAC_ANSWERS = {
    "4.2": (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    "4.3": (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    "4.4": (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    "4.5": (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    "4.6": (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    "4.7": (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    "4.8": (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data."
        b" The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
}


@pytest.mark.parametrize("case", GCM_ANSWERS)
def test_aes_256_gcm_gives_the_published_answer(case: str) -> None:
    key, nonce, plaintext, associated, ciphertext, tag = (bytes.fromhex(part) for part in GCM_ANSWERS[case])

    sealed = Aead(key).seal(nonce=nonce, plaintext=plaintext, associated=associated)

    assert sealed == ciphertext + tag
    opened = Aead(key).open(nonce=nonce, sealed=sealed, associated=associated)
    assert opened is not None
    assert bytes(opened) == plaintext


@pytest.mark.parametrize("case", GCM_ANSWERS)
def test_aes_256_gcm_refuses_every_flipped_bit_of_ciphertext_tag_nonce_and_associated_data(case: str) -> None:
    key, nonce, _, associated, ciphertext, tag = (bytes.fromhex(part) for part in GCM_ANSWERS[case])
    inputs = {"nonce": nonce, "sealed": ciphertext + tag, "associated": associated}
    cipher = Aead(key)

    for name, original in inputs.items():
        for bit in range(8 * len(original)):
            changed = bytearray(original)
            changed[bit // 8] ^= 1 << bit % 8
            assert cipher.open(**{**inputs, name: bytes(changed)}) is None


@pytest.mark.parametrize("length", range(16))
def test_aes_256_gcm_refuses_what_is_shorter_than_a_tag(length: int) -> None:
    assert Aead(bytes(32)).open(nonce=bytes(12), sealed=bytes(length), associated=b"") is None


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_only_a_key_of_32_bytes_makes_a_cipher(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Aead(bytes(length))


def test_a_cipher_prints_no_key_and_is_not_pickled() -> None:
    cipher = Aead(b"K" * 32)
    assert repr(cipher) == "Aead(****)"
    with pytest.raises(TypeError):
        pickle.dumps(cipher)


@pytest.mark.parametrize("case", HKDF_ANSWERS)
def test_hkdf_sha256_gives_the_published_answer(case: str) -> None:
    material, salt, info, output = (bytes.fromhex(part) for part in HKDF_ANSWERS[case])
    assert hkdf_sha256(material, salt=salt, info=info, length=len(output)) == output


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 200))
def test_hkdf_sha256_agrees_with_the_rfc_spelled_out(material: bytes, info: bytes, length: int) -> None:
    assert hkdf_sha256(material, info=info, length=length) == reference.hkdf(material, info, length)


@pytest.mark.parametrize("case", HMAC_ANSWERS)
def test_hmac_sha256_gives_the_published_answer(case: str) -> None:
    key, message, output = HMAC_ANSWERS[case]
    assert hmac_sha256(key, message).hex()[: len(output)] == output
    assert len(hmac_sha256(key, message)) == 32


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=9), max_size=6))
def test_length_prefixed_parts_can_be_read_back_in_one_way_only(parts: list[bytes]) -> None:
    packed = length_prefixed(*parts)

    read: list[bytes] = []
    while packed:
        size = int.from_bytes(packed[:4], "big")
        read.append(packed[4 : 4 + size])
        packed = packed[4 + size :]

    assert read == parts
