"""Builds ZIP archives byte by byte, and lies about any field where it is told to."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

STORED, DEFLATED = 0, 8
UTF_8 = 1 << 11
DESCRIPTOR = 1 << 3
FILE, EXECUTABLE, FOLDER, LINK = 0o100644, 0o100755, 0o040755, 0o120777
FULL, FULL_SHORT = 0xFFFFFFFF, 0xFFFF
UNIX, FAT, NTFS = 3, 0, 10

Lies = Mapping[str, int | bytes]


def extra(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def unicode_path(raw: bytes, said: str, *, version: int = 1, crc: int | None = None) -> bytes:
    crc = zlib.crc32(raw) if crc is None else crc
    return extra(0x7075, struct.pack("<BL", version, crc) + said.encode())


def big_sizes(*numbers: int) -> bytes:
    return extra(0x0001, struct.pack(f"<{len(numbers)}Q", *numbers))


def deflated(data: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass(kw_only=True, slots=True)
class Item:
    """One entry. ``local`` and ``central`` hold what its own header and the directory say otherwise: ``name``,
    ``version``, ``flags``, ``method``, ``crc``, ``packed``, ``size``, ``extra``, and in the directory ``made``,
    ``disk``, ``attributes``, ``offset``, ``comment``. ``packed`` replaces the data, ``descriptor`` follows them
    (``"signed"``, ``"plain"``, ``"signed64"``, ``"plain64"``, or bytes), ``gap`` follows all."""

    name: str | bytes
    content: bytes = b""
    method: int = DEFLATED
    mode: int = FILE
    system: int = UNIX
    flags: int | None = None
    packed: bytes | None = None
    descriptor: str | bytes = ""
    gap: bytes = b""
    local: Lies = field(default_factory=dict)
    central: Lies = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Shape:
    """What stands around the entries. ``end``, ``big`` and ``locator`` hold lies about the end record, the big end
    record and its locator; without lies the big ones are only written where ``is_big``."""

    prefix: bytes = b""
    before_directory: bytes = b""
    after_directory: bytes = b""
    comment: bytes = b""
    suffix: bytes = b""
    is_big: bool = False
    shift: bool = True
    end: Lies = field(default_factory=dict)
    big: Lies = field(default_factory=dict)
    locator: Lies = field(default_factory=dict)


HONEST = Shape()
_DESCRIPTORS = {"signed": "<4sLLL", "plain": "<LLL", "signed64": "<4sLQQ", "plain64": "<LQQ"}
_TIME, _DATE = 0, 0x5A21


def build(*items: Item, shape: Shape = HONEST) -> bytes:
    """An archive of ``items``; with ``shape.shift`` false, offsets are as if there were no prefix."""
    out, directory = bytearray(shape.prefix), bytearray()
    for item in items:
        offset = len(out) - (0 if shape.shift else len(shape.prefix))
        local, central = _entry(item, offset)
        out += local
        directory += central
    out += shape.before_directory
    start = len(out) - (0 if shape.shift else len(shape.prefix))
    out += directory + shape.after_directory
    return bytes(out + ending(len(items), len(directory), start, len(out), shape) + shape.suffix)


def _entry(item: Item, offset: int) -> tuple[bytes, bytes]:
    raw = item.name.encode() if isinstance(item.name, str) else item.name
    flags = item.flags
    if flags is None:
        flags = (0 if raw.isascii() or isinstance(item.name, bytes) else UTF_8) | (
            DESCRIPTOR if item.descriptor else 0
        )
    data = item.packed
    if data is None:
        data = deflated(item.content) if item.method == DEFLATED else item.content
    crc = zlib.crc32(item.content)
    facts: dict[str, int | bytes] = {
        "name": raw,
        "version": 20,
        "flags": flags,
        "method": item.method,
        "crc": crc,
        "packed": len(data),
        "size": len(item.content),
        "extra": b"",
    }
    late: Lies = {"crc": 0, "packed": 0, "size": 0} if item.descriptor else {}
    here = {**facts, **late, **item.local}
    there = {
        **facts,
        "made": item.system << 8 | 20,
        "disk": 0,
        "attributes": item.mode << 16,
        "offset": offset,
        "comment": b"",
        **item.central,
    }
    tail = item.descriptor
    if isinstance(tail, str):
        tail = _descriptor(tail, crc, len(data), len(item.content)) if tail else b""
    return _header(here) + data + tail + item.gap, _record(there)


def _descriptor(kind: str, crc: int, packed: int, size: int) -> bytes:
    sign = (b"PK\7\x08",) if kind.startswith("signed") else ()
    return struct.pack(_DESCRIPTORS[kind], *sign, crc, packed, size)


def _header(facts: Mapping[str, int | bytes]) -> bytes:
    name, more = _bytes(facts, "name"), _bytes(facts, "extra")
    numbers = [facts[key] for key in ("version", "flags", "method")]
    sizes = [facts[key] for key in ("crc", "packed", "size")]
    sign = facts.get("sign", b"PK\3\4")
    return struct.pack("<4s5H3L2H", sign, *numbers, _TIME, _DATE, *sizes, len(name), len(more)) + name + more


def _record(facts: Mapping[str, int | bytes]) -> bytes:
    name, more, comment = (_bytes(facts, key) for key in ("name", "extra", "comment"))
    numbers = [facts[key] for key in ("made", "version", "flags", "method")]
    sizes = [facts[key] for key in ("crc", "packed", "size")]
    head = struct.pack(
        "<4s6H3L5H2L",
        facts.get("sign", b"PK\1\2"),
        *numbers,
        _TIME,
        _DATE,
        *sizes,
        *(len(name), len(more), len(comment)),
        *(facts["disk"], 0, facts["attributes"], facts["offset"]),
    )
    return head + name + more + comment


def _bytes(facts: Mapping[str, int | bytes], key: str) -> bytes:
    value = facts[key]
    assert isinstance(value, bytes)
    return value


def ending(entries: int, length: int, start: int, position: int, shape: Shape = HONEST) -> bytes:
    """End records of a directory of ``entries`` and ``length`` bytes at ``start``; they stand at ``position``."""
    facts: dict[str, int | bytes] = {
        "disk": 0,
        "first_disk": 0,
        "entries_here": entries,
        "entries": entries,
        "length": length,
        "start": start,
    }
    end = {**facts, "comment_length": len(shape.comment), **shape.end}
    is_big = shape.is_big or bool(shape.big or shape.locator)
    if is_big:
        full = {"entries_here": FULL_SHORT, "entries": FULL_SHORT, "length": FULL, "start": FULL}
        end = {**end, **full, **shape.end}
    keys = ("disk", "first_disk", "entries_here", "entries", "length", "start")
    small = struct.pack(
        "<4s4H2LH", end.get("sign", b"PK\5\6"), *(end[key] for key in keys), end["comment_length"]
    )
    small += shape.comment
    if not is_big:
        return small
    big = {**facts, "follows": 44, "tail": b"", **shape.big}
    where = {"disk": 0, "offset": position, "disks": 1, **shape.locator}
    record = struct.pack(
        "<4sQ2H2L4Q",
        big.get("sign", b"PK\6\6"),
        big["follows"],
        *(45, 45),
        *(big[key] for key in keys),
    ) + _bytes(big, "tail")
    return record + struct.pack("<4sLQL", b"PK\6\7", where["disk"], where["offset"], where["disks"]) + small


def overlapping(entries: int, size: int) -> bytes:
    """``entries`` names for the same data of ``size`` zero bytes: what a small archive can claim to hold."""
    data, content = deflated(bytes(size), 9), bytes(size)
    first = Item(name="f00000", content=content, packed=data)
    local, _central = _entry(first, 0)
    directory = b"".join(
        _entry(Item(name=f"f{number:05}", content=content, packed=data), 0)[1] for number in range(entries)
    )
    start = len(local)
    return local + directory + ending(entries, len(directory), start, start + len(directory))


def nested(levels: int, innermost: Sequence[Item]) -> bytes:
    """An archive in an archive in an archive …"""
    data = build(*innermost)
    for level in range(levels):
        data = build(Item(name=f"level{level}.zip", content=data))
    return data
