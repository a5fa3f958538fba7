"""Ratios count once something is large; names are judged in the whole, sizes in what is taken."""

from __future__ import annotations

import pytest

from credentials.errors import ContentRefused
from credentials.sources.archive.planning import (
    RATIO,
    RATIO_BYTES,
    RATIO_FILE_BYTES,
    Plan,
    is_executable,
    plan,
)
from credentials.sources.archive.records import DEFLATED, Record
from credentials.sources.content import ContentLimits
from credentials.verdicts.refusals import Refusal

LIMITS = ContentLimits(files=100, bytes=1 << 30, file_bytes=1 << 29)


def record(name: str, *, size: int = 1, packed: int = 1, system: int = 3, mode: int = 0o100644) -> Record:
    return Record(
        raw_name=name.encode(),
        name=name,
        system=system,
        flags=0,
        method=DEFLATED,
        crc=0,
        packed=packed,
        size=size,
        attributes=mode << 16,
        offset=0,
    )


def planned(*records: Record, limits: ContentLimits = LIMITS, subdirectory: str = "") -> Plan:
    return plan(records, limits=limits, unwrap=False, subdirectory=subdirectory)


def refusal(*records: Record, limits: ContentLimits = LIMITS, subdirectory: str = "") -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        planned(*records, limits=limits, subdirectory=subdirectory)
    return refused.value


def test_one_file_may_become_much_larger_until_it_is_large() -> None:
    assert planned(record("a", size=RATIO_FILE_BYTES, packed=9)).taken
    assert planned(record("a", size=RATIO_FILE_BYTES + 1, packed=RATIO_FILE_BYTES // RATIO + 1)).taken
    said = refusal(record("a", size=RATIO_FILE_BYTES + 1, packed=RATIO_FILE_BYTES // RATIO))
    assert (said.reason, said.entry, said.limit) == (Refusal.RATIO, "a", RATIO)


def test_all_files_together_may_too() -> None:
    parts = 5
    each = RATIO_BYTES // parts
    assert planned(*(record(f"{n}", size=each, packed=9) for n in range(parts))).taken
    assert planned(*(record(f"{n}", size=each + 1, packed=each // RATIO + 1) for n in range(parts))).taken
    said = refusal(*(record(f"{n}", size=each + 1, packed=each // RATIO) for n in range(parts)))
    assert (said.reason, said.entry, said.limit) == (Refusal.RATIO, "", RATIO)


def test_limits_are_reached_before_they_are_broken() -> None:
    limits = ContentLimits(files=2, bytes=10, file_bytes=7)
    assert len(planned(record("a", size=7), record("b", size=3), limits=limits).taken) == 2
    for records, reason, limit in (
        ((record("a"), record("b"), record("c")), Refusal.TOO_MANY_FILES, 2),
        ((record("a", size=8),), Refusal.FILE_TOO_LARGE, 7),
        ((record("a", size=6), record("b", size=5)), Refusal.TOO_MANY_BYTES, 10),
    ):
        said = refusal(*records, limits=limits)
        assert (said.reason, said.limit) == (reason, limit)


def test_what_is_left_out_does_not_count() -> None:
    limits = ContentLimits(files=1, bytes=1, file_bytes=1)
    others = [
        record("ln", mode=0o120777),
        record(".git/HEAD", size=99),
        record("__MACOSX/._a"),
        record("d/", size=0),
    ]
    assert [taken.path for taken in planned(record("a"), *others, limits=limits).taken] == ["a"]


def test_a_name_outside_of_the_folder_that_is_taken_is_judged_all_the_same() -> None:
    assert refusal(record("a/b"), record("../c"), subdirectory="a").reason == Refusal.PATH_TRAVERSAL
    assert refusal(record("a/b"), record("C"), record("c"), subdirectory="a").reason == Refusal.COLLISION_CASE


@pytest.mark.parametrize(
    ("system", "mode", "verdict"),
    [
        (3, 0o100755, True),
        (19, 0o100700, True),
        (3, 0o100644, False),
        (3, 0o100655, False),
        (0, 0o100755, False),
        (3, 0, False),
    ],
)
def test_the_right_to_execute_is_the_owners_and_is_believed_of_unix(
    system: int, mode: int, verdict: bool
) -> None:
    assert is_executable(record("a", system=system, mode=mode)) == verdict
