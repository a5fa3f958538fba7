"""One crafted archive and what becomes of it, and short ways to craft one."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from credentials.sources.content import ContentLimits
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.archive.building import (
    Item,
    build,
    deflated,
)

MIB = 1 << 20
LIMITS = ContentLimits(files=50, bytes=64 * MIB, file_bytes=32 * MIB)

Paths = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """``becomes`` is the paths that are taken, a refusal when it is opened, or (in a list) one when it is read."""

    name: str
    data: bytes
    becomes: Paths | Refusal | list[Refusal]
    entry: str | None = None
    remarks: tuple[tuple[str, Remark], ...] = ()


def named(name: str | bytes, **more: object) -> bytes:
    return build(Item(name=name, content=b"x", **more))  # type: ignore[arg-type]  # as Item takes them


HI = Item(name="hi.txt", content=b"hello")
BYE = Item(name="bye.txt", content=b"good bye")
DATA = b"hello hello hello hello"
CRC = zlib.crc32(DATA)
PACKED = deflated(DATA)
CAFE_437 = b"caf\x82.txt"


def lying(*, local: bool = True, central: bool = True, **facts: int | bytes) -> bytes:
    """One entry, about which its own header, the directory or both lie."""
    item = Item(name="hi.txt", content=DATA, local=facts if local else {}, central=facts if central else {})
    return build(item, BYE)


def late(descriptor: str | bytes, **facts: int) -> bytes:
    return build(Item(name="hi.txt", content=DATA, descriptor=descriptor, local=facts), BYE)
