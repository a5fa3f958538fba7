"""The key ring: ordered encryption keys, of which the first encrypts and all decrypt."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, final

from credentials.crypto.primitives import KEY_LENGTH, Aead, hkdf_sha256
from credentials.crypto.secret import NotSerializable
from credentials.errors import KeyRingInvalid, KeyUnavailable

KEY_ID_LENGTH = 8
CHECK_VALUE_LENGTH = 16

_WRAP_KEY_LABEL = b"forgekey/wrap-key/v1"
_KEY_ID_LABEL = b"forgekey/key-id/v1"
_CHECK_VALUE_LABEL = b"forgekey/kcv/v1"

_NEW_ENTRY = "Make a new entry with: python manage.py generate_key"
_RESTORE_ENTRY = "Restore the entry exactly as generate_key printed it"


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Key(NotSerializable):
    """One encryption key. Its material is HKDF input only and is not kept.

    ``id`` is 16 lowercase hexadecimal digits derived from the key, so an id can never be attached to a
    wrong key; ``kcv`` (16 bytes) is the check value that the database keeps; ``wrapping`` wraps data keys.
    """

    id: str
    kcv: bytes = field(repr=False)
    wrapping: Aead = field(repr=False)

    @classmethod
    def from_material(cls, material: bytes) -> Self:
        """The key made of 32 random bytes. Raises KeyRingInvalid for any other length."""
        if len(material) != KEY_LENGTH:
            del material
            raise KeyRingInvalid(f"A key has exactly {KEY_LENGTH} bytes. {_NEW_ENTRY}")
        return cls(
            id=hkdf_sha256(material, info=_KEY_ID_LABEL, length=KEY_ID_LENGTH).hex(),
            kcv=hkdf_sha256(material, info=_CHECK_VALUE_LABEL, length=CHECK_VALUE_LENGTH),
            wrapping=Aead(hkdf_sha256(material, info=_WRAP_KEY_LABEL, length=KEY_LENGTH)),
        )


@final
class KeyRing(NotSerializable):
    """The keys of one installation. Prints ids only."""

    __slots__ = ("_keys", "_primary")

    def __init__(self, keys: Sequence[Key]) -> None:
        """Order matters: the first key encrypts. Raises KeyRingInvalid where there is none, or one twice."""
        if not keys:
            raise KeyRingInvalid(f"The key ring is empty. {_NEW_ENTRY}")
        self._keys: dict[str, Key] = {}
        for position, key in enumerate(keys, start=1):
            if key.id in self._keys:
                first = list(self._keys).index(key.id) + 1
                raise KeyRingInvalid(
                    f"Entry {position} of the key ring repeats entry {first}. Remove one of the two"
                )
            self._keys[key.id] = key
        self._primary = keys[0]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read entries ``id:base64key``, separated by newlines or commas; ``#`` starts a comment.

        Raises KeyRingInvalid, which names the entry by its position and says what to do; neither the
        message nor the traceback holds any part of ``text``.
        """
        problem = ""
        try:
            return cls([_key_in(entry, position) for position, entry in enumerate(_entries(text), start=1)])
        except KeyRingInvalid as refusal:
            problem = str(refusal)
        # Error reports print the local variables of every frame, so the error starts anew from here.
        del text
        raise KeyRingInvalid(problem)

    @property
    def primary(self) -> Key:
        """The key that encrypts."""
        return self._primary

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the encrypting one first."""
        return tuple(self._keys)

    def get(self, key_id: str) -> Key:
        """The key with this id. Raises KeyUnavailable where the ring lacks it."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyUnavailable(
                f"The key ring has no key {key_id}. Add its entry to the key ring again; "
                "what it encrypts is untouched and can be read as soon as the key is back."
            ) from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.ids)})"


def generate_entry() -> str:
    """A new random key as a key-ring entry, ``id:base64key``. The caller must keep it secret."""
    material = secrets.token_bytes(KEY_LENGTH)
    return f"{Key.from_material(material).id}:{base64.b64encode(material).decode('ascii')}"


def _entries(text: str) -> list[str]:
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [entry for line in lines for part in line.split(",") if (entry := part.strip())]


def _key_in(entry: str, position: int) -> Key:
    where = f"Entry {position} of the key ring"
    key_id, colon, encoded = entry.partition(":")
    if not colon:
        raise KeyRingInvalid(f"{where} does not read id:base64key. {_RESTORE_ENTRY}")
    material = _canonical_base64(encoded)
    if material is None:
        raise KeyRingInvalid(f"{where} is not valid base64 after the colon. {_RESTORE_ENTRY}")
    if len(material) != KEY_LENGTH:
        raise KeyRingInvalid(
            f"{where} holds a key of {len(material)} bytes instead of {KEY_LENGTH}. {_RESTORE_ENTRY}"
        )
    key = Key.from_material(material)
    if key_id != key.id:
        raise KeyRingInvalid(f"{where} has an id that does not belong to its key. {_RESTORE_ENTRY}")
    return key


def _canonical_base64(encoded: str) -> bytes | None:
    """What ``encoded`` stands for, or None. Unused bits that are not zero are a typing error, too."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode("ascii") == encoded else None
