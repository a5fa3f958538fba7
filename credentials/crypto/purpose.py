"""Keyed digests under purpose keys: random keys that outlive every rotation of the key ring.

Fingerprints and the audit chain must not change when the ring does, so their keys are not derived from
it: each is random, and stored sealed.
"""

from __future__ import annotations

import secrets

from credentials.crypto.primitives import KEY_LENGTH, hmac_sha256, length_prefixed
from credentials.crypto.secret import Secret


def new_purpose_key() -> Secret:
    """A new random purpose key of 32 bytes."""
    return Secret(secrets.token_bytes(KEY_LENGTH))


def fingerprint(key: bytes, secret: Secret) -> bytes:
    """A 32-byte digest by which equal secrets are found; without ``key`` nobody can confirm a guess.

    Raises ValueError where ``key`` has not 32 bytes.
    """
    if len(key) != KEY_LENGTH:
        del key
        raise ValueError("a purpose key has 32 bytes")
    return hmac_sha256(key, secret.reveal_bytes())


def mac(key: bytes, *parts: bytes) -> bytes:
    """A 32-byte digest over ``parts`` that no other division of the same bytes shares.

    Raises ValueError where ``key`` has not 32 bytes.
    """
    if len(key) != KEY_LENGTH:
        del key
        raise ValueError("a purpose key has 32 bytes")
    return hmac_sha256(key, length_prefixed(*parts))
