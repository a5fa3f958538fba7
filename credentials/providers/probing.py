"""Asking organizations one by one what they answer through one credential."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, Protocol

from credentials.errors import (
    AccessRefused,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.causes import state_of
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.verdicts import VerdictCode

MAXIMUM_PROBES: Final = 30
"""Organizations asked for one credential at a time; the others stay unknown until they are asked for."""


def organization_state(problem: ProviderError) -> OrganizationState:
    """What a refused probe says about an organization; everything that is no refusal stays unknown."""
    if isinstance(problem, AccessRefused):
        return state_of(problem.verdict_code)
    return OrganizationState.UNKNOWN


class FactMaker(Protocol):
    """Builds the fact about one organization; ``url`` is the page that mends it, where there is one."""

    def __call__(
        self, key: str, state: OrganizationState, evidence: str, url: str = ""
    ) -> OrganizationFact: ...


def probe_each(
    keys: Iterable[str], *, ask: Callable[[str], Answer], fact: FactMaker
) -> tuple[OrganizationFact, ...]:
    """One question per organization, in order, and what each answered.

    After an outage or a spent quota nobody else is asked: more questions would make it worse and learn
    nothing. A rejected token ends everything and is raised. Who was not asked is unknown.
    """
    facts: list[OrganizationFact] = []
    stopped = ""
    for number, key in enumerate(keys):
        if number == MAXIMUM_PROBES:
            stopped = stopped or "not asked yet"
        if stopped:
            facts.append(fact(key, OrganizationState.UNKNOWN, stopped))
            continue
        try:
            answer = ask(key)
        except TokenRejected:
            raise
        except ProviderError as problem:
            url = problem.url if isinstance(problem, AccessRefused) else ""
            facts.append(fact(key, organization_state(problem), problem.evidence, url))
            if isinstance(problem, ProviderRateLimited | ProviderUnreachable):
                stopped = f"not asked after {problem.evidence}"
        else:
            facts.append(fact(key, OrganizationState.ACCESSIBLE, answer.evidence))
    return tuple(facts)


def probe_one(
    key: str,
    *,
    ask: Callable[[str], Answer],
    fact: FactMaker,
    through: type[ProviderError] = TokenRejected,
) -> OrganizationFact | None:
    """The same question to one organization; None where the host says that there is none of this name.

    A rejected token and a spent quota are raised, for they concern more than this one question; and errors of
    the kind ``through``, for whoever knows another way to ask.
    """
    try:
        answer = ask(key)
    except (TokenRejected, ProviderRateLimited, through):
        raise
    except ProviderError as problem:
        url = ""
        if isinstance(problem, AccessRefused):
            is_plain = problem.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS
            if is_plain and problem.status == HTTPStatus.NOT_FOUND:
                return None
            url = problem.url
        return fact(key, organization_state(problem), problem.evidence, url)
    return fact(key, OrganizationState.ACCESSIBLE, answer.evidence)
