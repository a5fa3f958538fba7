"""Crafted archives whose entries are in order, are called oddly, or are left out."""

from __future__ import annotations

from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.archive.building import (
    FAT,
    FOLDER,
    FULL,
    LINK,
    NTFS,
    STORED,
    UTF_8,
    Item,
    Shape,
    big_sizes,
    build,
    extra,
    nested,
    unicode_path,
)
from tests.credentials.sources.archive.case import (
    BYE,
    CAFE_437,
    CRC,
    HI,
    MIB,
    PACKED,
    Case,
    late,
    lying,
    named,
)

ORDINARY = (
    Case("one file", build(HI), ("hi.txt",)),
    Case("stored", build(Item(name="a", content=b"abc", method=STORED)), ("a",)),
    Case("empty file, packed", build(Item(name="a")), ("a",)),
    Case(
        "folders and a file", build(Item(name="a/", mode=FOLDER, method=STORED), Item(name="a/b")), ("a/b",)
    ),
    Case("folder as in Java, packed to two bytes", build(Item(name="a/"), Item(name="a/b")), ("a/b",)),
    Case("comment of the whole", build(HI, shape=Shape(comment=b"8f3c" * 10)), ("hi.txt",)),
    Case("comment of 16,000 bytes", build(HI, shape=Shape(comment=b"x" * 16_000)), ("hi.txt",)),
    Case("comment of an entry", lying(local=False, comment=b"PK\1\2"), ("bye.txt", "hi.txt")),
    Case("other order", build(HI, BYE), ("bye.txt", "hi.txt")),
    Case("descriptor with its signature", late("signed"), ("bye.txt", "hi.txt")),
    Case("descriptor without", late("plain"), ("bye.txt", "hi.txt")),
    Case("long descriptor with its signature", late("signed64"), ("bye.txt", "hi.txt")),
    Case("long descriptor without", late("plain64"), ("bye.txt", "hi.txt")),
    Case(
        "descriptor after the facts",
        late("signed", crc=CRC, packed=len(PACKED), size=23),
        ("bye.txt", "hi.txt"),
    ),
    Case("big end record without need", build(HI, shape=Shape(is_big=True)), ("hi.txt",)),
    Case(
        "big sizes in the header without need",
        build(Item(name="a", content=b"x", local={"size": FULL, "packed": FULL, "extra": big_sizes(1, 3)})),
        ("a",),
    ),
    Case(
        "big sizes in the directory without need",
        build(Item(name="a", content=b"x", central={"size": FULL, "packed": FULL, "extra": big_sizes(1, 3)})),
        ("a",),
    ),
    Case(
        "big offset in the directory without need",
        build(Item(name="a", content=b"x", central={"offset": FULL, "extra": big_sizes(0)})),
        ("a",),
    ),
    Case(
        "other extra fields",
        lying(extra=extra(0x5455, b"\3" + b"\0" * 4) + extra(0x7875, b"")),
        ("bye.txt", "hi.txt"),
    ),
    Case(
        "three zero bytes after the extra fields",
        lying(extra=extra(0x7875, b"") + b"\0\0\0"),
        ("bye.txt", "hi.txt"),
    ),
    Case("an archive in an archive is a file", nested(5, [HI]), ("level4.zip",)),
    Case(
        "a stored archive at the end is a file",
        build(Item(name="in.zip", content=build(HI), method=STORED)),
        ("in.zip",),
    ),
    Case("seven megabytes of nothing", build(Item(name="a", content=bytes(7 * MIB))), ("a",)),
    Case("not executable where Unix did not make it", named("a", system=NTFS, mode=0o100755), ("a",)),
    Case("mode without a type", named("a", mode=0o600), ("a",)),
    Case("setuid is passed over", named("a", mode=0o104755), ("a",)),
)

NAMES = (
    Case("name with the flag of UTF-8", named("caf\u00e9.txt"), ("caf\u00e9.txt",)),
    Case("the same from Windows", named("caf\u00e9.txt", system=FAT, mode=0), ("caf\u00e9.txt",)),
    Case("UTF-8 without the flag, from Unix", named("caf\u00e9.txt".encode()), ("caf\u00e9.txt",)),
    Case(
        "UTF-8 without the flag, from macOS", named("caf\u00e9.txt".encode(), system=19), ("caf\u00e9.txt",)
    ),
    Case(
        "UTF-8 without the flag, from Windows",
        named("caf\u00e9".encode(), system=FAT, mode=0),
        Refusal.PATH_ENCODING,
    ),
    Case("code page 437", named(CAFE_437, system=FAT, mode=0), Refusal.PATH_ENCODING),
    Case("Latin 1 from Unix", named(b"caf\xe9"), Refusal.PATH_ENCODING),
    Case("flag of UTF-8 on what is not", named(b"caf\xe9", flags=UTF_8), Refusal.PATH_ENCODING),
    Case(
        "code page 437 with the name in Unicode",
        named(
            CAFE_437,
            system=FAT,
            mode=0,
            local={"extra": unicode_path(CAFE_437, "caf\u00e9.txt")},
            central={"extra": unicode_path(CAFE_437, "caf\u00e9.txt")},
        ),
        ("caf\u00e9.txt",),
    ),
    Case(
        "the same in the directory alone",
        named(CAFE_437, system=FAT, mode=0, central={"extra": unicode_path(CAFE_437, "caf\u00e9.txt")}),
        Refusal.PATH_ENCODING,
    ),
    Case(
        "code page 437 with another name in Unicode",
        named(
            CAFE_437,
            system=FAT,
            mode=0,
            local={"extra": unicode_path(CAFE_437, "caf\u00e8.txt")},
            central={"extra": unicode_path(CAFE_437, "caf\u00e8.txt")},
        ),
        Refusal.HEADER_MISMATCH,
    ),
    Case(
        "name in Unicode that is none",
        lying(extra=unicode_path(b"hi.txt", "hi.txt")[:-1] + b"\xff"),
        Refusal.PATH_ENCODING,
        "hi.txt",
    ),
    Case(
        "another name in Unicode",
        lying(extra=unicode_path(b"hi.txt", "../x")),
        Refusal.HEADER_MISMATCH,
        "hi.txt",
    ),
    Case(
        "another name in Unicode, in the header alone",
        lying(central=False, extra=unicode_path(b"hi.txt", "ho.txt")),
        Refusal.HEADER_MISMATCH,
    ),
    Case(
        "name in Unicode for another name", lying(extra=unicode_path(b"x", "hi.txt")), Refusal.HEADER_MISMATCH
    ),
    Case(
        "name in Unicode of a later version",
        lying(extra=unicode_path(b"hi.txt", "hi.txt", version=2)),
        Refusal.HEADER_MISMATCH,
    ),
    Case(
        "name in Unicode that agrees", lying(extra=unicode_path(b"hi.txt", "hi.txt")), ("bye.txt", "hi.txt")
    ),
    Case(
        "decomposed name",
        named("e\u0301.txt"),
        ("\u00e9.txt",),
        remarks=(("\u00e9.txt", Remark.COMPOSED_NAME),),
    ),
    Case("two levels up", named("../../etc/cron.d/x"), Refusal.PATH_TRAVERSAL, "../../etc/cron.d/x"),
    Case("up in the middle", named("a/../../x"), Refusal.PATH_TRAVERSAL),
    Case("point", named("./a"), Refusal.PATH_TRAVERSAL),
    Case("absolute", named("/etc/passwd"), Refusal.PATH_ABSOLUTE),
    Case("drive", named("C:/x"), Refusal.PATH_DRIVE),
    Case("backslash", named("..\\x"), Refusal.PATH_BACKSLASH),
    Case("backslash from Windows", named("a\\b", system=FAT, mode=0), Refusal.PATH_BACKSLASH),
    Case("NUL", named(b"a.txt\0.exe"), Refusal.PATH_CONTROL, "a.txt\ufffd.exe"),
    Case("line end", named("a\nb"), Refusal.PATH_CONTROL),
    Case("turned around", named("a\u202etxt.exe"), Refusal.PATH_CONTROL),
    Case("device of Windows", named("a/con.txt"), Refusal.PATH_RESERVED),
    Case("stream", named("a:b/c/x:y"), Refusal.PATH_DRIVE),
    Case("stream further down", named("aa:b"), Refusal.PATH_RESERVED),
    Case("point at the end", named("a."), Refusal.PATH_RESERVED),
    Case("no name", named(""), Refusal.PATH_EMPTY),
    Case("empty part", named("a//b"), Refusal.PATH_EMPTY),
    Case("name of 256 bytes", named("a" * 256), Refusal.PATH_TOO_LONG),
    Case("41 folders", named("a/" * 41 + "b"), Refusal.PATH_TOO_DEEP),
    Case("folder that leads up", build(Item(name="../", mode=FOLDER), HI), Refusal.PATH_TRAVERSAL),
    Case("twice", build(HI, HI), Refusal.DUPLICATE, "hi.txt"),
    Case("capital letters", build(HI, Item(name="HI.txt")), Refusal.COLLISION_CASE, "HI.txt"),
    Case("capital letters in a folder", build(Item(name="a/b"), Item(name="A/c")), Refusal.COLLISION_CASE),
    Case("composed and not", build(Item(name="\u00e9"), Item(name="e\u0301")), Refusal.COLLISION_UNICODE),
    Case("file, then folder", build(Item(name="a"), Item(name="a/b")), Refusal.FILE_AS_FOLDER),
    Case("folder, then file", build(Item(name="a/", mode=FOLDER), Item(name="a")), Refusal.FILE_AS_FOLDER),
    Case(
        "below a link",
        build(Item(name="a", content=b"/etc", mode=LINK), Item(name="a/b")),
        Refusal.FILE_AS_FOLDER,
    ),
    Case("folder that is not called one", named("a", mode=FOLDER), Refusal.FILE_AS_FOLDER),
    Case(
        "folder that is not called one, from Windows",
        named("a", system=FAT, mode=0, central={"attributes": 0x10}),
        Refusal.FILE_AS_FOLDER,
    ),
    Case("folder with bytes", named("a/"), Refusal.FILE_AS_FOLDER),
)

LEFT_OUT = (
    Case(
        "link",
        build(HI, Item(name="ln", content=b"../../etc/passwd", mode=LINK, method=STORED)),
        ("hi.txt",),
        remarks=(("ln", Remark.SYMLINK),),
    ),
    Case(
        "Git's own folder",
        build(HI, Item(name=".git/config", content=b"[core]\nfsmonitor = touch x"), Item(name=".git/HEAD")),
        ("hi.txt",),
        remarks=((".git", Remark.GIT_FOLDER),),
    ),
    Case(
        "Git's own folder further down, and its file",
        build(HI, Item(name="a/.git/HEAD"), Item(name="b/.git"), Item(name="a/b")),
        ("a/b", "hi.txt"),
        remarks=(("a/.git", Remark.GIT_FOLDER), ("b/.git", Remark.GIT_FOLDER)),
    ),
    Case(
        "Git's own folder in other letters",
        build(HI, Item(name=".GIT/config")),
        Refusal.GIT_FOLDER,
        ".GIT/config",
    ),
    Case("Git's own folder by its short name", build(HI, Item(name="git~1/config")), Refusal.GIT_FOLDER),
    Case("up from Git's own folder", build(HI, Item(name=".git/../x")), Refusal.PATH_TRAVERSAL),
    Case(
        "macOS's companions",
        build(HI, Item(name="__MACOSX/", mode=FOLDER), Item(name="__MACOSX/._hi.txt", content=b"x")),
        ("hi.txt",),
        remarks=(("__MACOSX", Remark.RESOURCE_FORK),),
    ),
    Case("macOS's companions outside", build(HI, Item(name="__MACOSX/../../x")), Refusal.PATH_TRAVERSAL),
    Case(
        "link that is damaged",
        build(HI, Item(name="ln", content=b"hi.txt", packed=b"\xff", mode=LINK)),
        Refusal.DATA_INVALID,
        "ln",
    ),
    Case(
        "link to 4,096 letters",
        build(HI, Item(name="ln", content=b"a" * 4096, mode=LINK, method=STORED)),
        ("hi.txt",),
        remarks=(("ln", Remark.SYMLINK),),
    ),
    Case(
        "link to 4,097 letters",
        build(HI, Item(name="ln", content=b"a" * 4097, mode=LINK, method=STORED)),
        Refusal.DATA_INVALID,
    ),
    Case("device", named("a", mode=0o060660), Refusal.DEVICE, "a"),
    Case("pipe", named("a", mode=0o010600), Refusal.DEVICE),
    Case("socket", named("a", mode=0o140600), Refusal.DEVICE),
    Case("device, said by Windows", named("a", mode=0o020600, system=FAT), Refusal.DEVICE),
    Case("nothing", build(), Refusal.NOTHING_LEFT),
    Case("only folders", build(Item(name="a/", mode=FOLDER)), Refusal.NOTHING_LEFT),
    Case("only a link", build(Item(name="a", content=b"b", mode=LINK)), Refusal.NOTHING_LEFT),
)
