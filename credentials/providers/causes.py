"""Which answer of an organization is told as which cause, and back: one list for all who need either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from credentials.providers.facts import OrganizationState
from credentials.verdicts import VerdictCode

STATE_OF: Final[Mapping[VerdictCode, OrganizationState]] = {
    VerdictCode.ORGANIZATION_NOT_APPROVED: OrganizationState.NOT_APPROVED,
    VerdictCode.ORGANIZATION_REQUESTED: OrganizationState.REQUESTED,
    VerdictCode.ORGANIZATION_DENIED: OrganizationState.DENIED,
    VerdictCode.SSO_REQUIRED: OrganizationState.SSO_REQUIRED,
    VerdictCode.ORGANIZATION_POLICY: OrganizationState.POLICY_BLOCKED,
    VerdictCode.TOKEN_PENDING: OrganizationState.TOKEN_PENDING,
    VerdictCode.IP_BLOCKED: OrganizationState.IP_BLOCKED,
}
CODE_OF: Final[Mapping[OrganizationState, VerdictCode]] = {state: code for code, state in STATE_OF.items()}


def state_of(verdict_code: str) -> OrganizationState:
    """What a refusal says about an organization; everything that is no refusal of one stays unknown."""
    try:
        return STATE_OF.get(VerdictCode(verdict_code), OrganizationState.UNKNOWN)
    except ValueError:
        return OrganizationState.UNKNOWN
