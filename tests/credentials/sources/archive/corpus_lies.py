"""Crafted archives that are packed oddly, lie about sizes, or are no whole archive."""

from __future__ import annotations

from credentials.verdicts.refusals import Refusal
from tests.credentials.sources.archive.building import (
    DESCRIPTOR,
    FOLDER,
    FULL,
    FULL_SHORT,
    STORED,
    UTF_8,
    Item,
    Shape,
    big_sizes,
    build,
    deflated,
    extra,
    overlapping,
)
from tests.credentials.sources.archive.case import (
    BYE,
    CRC,
    DATA,
    HI,
    MIB,
    PACKED,
    Case,
    late,
    lying,
)

PACKING = (
    Case("locked with a password", lying(flags=1), Refusal.ENCRYPTED, "hi.txt"),
    Case("strong encryption", lying(flags=1 << 6 | 1), Refusal.ENCRYPTED),
    Case("encrypted directory", lying(local=False, flags=1 << 13), Refusal.ENCRYPTED),
    Case("AES", lying(method=99), Refusal.ENCRYPTED),
    Case("bzip2", lying(method=12), Refusal.METHOD_UNSUPPORTED, "hi.txt"),
    Case("LZMA", lying(method=14), Refusal.METHOD_UNSUPPORTED),
    Case("Deflate64", lying(method=9), Refusal.METHOD_UNSUPPORTED),
    Case("Zstandard", lying(method=93), Refusal.METHOD_UNSUPPORTED),
    Case("patched data", lying(flags=1 << 5), Refusal.METHOD_UNSUPPORTED),
    Case("a version that unzip passes over", lying(version=63), Refusal.METHOD_UNSUPPORTED),
    Case("method in the header only", lying(central=False, method=STORED), Refusal.HEADER_MISMATCH),
    Case("locked in the header only", lying(central=False, flags=1), Refusal.HEADER_MISMATCH),
    Case("late sizes in the header only", lying(central=False, flags=DESCRIPTOR), Refusal.HEADER_MISMATCH),
    Case("UTF-8 in the header only", lying(central=False, flags=UTF_8), Refusal.HEADER_MISMATCH),
)

SIZES = (
    Case("51 files", build(*(Item(name=f"{n}") for n in range(51))), Refusal.TOO_MANY_FILES),
    Case("a large file", lying(size=33 * MIB), Refusal.FILE_TOO_LARGE, "hi.txt"),
    Case(
        "large together",
        build(*(Item(name=f"{n}", central={"size": 8 * MIB}, local={"size": 8 * MIB}) for n in range(9))),
        Refusal.TOO_MANY_BYTES,
    ),
    Case("bomb with honest sizes", build(Item(name="a", content=bytes(20 * MIB))), Refusal.RATIO, "a"),
    Case(
        "bomb in parts",
        build(*(Item(name=f"{n}", content=bytes(7 * MIB)) for n in range(5))),
        Refusal.RATIO,
        "",
    ),
    Case(
        "bomb that says it is small",
        build(
            Item(name="a", content=bytes(9), packed=deflated(bytes(20 * MIB))),
        ),
        [Refusal.SIZE_MISMATCH],
        "a",
    ),
    Case("bomb of overlapping entries", overlapping(40, MIB), Refusal.OVERLAP),
    Case("overlapping entries, few", overlapping(3, 10), Refusal.OVERLAP),
    Case("smaller than it says", lying(size=24), [Refusal.SIZE_MISMATCH], "hi.txt"),
    Case("larger than it says", lying(size=22), [Refusal.SIZE_MISMATCH], "hi.txt"),
    Case(
        "stored, with two sizes",
        build(Item(name="a", content=b"abc", method=STORED, local={"size": 2}, central={"size": 2})),
        Refusal.SIZE_MISMATCH,
    ),
    Case("size in the header only", lying(central=False, size=1), Refusal.SIZE_MISMATCH, "hi.txt"),
    Case("size in the directory only", lying(local=False, size=1), Refusal.SIZE_MISMATCH),
    Case("checksum", lying(crc=1), [Refusal.CHECKSUM_MISMATCH], "hi.txt"),
    Case("checksum in the header only", lying(central=False, crc=1), Refusal.CHECKSUM_MISMATCH),
    Case(
        "size in the descriptor",
        late(b"PK\7\x08" + CRC.to_bytes(4, "little") + b"\1\0\0\0" * 2),
        Refusal.SIZE_MISMATCH,
    ),
    Case(
        "checksum in the descriptor",
        late(b"PK\7\x08" + b"\0" * 4 + len(PACKED).to_bytes(4, "little") + b"\x17\0\0\0"),
        Refusal.CHECKSUM_MISMATCH,
    ),
    Case("wrong size before a true descriptor", late("signed", size=22), Refusal.SIZE_MISMATCH),
    Case("descriptor missing", late(b"", flags=DESCRIPTOR, size=0), Refusal.HEADER_MISMATCH),
    Case(
        "descriptor of a folder missing",
        build(Item(name="a/", mode=FOLDER, method=STORED, flags=DESCRIPTOR), HI),
        Refusal.HEADER_MISMATCH,
    ),
    Case(
        "descriptor missing, sizes too",
        build(Item(name="a", content=DATA, flags=DESCRIPTOR, local={"crc": 0, "packed": 0, "size": 0})),
        Refusal.HEADER_MISMATCH,
    ),
    Case(
        "packed data are noise",
        build(Item(name="a", content=DATA, packed=b"\xff" * 9)),
        [Refusal.DATA_INVALID],
        "a",
    ),
    Case(
        "packed data end too early",
        build(Item(name="a", content=DATA, packed=PACKED[:-3])),
        [Refusal.DATA_INVALID],
    ),
    Case(
        "something after the packed data",
        build(Item(name="a", content=DATA, packed=PACKED + b"x")),
        [Refusal.DATA_INVALID],
    ),
    Case(
        "big sizes that lie",
        lying(central=False, packed=FULL, size=FULL, extra=big_sizes(22, 9)),
        Refusal.SIZE_MISMATCH,
    ),
    Case(
        "big sizes beside other sizes", lying(central=False, extra=big_sizes(99, 99)), Refusal.HEADER_MISMATCH
    ),
    Case(
        "big sizes nobody asked for", lying(local=False, extra=big_sizes(99, 99)), Refusal.DIRECTORY_INVALID
    ),
    Case("big sizes missing", lying(local=False, size=FULL), Refusal.DIRECTORY_INVALID),
    Case(
        "big sizes too many", lying(local=False, size=FULL, extra=big_sizes(23, 9)), Refusal.DIRECTORY_INVALID
    ),
    Case(
        "big sizes twice",
        lying(local=False, size=FULL, extra=big_sizes(23) + big_sizes(9)),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "sizes beyond all bounds",
        lying(packed=FULL, size=FULL, extra=big_sizes(1 << 63, 1 << 63)),
        Refusal.OVERLAP,
    ),
)

FRAME = (
    Case("nothing at all", b"", Refusal.NOT_A_ZIP),
    Case("text", b"PK is a name", Refusal.NOT_A_ZIP),
    Case("another archive", b"\x1f\x8b\x08" + bytes(100), Refusal.NOT_A_ZIP),
    Case("cut in the end", build(HI)[:-1], Refusal.TRUNCATED),
    Case("cut in the directory", build(HI)[:-30], Refusal.TRUNCATED),
    Case("cut in the data", build(HI)[:40], Refusal.TRUNCATED),
    Case("comment cut", build(HI, shape=Shape(comment=b"abc"))[:-1], Refusal.TRUNCATED),
    Case("beginning lost", build(HI)[10:], Refusal.DIRECTORY_INVALID),
    Case("program in front", build(HI, shape=Shape(prefix=b"MZ" * 50)), Refusal.PREFIX_DATA),
    Case(
        "program in front, offsets as before",
        build(HI, shape=Shape(prefix=b"MZ", shift=False)),
        Refusal.PREFIX_DATA,
    ),
    Case("something after the end", build(HI, shape=Shape(suffix=b"\0")), Refusal.TRAILING_DATA),
    Case("another archive after the end", build(HI) + build(BYE), Refusal.PREFIX_DATA),
    Case("gap", build(Item(name="a", content=b"x", gap=b"\0" * 4), HI), Refusal.HIDDEN_DATA, "a"),
    Case(
        "entry that the directory does not name",
        build(Item(name="a", gap=build(BYE)[:45]), HI),
        Refusal.HIDDEN_DATA,
    ),
    Case(
        "something before the directory", build(HI, shape=Shape(before_directory=b"x")), Refusal.HIDDEN_DATA
    ),
    Case(
        "something after the directory",
        build(HI, shape=Shape(after_directory=b"PK\5\5\0\0")),
        Refusal.DIRECTORY_INVALID,
    ),
    Case("something for nobody", build(shape=Shape(before_directory=build(HI)[:50])), Refusal.HIDDEN_DATA),
    Case(
        "fewer entries than there are",
        build(HI, BYE, shape=Shape(end={"entries": 1, "entries_here": 1})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "more entries than there are",
        build(HI, shape=Shape(end={"entries": 2, "entries_here": 2})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "far more entries than there are",
        build(HI, shape=Shape(end={"entries": 60000, "entries_here": 60000})),
        Refusal.TOO_MANY_FILES,
    ),
    Case("part of several", build(HI, shape=Shape(end={"disk": 1})), Refusal.MULTIPLE_DISKS),
    Case("entries on another part", build(HI, shape=Shape(end={"entries_here": 0})), Refusal.MULTIPLE_DISKS),
    Case("an entry on another part", lying(local=False, disk=1), Refusal.MULTIPLE_DISKS, "hi.txt"),
    Case("directory elsewhere", build(HI, shape=Shape(end={"start": 60})), Refusal.DIRECTORY_INVALID),
    Case(
        "directory beyond the end", build(HI, shape=Shape(end={"start": FULL - 1})), Refusal.DIRECTORY_INVALID
    ),
    Case("directory that is none", lying(local=False, sign=b"PK\1\3"), Refusal.DIRECTORY_INVALID),
    Case("header that is none", lying(central=False, sign=b"PK\3\3"), Refusal.HEADER_MISMATCH, "hi.txt"),
    Case("header elsewhere", lying(local=False, offset=1), Refusal.PREFIX_DATA),
    Case("header beyond the directory", lying(local=False, offset=5000), Refusal.PREFIX_DATA),
    Case(
        "another name in the header", lying(central=False, name=b"ho.txt"), Refusal.HEADER_MISMATCH, "hi.txt"
    ),
    Case("a longer name in the header", lying(central=False, name=b"hi.txt/../x"), Refusal.HEADER_MISMATCH),
    Case("extra field that runs over", lying(extra=b"\1\2\xff\xff"), Refusal.DIRECTORY_INVALID, "hi.txt"),
    Case("the same in the header only", lying(central=False, extra=b"\1\2\xff\xff"), Refusal.HEADER_MISMATCH),
    Case(
        "encryption in an extra field alone",
        lying(extra=extra(0x9901, b"\2\0AE\3\0\0")),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "another type in an extra field",
        lying(central=False, extra=extra(0x6C78, b"\4" + b"\xff" * 4)),
        Refusal.HEADER_MISMATCH,
    ),
    Case("times without a time", lying(extra=extra(0x5455, b"")), Refusal.DIRECTORY_INVALID),
    Case("four bytes after the extra fields", lying(extra=b"\1"), Refusal.DIRECTORY_INVALID),
    Case("a comment of 16,001 bytes", build(HI, shape=Shape(comment=b"x" * 16_001)), Refusal.TRAILING_DATA),
    Case(
        "an ending in the comment",
        build(HI, shape=Shape(comment=build(BYE)[-22:])),
        Refusal.SEVERAL_ENDINGS,
    ),
    Case(
        "an archive in the comment",
        build(HI, shape=Shape(comment=build(BYE))),
        Refusal.SEVERAL_ENDINGS,
    ),
    Case(
        "two endings that both fit",
        build(
            Item(
                name="a",
                content=b"PK\5\6" + bytes(16) + (22 + 46 + 1).to_bytes(2, "little"),
                method=STORED,
            )
        ),
        Refusal.SEVERAL_ENDINGS,
    ),
    Case(
        "big end record that lies",
        build(HI, shape=Shape(big={"entries": 9, "entries_here": 9})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "big end record with another start",
        build(HI, shape=Shape(big={"start": 1})),
        Refusal.PREFIX_DATA,
    ),
    Case(
        "two end records that contradict each other",
        build(HI, shape=Shape(is_big=True, end={"entries": 2, "entries_here": 2})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "locator that points elsewhere",
        build(HI, shape=Shape(locator={"offset": 0})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case("locator of no part at all", build(HI, shape=Shape(locator={"disks": 0})), Refusal.MULTIPLE_DISKS),
    Case("locator of several parts", build(HI, shape=Shape(locator={"disks": 2})), Refusal.MULTIPLE_DISKS),
    Case(
        "big end record of another length",
        build(HI, shape=Shape(big={"follows": 60, "tail": bytes(16)})),
        Refusal.DIRECTORY_INVALID,
    ),
    Case(
        "big end record is none", build(HI, shape=Shape(big={"sign": b"PK\6\5"})), Refusal.DIRECTORY_INVALID
    ),
    Case(
        "numbers without room and no big end record",
        build(HI, shape=Shape(end={"entries": FULL_SHORT, "entries_here": FULL_SHORT, "start": FULL})),
        Refusal.DIRECTORY_INVALID,
    ),
)
