"""A second implementation of the envelope, written from its format table with bare primitives only.

It shares no line with ``credentials.crypto``: where both agree, the table is what is implemented.
"""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hmac import HMAC


def digest(data: bytes) -> bytes:
    hashing = Hash(SHA256())
    hashing.update(data)
    return hashing.finalize()


def hmac256(key: bytes, data: bytes) -> bytes:
    keyed = HMAC(key, SHA256())
    keyed.update(data)
    return keyed.finalize()


def hkdf(material: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 §2.2 and §2.3 with a salt of zeros, spelled out."""
    pseudo_random_key = hmac256(bytes(32), material)
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac256(pseudo_random_key, block + info + bytes([counter]))
        output += block
        counter += 1
    return output[:length]


def gcm(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(associated)
    return encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def associated_data(label: bytes, binding: dict[str, Any], *more: bytes) -> bytes:
    parts = [
        label,
        b"\x01",
        b"\x01",
        binding["model"].encode(),
        UUID(binding["row"]).bytes,
        binding["field"].encode(),
        binding["owner"].encode(),
        binding["host"].encode(),
        struct.pack(">Q", binding["generation"]),
        *more,
    ]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def key_id(key: bytes) -> bytes:
    return hkdf(key, b"forgekey/key-id/v1", 8)


def check_value(key: bytes) -> bytes:
    return hkdf(key, b"forgekey/kcv/v1", 16)


def message_keys(data_key: bytes, binding: dict[str, Any]) -> tuple[bytes, bytes]:
    """Payload key and commitment, 32 bytes each."""
    context = digest(associated_data(b"forgekey/secret", binding))
    derived = hkdf(data_key, b"forgekey/secret/v1" + context, 64)
    return derived[:32], derived[32:]


def header(key: bytes, data_key: bytes, wrap_nonce: bytes, binding: dict[str, Any]) -> bytes:
    """Everything before the commitment."""
    wrap_key = hkdf(key, b"forgekey/wrap-key/v1", 32)
    associated = associated_data(b"forgekey/wrap", binding, key_id(key))
    return b"\x01\x01" + key_id(key) + wrap_nonce + gcm(wrap_key, wrap_nonce, data_key, associated)


def envelope(
    *,
    key: bytes,
    data_key: bytes,
    wrap_nonce: bytes,
    nonce: bytes,
    plaintext: bytes,
    binding: dict[str, Any],
) -> bytes:
    payload_key, commitment = message_keys(data_key, binding)
    sealed = gcm(payload_key, nonce, plaintext, associated_data(b"forgekey/secret", binding))
    return header(key, data_key, wrap_nonce, binding) + commitment + nonce + sealed
