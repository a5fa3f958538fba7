"""Frozen envelopes of format version 1: what was stored once must open for ever."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from credentials.crypto import envelope
from credentials.crypto.envelope import Binding
from credentials.crypto.keyring import KeyRing
from credentials.crypto.secret import Secret
from tests.credentials.crypto import reference

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "envelope_v1.json").read_text(encoding="utf-8")
)["vectors"]

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def binding_of(vector: dict[str, Any]) -> Binding:
    return Binding(**(vector["binding"] | {"row": UUID(vector["binding"]["row"])}))


def ring_of(vector: dict[str, Any]) -> KeyRing:
    encoded = base64.b64encode(bytes.fromhex(vector["key"])).decode()
    return KeyRing.parse(f"{vector['key_id']}:{encoded}")


@each_vector
def test_a_frozen_envelope_opens_to_its_plaintext(vector: dict[str, Any]) -> None:
    secret = envelope.unseal(ring_of(vector), bytes.fromhex(vector["envelope"]), binding_of(vector))
    assert secret.reveal_bytes().hex() == vector["plaintext"]


@each_vector
def test_the_same_randomness_gives_the_frozen_envelope(vector: dict[str, Any]) -> None:
    stock = [bytes.fromhex(vector[name]) for name in ("data_key", "wrap_nonce", "nonce")]

    def drawn(length: int) -> bytes:
        piece = stock.pop(0)
        assert len(piece) == length
        return piece

    blob = envelope._seal(
        ring_of(vector), Secret(bytes.fromhex(vector["plaintext"])), binding_of(vector), random_bytes=drawn
    )

    assert blob.hex() == vector["envelope"]
    assert not stock


@each_vector
def test_a_second_implementation_gives_the_frozen_envelope(vector: dict[str, Any]) -> None:
    names = ("key", "data_key", "wrap_nonce", "nonce", "plaintext")
    inputs = {name: bytes.fromhex(vector[name]) for name in names}

    assert reference.envelope(**inputs, binding=vector["binding"]).hex() == vector["envelope"]
    assert reference.key_id(inputs["key"]).hex() == vector["key_id"]
    assert reference.check_value(inputs["key"]).hex() == vector["kcv"]


@each_vector
def test_id_and_check_value_of_a_frozen_key_stay_the_same(vector: dict[str, Any]) -> None:
    key = ring_of(vector).primary
    assert (key.id, key.kcv.hex()) == (vector["key_id"], vector["kcv"])


def test_the_frozen_set_covers_the_edges() -> None:
    assert {vector["binding"]["generation"] for vector in VECTORS} >= {0, 1, 2**64 - 1}
    assert any(vector["plaintext"] == "" for vector in VECTORS)
    assert any(not vector["binding"]["host"] for vector in VECTORS)
    assert any(not vector["binding"]["owner"].isascii() for vector in VECTORS)
