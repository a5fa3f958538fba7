"""The envelope: how a secret is stored, so that it opens only in its own row, for its own owner and host.

Version 1, 130 bytes plus the plaintext::

    version(1)=1 | algorithm(1)=1 | key id(8) | wrap nonce(12) | wrapped data key(48)
    | commitment(32) | nonce(12) | ciphertext and tag(16 + n)

Every secret has a data key of its own, wrapped by a key of the ring: rotating the ring rewraps 60 bytes
and never opens a token. The payload key and the commitment are derived from the data key together, since
AES-GCM alone lets a forger build one ciphertext that two keys accept.

Every altered, truncated, extended or misplaced envelope gets the same EnvelopeInvalid: the reason would
help a forger only. A key id that the ring lacks gets KeyUnavailable.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from credentials.crypto.keyring import Key, KeyRing
from credentials.crypto.primitives import (
    DIGEST_LENGTH,
    KEY_LENGTH,
    NONCE_LENGTH,
    TAG_LENGTH,
    Aead,
    hkdf_sha256,
    length_prefixed,
)
from credentials.crypto.secret import Secret
from credentials.errors import EnvelopeInvalid

VERSION = 1
ALGORITHM_AES_256_GCM = 1

_SECRET_LABEL = "forgekey/secret"  # noqa: S105 - a public domain-separation label, not a password
_WRAP_LABEL = "forgekey/wrap"
_PAYLOAD_KEY_LABEL = b"forgekey/secret/v1"

_HEADER = struct.Struct(">BB8s12s48s32s12s")
MINIMUM_LENGTH = _HEADER.size + TAG_LENGTH

_GENERATIONS = 2**64
_REFUSED = "This envelope was altered, or belongs to another row, owner, host or generation."

_Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """Where an envelope belongs; it opens with an equal binding only.

    ``row`` is made before the INSERT; ``owner`` is kind and id (``user:7``); ``host`` names provider,
    scheme, host and port, so that a token cannot be moved to where an attacker listens; ``generation``
    counts the secrets this row has had. Raises TypeError for a row that is no UUID and ValueError for a
    generation that does not fit 64 bits.
    """

    model: str
    row: UUID
    field: str
    owner: str
    host: str
    generation: int

    def __post_init__(self) -> None:
        # A row that has no id yet would bind its secret to "None", and so would every other such row.
        if not isinstance(self.row, UUID):
            raise TypeError("a binding needs the row's UUID, which is made before the row is inserted")
        if not 0 <= self.generation < _GENERATIONS:
            raise ValueError("a generation is a number of 64 bits")

    def aad(self, label: str, *more: bytes) -> bytes:
        """The associated data for one purpose: every part behind its own length, in a fixed order."""
        return length_prefixed(
            label.encode("utf-8"),
            bytes([VERSION]),
            bytes([ALGORITHM_AES_256_GCM]),
            self.model.encode("utf-8"),
            self.row.bytes,
            self.field.encode("utf-8"),
            self.owner.encode("utf-8"),
            self.host.encode("utf-8"),
            self.generation.to_bytes(8, "big"),
            *more,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parts:
    """The fields of one envelope; none of them is secret."""

    key_id: bytes
    wrap_nonce: bytes
    wrapped: bytes
    commitment: bytes
    nonce: bytes
    sealed: bytes

    def packed(self) -> bytes:
        header = _HEADER.pack(
            VERSION,
            ALGORITHM_AES_256_GCM,
            self.key_id,
            self.wrap_nonce,
            self.wrapped,
            self.commitment,
            self.nonce,
        )
        return header + self.sealed


def seal(ring: KeyRing, secret: Secret, binding: Binding) -> bytes:
    """The envelope of ``secret`` under the ring's first key, bound to ``binding``.

    Two calls never give the same bytes: data key and nonces are random and cannot be chosen.
    """
    return _seal(ring, secret, binding, random_bytes=secrets.token_bytes)


def unseal(ring: KeyRing, blob: bytes | bytearray | memoryview, binding: Binding) -> Secret:
    """The secret inside ``blob``.

    Raises KeyUnavailable where the ring lacks the key that ``blob`` names, EnvelopeInvalid where anything
    else does not fit.
    """
    parts = _parts(blob)
    associated = binding.aad(_SECRET_LABEL)
    with _unwrapped(ring, parts, binding) as data_key:
        payload = _committed_payload_key(data_key, associated, parts.commitment)
    plaintext = payload.open(nonce=parts.nonce, sealed=parts.sealed, associated=associated)
    if plaintext is None:
        raise EnvelopeInvalid(_REFUSED)
    return Secret.from_buffer(plaintext)


def rewrap(ring: KeyRing, blob: bytes | bytearray | memoryview, binding: Binding) -> bytes:
    """The same envelope under the ring's first key; commitment and payload stay byte for byte.

    Neither is the token opened nor its key derived, so damage to commitment or payload passes unseen here
    and is found by :func:`unseal`. Raises as :func:`unseal` for everything else.
    """
    parts = _parts(blob)
    with _unwrapped(ring, parts, binding) as data_key:
        nonce = secrets.token_bytes(NONCE_LENGTH)
        wrapped = _wrapped(ring.primary, data_key, nonce, binding)
    return _Parts(
        key_id=bytes.fromhex(ring.primary.id),
        wrap_nonce=nonce,
        wrapped=wrapped,
        commitment=parts.commitment,
        nonce=parts.nonce,
        sealed=parts.sealed,
    ).packed()


def key_id_of(blob: bytes | bytearray | memoryview) -> str:
    """The id of the key that ``blob`` names, not yet authenticated. Raises EnvelopeInvalid."""
    return _parts(blob).key_id.hex()


def _seal(ring: KeyRing, secret: Secret, binding: Binding, *, random_bytes: _Random) -> bytes:
    """Seal with the given randomness: 32 bytes data key, 12 bytes wrap nonce, 12 bytes payload nonce.

    Only the frozen vectors pass anything but the system's generator: a caller that can choose a nonce can
    break AES-GCM (Vault's CVE-2023-4680).
    """
    associated = binding.aad(_SECRET_LABEL)
    with Secret(random_bytes(KEY_LENGTH)) as data_key:
        wrap_nonce = random_bytes(NONCE_LENGTH)
        wrapped = _wrapped(ring.primary, data_key, wrap_nonce, binding)
        payload, commitment = _payload_key(data_key, associated)
    nonce = random_bytes(NONCE_LENGTH)
    return _Parts(
        key_id=bytes.fromhex(ring.primary.id),
        wrap_nonce=wrap_nonce,
        wrapped=wrapped,
        commitment=commitment,
        nonce=nonce,
        sealed=payload.seal(nonce=nonce, plaintext=secret.reveal_bytes(), associated=associated),
    ).packed()


def _parts(blob: bytes | bytearray | memoryview) -> _Parts:
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise TypeError("an envelope is bytes")
    data = bytes(blob)
    if len(data) < MINIMUM_LENGTH:
        raise EnvelopeInvalid(_REFUSED)
    version, algorithm, key_id, wrap_nonce, wrapped, commitment, nonce = _HEADER.unpack_from(data)
    if (version, algorithm) != (VERSION, ALGORITHM_AES_256_GCM):
        raise EnvelopeInvalid(_REFUSED)
    return _Parts(
        key_id=key_id,
        wrap_nonce=wrap_nonce,
        wrapped=wrapped,
        commitment=commitment,
        nonce=nonce,
        sealed=data[_HEADER.size :],
    )


def _wrapped(key: Key, data_key: Secret, nonce: bytes, binding: Binding) -> bytes:
    associated = binding.aad(_WRAP_LABEL, bytes.fromhex(key.id))
    return key.wrapping.seal(nonce=nonce, plaintext=data_key.reveal_bytes(), associated=associated)


def _unwrapped(ring: KeyRing, parts: _Parts, binding: Binding) -> Secret:
    """The data key, opened with exactly the key that the envelope names: no other key is tried."""
    key = ring.get(parts.key_id.hex())
    associated = binding.aad(_WRAP_LABEL, parts.key_id)
    data_key = key.wrapping.open(nonce=parts.wrap_nonce, sealed=parts.wrapped, associated=associated)
    if data_key is None:
        raise EnvelopeInvalid(_REFUSED)
    return Secret.from_buffer(data_key)


def _payload_key(data_key: Secret, associated: bytes) -> tuple[Aead, bytes]:
    """The payload's cipher and the commitment to its key, from one derivation."""
    derived = hkdf_sha256(
        data_key.reveal_bytes(),
        info=_PAYLOAD_KEY_LABEL + hashlib.sha256(associated).digest(),
        length=KEY_LENGTH + DIGEST_LENGTH,
    )
    return Aead(derived[:KEY_LENGTH]), derived[KEY_LENGTH:]


def _committed_payload_key(data_key: Secret, associated: bytes, commitment: bytes) -> Aead:
    """The payload's cipher, once the envelope has proven to mean this very key."""
    payload, expected = _payload_key(data_key, associated)
    if not hmac.compare_digest(expected, commitment):
        raise EnvelopeInvalid(_REFUSED)
    return payload
