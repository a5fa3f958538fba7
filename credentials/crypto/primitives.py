"""AES-256-GCM, HKDF-SHA256 and HMAC-SHA256, each in the one shape Forgekey uses.

Everything above calls these and nothing else, so the published known answers run through the same lines
as the secrets do. No function here raises while it holds a key in a local variable: error reports print
local variables.
"""

from __future__ import annotations

import hmac
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from credentials.crypto.secret import NotSerializable

KEY_LENGTH = 32
NONCE_LENGTH = 12
TAG_LENGTH = 16
DIGEST_LENGTH = 32


@final
class Aead(NotSerializable):
    """AES-256-GCM under one key (NIST SP 800-38D, 96-bit nonce, 128-bit tag).

    The key lives inside the cipher object only: nothing here can print it.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes; any other length raises ValueError."""
        if len(key) != KEY_LENGTH:
            del key
            raise ValueError("an AES-256 key has 32 bytes")
        # The cipher may keep a reference instead of a copy, so the key must be immutable bytes: a wiped
        # bytearray would silently turn into a key of zeros.
        self._cipher = AESGCM(bytes(key))

    def seal(self, *, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext followed by the 16-byte tag; ``nonce`` has 12 bytes and is used once per key."""
        return self._cipher.encrypt(nonce, plaintext, associated)

    def open(self, *, nonce: bytes, sealed: bytes, associated: bytes) -> bytearray | None:
        """The plaintext in a buffer that the caller can wipe, or None where the tag does not fit."""
        if len(sealed) < TAG_LENGTH:
            return None
        plaintext = bytearray(len(sealed) - TAG_LENGTH)
        try:
            self._cipher.decrypt_into(nonce, sealed, associated, plaintext)
        except InvalidTag:
            return None
        return plaintext

    def __repr__(self) -> str:
        return "Aead(****)"


def hkdf_sha256(material: bytes, *, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """``length`` bytes derived from ``material`` (RFC 5869).

    No salt, RFC 5869 §2.2's string of zeros, suits material that is uniformly random already, as every
    key here is.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The 32-byte HMAC-SHA256 of ``message`` (RFC 2104, FIPS 198-1)."""
    return hmac.digest(key, message, "sha256")


def length_prefixed(*parts: bytes) -> bytes:
    """All parts in one string that can be read in one way only: each behind its length (u32, big endian).

    Plain concatenation would give ``a`` + ``bc`` and ``ab`` + ``c`` the same authentication tag.
    """
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(4, "big"), part))
