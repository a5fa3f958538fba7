"""States of organizations and the causes they are told as."""

from __future__ import annotations

import pytest

from credentials.providers.causes import CODE_OF, STATE_OF, state_of
from credentials.providers.facts import OrganizationState


def test_every_state_that_keeps_somebody_out_has_one_cause_and_back() -> None:
    silent = {OrganizationState.ACCESSIBLE, OrganizationState.NO_MEMBERSHIP, OrganizationState.UNKNOWN}
    assert set(CODE_OF) == set(OrganizationState) - silent
    assert {CODE_OF[state] for state in STATE_OF.values()} == set(STATE_OF)


@pytest.mark.parametrize("code", ["ok", "scope_missing", "not_found_or_no_access", "", "made_up"])
def test_what_is_no_refusal_of_an_organization_says_nothing_of_it(code: str) -> None:
    assert state_of(code) is OrganizationState.UNKNOWN
