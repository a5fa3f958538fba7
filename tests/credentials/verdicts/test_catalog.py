"""The catalog of verdicts: complete, and only with names and pages that the services can fill in."""

from __future__ import annotations

import pytest

from credentials.verdicts import Severity, VerdictCode, WhoCanFix
from credentials.verdicts.catalog import CATALOG
from tests.credentials.verdicts.texts import NAMES, PASTED, links_explained, names_in


def test_every_code_has_an_entry_and_every_entry_a_code() -> None:
    assert set(CATALOG) == set(VerdictCode)


@pytest.mark.parametrize("code", VerdictCode)
def test_an_entry_mentions_only_names_that_are_given(code: VerdictCode) -> None:
    entry = CATALOG[code]
    for text in (entry.title, entry.summary, *(step.text for step in entry.steps)):
        assert names_in(text) <= NAMES | PASTED.get(code, frozenset())


@pytest.mark.parametrize("code", VerdictCode)
def test_a_step_leads_only_to_pages_that_are_known(code: VerdictCode) -> None:
    assert {step.link for step in CATALOG[code].steps} <= links_explained() | {""}


@pytest.mark.parametrize("code", VerdictCode)
def test_whoever_is_told_to_act_is_told_what_to_do(code: VerdictCode) -> None:
    entry = CATALOG[code]
    assert bool(entry.steps) == (entry.severity is not Severity.OK)
    if entry.severity is Severity.ACTION:
        assert entry.who_can_fix is not WhoCanFix.NOBODY
