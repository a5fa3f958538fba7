"""Every crafted archive becomes what the table says."""

from __future__ import annotations

import io

import pytest

from credentials.errors import ContentRefused
from credentials.sources.archive import ZipContent, open_archive
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.sources.archive.corpus import CORPUS, LIMITS, Case

ACCEPTED = [case for case in CORPUS if isinstance(case.becomes, tuple)]
REFUSED = [case for case in CORPUS if not isinstance(case.becomes, tuple)]
# The one comes from repositories; the other takes a large archive (test_opening.py).
ELSEWHERE = {Refusal.OBJECT_INVALID, Refusal.DIRECTORY_TOO_LARGE}


def opened(case: Case) -> ZipContent:
    return open_archive(io.BytesIO(case.data), limits=LIMITS, unwrap=False)


def read_through(content: ZipContent) -> None:
    """Read everything; never more than was announced arrives."""
    for planned, blocks in content.read():
        room = planned.size
        for block in blocks:
            room -= len(block)
            assert room >= 0


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_what_is_in_order_is_taken(case: Case) -> None:
    content = opened(case)
    assert tuple(planned.path for planned in content.files) == case.becomes
    for planned, blocks in content.read():
        assert sum(map(len, blocks)) == planned.size
    assert tuple((said.path, said.remark) for said in content.remarks) == case.remarks


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_is_not_is_refused_with_the_reason_and_the_entry(case: Case) -> None:
    if isinstance(case.becomes, list):
        content = opened(case)
        with pytest.raises(ContentRefused) as refused:
            read_through(content)
        assert refused.value.reason == case.becomes[0]
    else:
        with pytest.raises(ContentRefused) as refused:
            opened(case)
        assert refused.value.reason == case.becomes
    if case.entry is not None:
        assert refused.value.entry == case.entry


def test_the_table_has_every_refusal_that_an_archive_can_meet() -> None:
    met = {case.becomes[0] if isinstance(case.becomes, list) else case.becomes for case in REFUSED}
    assert set(Refusal) - met == ELSEWHERE
    assert len(CORPUS) >= 60
    assert len({case.name for case in CORPUS}) == len(CORPUS)


def test_the_table_has_every_remark_that_the_directory_tells() -> None:
    remarks = {remark for case in ACCEPTED for _path, remark in case.remarks}
    assert set(Remark) - remarks == {Remark.SUBMODULE, Remark.LFS_POINTER, Remark.UNWRAPPED}
