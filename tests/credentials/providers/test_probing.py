"""Asking organizations one by one."""

from __future__ import annotations

import pytest

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.providers.probing import MAXIMUM_PROBES, organization_state, probe_each, probe_one
from credentials.verdicts import VerdictCode


def fact(key: str, state: OrganizationState, evidence: str, url: str = "") -> OrganizationFact:
    return OrganizationFact(key=key, name=key, state=state, evidence=evidence, url=url)


class Asked:
    """Answers each organization as told, and remembers who was asked."""

    def __init__(self, **problems: ProviderError) -> None:
        self.problems = problems
        self.keys: list[str] = []

    def __call__(self, key: str) -> Answer:
        self.keys.append(key)
        if key in self.problems:
            raise self.problems[key]
        return Answer(method="GET", path=f"/orgs/{key}", status=200, headers={})


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (VerdictCode.ORGANIZATION_NOT_APPROVED, OrganizationState.NOT_APPROVED),
        (VerdictCode.ORGANIZATION_REQUESTED, OrganizationState.REQUESTED),
        (VerdictCode.ORGANIZATION_DENIED, OrganizationState.DENIED),
        (VerdictCode.SSO_REQUIRED, OrganizationState.SSO_REQUIRED),
        (VerdictCode.ORGANIZATION_POLICY, OrganizationState.POLICY_BLOCKED),
        (VerdictCode.TOKEN_PENDING, OrganizationState.TOKEN_PENDING),
        (VerdictCode.IP_BLOCKED, OrganizationState.IP_BLOCKED),
        (VerdictCode.NOT_FOUND_OR_NO_ACCESS, OrganizationState.UNKNOWN),
    ],
)
def test_a_refusal_becomes_the_state_of_its_cause(code: VerdictCode, state: OrganizationState) -> None:
    assert organization_state(AccessRefused(verdict_code=code)) is state


@pytest.mark.parametrize(
    "problem", [ProviderUnreachable(), ProviderRateLimited(), ProviderAnswerUnexpected(), ScopeMissing()]
)
def test_what_is_no_refusal_stays_unknown(problem: ProviderError) -> None:
    assert organization_state(problem) is OrganizationState.UNKNOWN


def test_each_organization_gets_its_own_answer() -> None:
    refusal = AccessRefused(
        evidence="403: SSO", verdict_code=VerdictCode.SSO_REQUIRED, url="https://x.example/sso"
    )
    facts = probe_each(["acme", "corp"], ask=Asked(corp=refusal), fact=fact)
    assert facts == (
        fact("acme", OrganizationState.ACCESSIBLE, "GET /orgs/acme 200"),
        fact("corp", OrganizationState.SSO_REQUIRED, "403: SSO", "https://x.example/sso"),
    )


@pytest.mark.parametrize(
    "problem", [ProviderUnreachable(evidence="503"), ProviderRateLimited(evidence="429")]
)
def test_after_an_outage_or_a_spent_quota_nobody_else_is_asked(problem: ProviderError) -> None:
    asked = Asked(b=problem)
    facts = probe_each(["a", "b", "c", "d"], ask=asked, fact=fact)
    assert asked.keys == ["a", "b"]
    assert [item.state.value for item in facts] == ["accessible", "unknown", "unknown", "unknown"]
    assert facts[3].evidence == f"not asked after {problem.evidence}"


def test_an_unexplained_answer_leaves_only_that_organization_unknown() -> None:
    facts = probe_each(["a", "b"], ask=Asked(a=ProviderAnswerUnexpected(evidence="418")), fact=fact)
    assert [item.state.value for item in facts] == ["unknown", "accessible"]


def test_a_rejected_token_ends_the_asking() -> None:
    asked = Asked(b=TokenRejected())
    with pytest.raises(TokenRejected):
        probe_each(["a", "b", "c"], ask=asked, fact=fact)
    assert asked.keys == ["a", "b"]


def test_no_more_than_the_maximum_are_asked_and_the_others_are_unknown() -> None:
    asked = Asked()
    facts = probe_each([f"o{number}" for number in range(MAXIMUM_PROBES + 5)], ask=asked, fact=fact)
    assert len(asked.keys) == MAXIMUM_PROBES
    assert [item.state.value for item in facts[MAXIMUM_PROBES:]] == ["unknown"] * 5
    assert facts[-1].evidence == "not asked yet"


def test_one_organization_that_is_not_there_is_none() -> None:
    missing = AccessRefused(status=404, verdict_code=VerdictCode.NOT_FOUND_OR_NO_ACCESS)
    assert probe_one("acme", ask=Asked(acme=missing), fact=fact) is None


@pytest.mark.parametrize(
    ("problem", "state", "url"),
    [
        (AccessRefused(status=403), OrganizationState.UNKNOWN, ""),
        (
            AccessRefused(status=404, verdict_code=VerdictCode.SSO_REQUIRED, url="https://x/sso"),
            OrganizationState.SSO_REQUIRED,
            "https://x/sso",
        ),
        (ProviderUnreachable(status=404), OrganizationState.UNKNOWN, ""),
        (ScopeMissing(status=403), OrganizationState.UNKNOWN, ""),
    ],
)
def test_one_organization_that_refuses_says_why(
    problem: ProviderError, state: OrganizationState, url: str
) -> None:
    found = probe_one("acme", ask=Asked(acme=problem), fact=fact)
    assert found is not None
    assert (found.state, found.url) == (state, url)


def test_a_rejected_token_and_what_can_be_asked_in_another_way_are_raised() -> None:
    with pytest.raises(TokenRejected):
        probe_one("acme", ask=Asked(acme=TokenRejected()), fact=fact)
    with pytest.raises(ScopeMissing):
        probe_one("acme", ask=Asked(acme=ScopeMissing()), fact=fact, through=ScopeMissing)
