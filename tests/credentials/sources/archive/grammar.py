"""Makes up archives: in order, oddly put together, lying here and there, or broken by bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Final

from tests.credentials.sources.archive.building import (
    DEFLATED,
    DESCRIPTOR,
    EXECUTABLE,
    FILE,
    FOLDER,
    FULL,
    LINK,
    STORED,
    UTF_8,
    Item,
    Shape,
    big_sizes,
    build,
    deflated,
    extra,
    unicode_path,
)

CONTENTS: Final = (
    b"",
    b"x",
    b"hello" * 9,
    bytes(3000),
    bytes(range(256)),
    b"version https://git-lfs.github.com/spec/v1\n",
)
_BOMB = bytes(9 << 20)
# (what is announced, what is packed): packed once, for packing takes longer than anything else here.
_PACKED: Final = [(content, deflated(content)) for content in CONTENTS]
_BOMBS: Final = [(b"x", deflated(_BOMB)), (bytes(600_000), deflated(bytes(600_000)))]

PARTS: Final = (
    *(
        "a",
        "b",
        "c",
        "A",
        "docs",
        "x.txt",
        "README.md",
        "é",
        "e\u0301",
        "É",
        "日本",
        "..",
        ".",
        "",
        ".git",
        ".GIT",
        "git~1",
    ),
    *(
        "__MACOSX",
        "con",
        "NUL.txt",
        "a.",
        "a ",
        "x\\y",
        "C:",
        "x:y",
        "\0",
        "\n",
        "\u202e",
        "\u200c",
        "~",
        "._x",
        "*?",
        "n" * 256,
        "/".join("d" * 41),
    ),
)
_ORDINARY_PARTS: Final = 11
MODES: Final = (
    FILE,
    EXECUTABLE,
    FOLDER,
    LINK,
    0,
    0o600,
    0o104755,
    0o020600,
    0o010600,
    0o060660,
    0o140600,
    0o170000,
)
SYSTEMS: Final = (3, 3, 3, 0, 10, 11, 19, 6, 255)
_NUMBERS: Final = (0, 1, 2, 7, 8, 12, 20, 45, 46, 63, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, FULL)
_SIZES: Final = ("crc", "packed", "size")


def archive(chance: random.Random) -> bytes:
    """One archive of the grammar: mostly in order, with a lie or two in about half of all."""
    items = [_item(chance) for _number in range(chance.choice((1, 1, 2, 2, 3, 4)))]
    if chance.random() < 0.3:
        top = chance.choice(PARTS[:_ORDINARY_PARTS])
        for item in items:
            item.name = f"{top}/{item.name}" if isinstance(item.name, str) else item.name
    if chance.random() < 0.35:
        _lie(chance, chance.choice(items))
    return build(*items, shape=_shape(chance) if chance.random() < 0.25 else Shape())


def _name(chance: random.Random) -> str:
    parts = PARTS if chance.random() < 0.12 else PARTS[:_ORDINARY_PARTS]
    name = "/".join(chance.choice(parts) for _part in range(chance.choice((1, 1, 2, 3))))
    return f"{name}{chance.randrange(9)}" if chance.random() < 0.6 else name


def _item(chance: random.Random) -> Item:
    content, packed = chance.choice(_PACKED)
    if chance.random() < 0.01:
        content, packed = chance.choice(_BOMBS)
    name = _name(chance)
    item = Item(name=name, content=content, packed=packed)
    kind = chance.random()
    if kind < 0.3:
        item.method, item.packed = STORED, content
    if kind < 0.08:
        item.name, item.mode, item.content, item.packed = f"{name}/", FOLDER, b"", b""
    elif kind > 0.9:
        item.mode = chance.choice(MODES)
    if chance.random() < 0.3:
        item.system = chance.choice(SYSTEMS)
    if chance.random() < 0.2:
        item.descriptor = chance.choice(("signed", "plain", "signed64", "plain64"))
    if chance.random() < 0.1:
        _add_fields(chance, item)
    return item


def _add_fields(chance: random.Random, item: Item) -> None:
    raw = item.name.encode() if isinstance(item.name, str) else item.name
    size, packed = len(item.content), len(item.packed or b"")
    kind = chance.randrange(5)
    if kind == 0:
        field = unicode_path(raw, chance.choice((str(item.name), "a", "../x")))
        item.local, item.central = {"extra": field}, {"extra": field}
    elif kind == 1:
        item.local = {"size": FULL, "packed": FULL, "extra": big_sizes(size, packed)}
        if item.descriptor:
            item.local = {"extra": big_sizes(0, 0), "size": FULL, "packed": FULL, "crc": 0}
    elif kind == 2:
        item.central = {"size": FULL, "packed": FULL, "extra": big_sizes(size, packed)}
    elif kind == 3:
        field = extra(chance.choice((0x5455, 0x7875, 0x000A, 0x9901)), b"\1" * chance.randrange(9))
        item.local, item.central = {"extra": field}, {"extra": field + b"\0" * chance.randrange(4)}
    else:
        item.name, item.flags = raw, chance.choice((0, UTF_8))


def _lie(chance: random.Random, item: Item) -> None:
    where = chance.randrange(4)
    key = chance.choice(
        (*_SIZES, "flags", "method", "version", "name", "extra", "offset", "attributes", "disk")
    )
    value: int | bytes
    if key == "name":
        value = _name(chance).encode()
    elif key == "extra":
        value = chance.choice((big_sizes(1, 1), big_sizes(0), unicode_path(b"a", "b"), b"\1\2\3", b"\0\0"))
    elif key in {*_SIZES, "offset", "attributes"}:
        value = chance.choice(
            (chance.choice(_NUMBERS), len(item.content), len(item.content) + 1, chance.randrange(99))
        )
    else:
        value = chance.choice((1, 2, 8, 9, DESCRIPTOR, UTF_8, 45, 63, 0xFFFF, DEFLATED))
    if where == 3:  # one in four
        item.packed = (item.packed or b"")[: chance.randrange(9)] + chance.randbytes(chance.randrange(4))
    if where in {0, 2}:
        item.local = {**item.local, key: value}
    if where in {1, 2}:
        item.central = {**item.central, key: value}


def _shape(chance: random.Random) -> Shape:
    junk = chance.choice((b"\0", b"PK\3\4", b"PK\5\6" + bytes(18), build(), b"x" * 30))
    where = chance.randrange(9)
    keys = ("disk", "first_disk", "entries_here", "entries", "length", "start")
    lies = {chance.choice(keys): chance.choice((0, 1, 2, 0xFFFF, chance.randrange(300)))}
    shapes: tuple[Callable[[], Shape], ...] = (
        lambda: Shape(prefix=junk, shift=chance.random() < 0.5),
        lambda: Shape(before_directory=junk),
        lambda: Shape(after_directory=junk),
        lambda: Shape(comment=junk),
        lambda: Shape(suffix=junk),
        lambda: Shape(is_big=True),
        lambda: Shape(end=lies),
        lambda: Shape(big=lies),
        lambda: Shape(comment=b"8f3c" * 10),
    )
    return shapes[where]()


_SIGNS: Final = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\7\x08", b"PK\6\6", b"PK\6\7")
# Where a field begins after its signature, and its bytes.
_FIELDS: Final = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": (
        (4, 2),
        (6, 2),
        (8, 2),
        (10, 2),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 2),
        (30, 2),
        (32, 2),
        (34, 2),
        (38, 4),
        (42, 4),
    ),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\7\x08": ((4, 4), (8, 4), (12, 4)),
    b"PK\6\6": ((4, 4), (16, 4), (20, 4), (24, 4), (32, 4), (40, 4), (48, 4)),
    b"PK\6\7": ((4, 4), (8, 4), (16, 4)),
}
_FORMATS: Final = {2: "<H", 4: "<L"}


def mutated(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """``data`` with one to three changes; ``others`` lend pieces."""
    changed = bytearray(data)
    for _number in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_CHANGES)(chance, changed, others)
    return bytes(changed)


def _place(chance: random.Random, data: bytearray) -> int:
    return chance.randrange(len(data) + 1)


def _change_byte(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _change_bit(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _change_field(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    sign = chance.choice(_SIGNS)
    places = [at for at in range(len(data)) if data.startswith(sign, at)] if sign in data else []
    if not places:
        return
    offset, length = chance.choice(_FIELDS[sign])
    at = chance.choice(places) + offset
    if at + length <= len(data):
        number = int.from_bytes(data[at : at + length], "little")
        number = chance.choice(
            (number + 1, number - 1, chance.choice(_NUMBERS), number ^ 1 << chance.randrange(16))
        )
        struct.pack_into(_FORMATS[length], data, at, number % (1 << 8 * length))


def _change_both(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    """The same bytes everywhere: a name, a size or a checksum in the header and in the directory alike."""
    at, length = _place(chance, data), chance.choice((1, 2, 4))
    old = bytes(data[at : at + length])
    if old:
        data[:] = data.replace(
            old, chance.choice((chance.randbytes(len(old)), *(part.encode() for part in PARTS[:3])))
        )


def _remove(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    at = _place(chance, data)
    del data[at : at + chance.choice((1, 2, 4, 16, 46))]


def _insert(chance: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    piece = chance.choice(
        (chance.randbytes(chance.randrange(1, 9)), chance.choice(_SIGNS), chance.choice(others))
    )
    at = _place(chance, data)
    data[at:at] = piece


def _repeat(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    at, to = _place(chance, data), _place(chance, data)
    data[to:to] = data[at : at + chance.choice((4, 22, 46, 60))]


def _cut(chance: random.Random, data: bytearray, _others: Sequence[bytes]) -> None:
    if chance.random() < 0.5:
        del data[_place(chance, data) :]
    else:
        del data[: _place(chance, data)]


def _splice(chance: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = chance.choice(others)
    data[_place(chance, data) :] = other[chance.randrange(len(other) + 1) :]


_CHANGES: Final[Sequence[Callable[[random.Random, bytearray, Sequence[bytes]], None]]] = (
    *([_change_field] * 6),
    *([_change_byte] * 3),
    *([_change_bit] * 3),
    *([_change_both] * 3),
    *(_remove, _insert, _repeat, _cut, _splice),
)
