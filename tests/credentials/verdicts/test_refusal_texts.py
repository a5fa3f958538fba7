"""Whoever is refused reads what is wrong and what to do next, in words that need no knowledge of formats."""

from __future__ import annotations

import re

import pytest
from django.utils.functional import Promise

from credentials.verdicts.refusal_texts import REFUSALS, REMARKS, describe, explain
from credentials.verdicts.refusals import Refusal, Remark

JARGON = re.compile(
    r"\b(?:central directory|end record|header|descriptor|zip64|crc|checksum|nfc|nfd|utf-?8|cp ?437|encoding|"
    r"symlink|symbolic|traversal|inode|fifo|socket|eocd|offset|null?[ -]byte|inflate|codepage|parser)\b",
    re.IGNORECASE,
)


def test_every_refusal_and_every_remark_has_words() -> None:
    assert set(REFUSALS) == set(Refusal)
    assert set(REMARKS) == set(Remark)


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_says_what_is_wrong_then_what_to_do(refusal: Refusal) -> None:
    words = REFUSALS[refusal]
    assert isinstance(words.wrong, Promise)
    assert isinstance(words.next, Promise)
    said = str(explain(refusal, entry="docs/a.txt", limit=3))
    assert said.endswith(".")
    assert "docs/a.txt" in said, "whoever has to mend it must know where it is"
    assert "%(" not in said
    assert not JARGON.search(said)
    assert "?" not in said.replace("| ? *", "")


@pytest.mark.parametrize("remark", Remark)
def test_a_remark_says_what_it_is_and_what_was_done(remark: Remark) -> None:
    assert isinstance(describe(remark), Promise)
    said = str(describe(remark))
    assert said.endswith(".")
    assert said.count(". ") + said.count(": ") + said.count("; ") >= 1
    assert not JARGON.search(said)


@pytest.mark.parametrize("refusal", Refusal)
def test_what_concerns_the_whole_names_no_entry(refusal: Refusal) -> None:
    said = str(explain(refusal, limit=3))
    assert "%(" not in said
    assert "“”" not in said


def test_a_limit_in_bytes_is_written_as_a_size_and_another_as_a_number() -> None:
    assert "128.0\xa0MB" in str(explain(Refusal.FILE_TOO_LARGE, entry="a", limit=128 << 20))
    assert "20,000." in str(explain(Refusal.TOO_MANY_FILES, limit=20_000))
    assert "1,000 bytes" in str(explain(Refusal.PATH_TOO_LONG, entry="a", limit=1000))


def test_a_percent_sign_in_a_name_is_only_a_character() -> None:
    assert "100%(x)s%d" in str(explain(Refusal.DEVICE, entry="100%(x)s%d"))
