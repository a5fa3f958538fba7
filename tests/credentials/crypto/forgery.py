"""One AES-GCM ciphertext that two keys accept: why the envelope commits to its key.

GHASH is linear in every ciphertext block, so with two known keys one free block suffices to make both
tags equal (NIST SP 800-38D §6.3 and §6.4 for the field and the hash).
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

REDUCTION = 0xE1 << 120
ONE = 1 << 127


def product(left: int, right: int) -> int:
    result = 0
    for bit in range(127, -1, -1):
        if right >> bit & 1:
            result ^= left
        left = left >> 1 ^ (REDUCTION if left & 1 else 0)
    return result


def power(base: int, exponent: int) -> int:
    result = ONE
    while exponent:
        if exponent & 1:
            result = product(result, base)
        base = product(base, base)
        exponent >>= 1
    return result


def inverse(value: int) -> int:
    return power(value, 2**128 - 2)


def block_cipher(key: bytes, block: bytes) -> int:
    return int.from_bytes(Cipher(AES(key), ECB()).encryptor().update(block), "big")  # noqa: S305 - GCM's own building block


def blocks(data: bytes) -> list[int]:
    padded = data + bytes(-len(data) % 16)
    return [int.from_bytes(padded[at : at + 16], "big") for at in range(0, len(padded), 16)]


def tag(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> int:
    subkey = block_cipher(key, bytes(16))
    lengths = len(associated) << 67 | len(ciphertext) << 3
    state = 0
    for block in [*blocks(associated), *blocks(ciphertext), lengths]:
        state = product(state ^ block, subkey)
    return state ^ block_cipher(key, nonce + b"\x00\x00\x00\x01")


def accepted_by_both(first: bytes, second: bytes, nonce: bytes, associated: bytes) -> bytes:
    """Ciphertext (16 bytes) and tag that decrypt under either key, to different plaintexts."""
    gap = tag(first, nonce, bytes(16), associated) ^ tag(second, nonce, bytes(16), associated)
    # The only ciphertext block stands two places before the end of the hash, so it weighs subkey squared.
    weights = [power(block_cipher(key, bytes(16)), 2) for key in (first, second)]
    block = product(gap, inverse(weights[0] ^ weights[1])).to_bytes(16, "big")
    return block + tag(first, nonce, block, associated).to_bytes(16, "big")
