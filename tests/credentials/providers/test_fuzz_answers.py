"""Whatever a host answers: no provider breaks, calls a token dead for nothing, or repeats what it was told.

200,000 answers in the suite. ``FUZZ_ANSWERS=2000000`` in the environment makes more, ``FUZZ_SEED`` others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Final

import pytest

from credentials.errors import (
    AccessRefused,
    AddressForbidden,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers import registry
from credentials.providers.answers import Answer
from credentials.providers.base import Provider
from credentials.providers.facts import HostFacts
from tests.credentials.providers.asking import NOW, login
from tests.credentials.providers.generated import CANARY, WEB, Answers, MadeUpDoor
from tests.credentials.providers.test_contract_repositories import place_at

ANSWERS: Final = int(os.environ.get("FUZZ_ANSWERS", "200000"))
SEED: Final = os.environ.get("FUZZ_SEED", "forgekey")
EVERY: Final = registry.names()
# More than any method asks, pages and probes included.
MOST_QUESTIONS: Final = 400
REFUSALS: Final = (TokenRejected, ScopeMissing, AccessRefused)


def _is_silent(answer: Answer) -> bool:
    """Nothing that such an answer holds can be the host's word about a token: outage, quota, redirect, page."""
    return answer.status >= 500 or answer.status == 429 or 300 <= answer.status < 400 or answer.json is None


def _gitlab_says_so(answer: Answer) -> bool:
    """https://docs.gitlab.com/api/personal_access_tokens/: ``active`` and ``revoked`` of the token itself."""
    told = answer.json if isinstance(answer.json, Mapping) else {}
    return answer.ok and (told.get("active") is False or told.get("revoked") is True)


def _bitbucket_says_so(answer: Answer) -> bool:
    """Its own challenge comes without a JSON body."""
    return answer.status == 401 and "bitbucket" in answer.headers.get("WWW-Authenticate", "").lower()


def _azure_says_so(answer: Answer) -> bool:
    """https://learn.microsoft.com/azure/devops/integrate/get-started/rest/basics: a dead token is sent to the
    sign-in page (302, or 203 with the page itself), or gets 401 with the host's own headers; an expired one may
    get 403 that says so."""
    own = any(name in answer.headers for name in ("X-VSS-ResourceTenant", "X-TFS-FedAuthRedirect"))
    sent_away = answer.status in {203, 302} and (own or "/_signin" in answer.headers.get("Location", ""))
    message = answer.json.get("message") if isinstance(answer.json, Mapping) else ""
    said = f"{message}{answer.headers.get('X-TFS-ServiceError', '')}".replace("%20", " ").lower()
    return (
        sent_away or (answer.status == 401 and own) or (answer.status in {401, 403} and "has expired" in said)
    )


# Where a provider's documentation says that a token is dead by another answer than 401 with JSON.
ALSO_DEAD: Final[Mapping[str, Callable[[Answer], bool]]] = {
    "gitlab": _gitlab_says_so,
    "bitbucket": _bitbucket_says_so,
    "azure_devops": _azure_says_so,
}


def _may_be_dead(name: str, answer: Answer) -> bool:
    also = ALSO_DEAD.get(name)
    return (answer.status == 401 and answer.json is not None) or (also is not None and also(answer))


def _may_refuse(answer: Answer) -> bool:
    return 400 <= answer.status < 500 and not _is_silent(answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One method of one provider, and the door through which it asks."""

    provider: Provider
    door: MadeUpDoor
    method: str
    call: Callable[[], object]


def case(name: str, number: int) -> Case:
    """The ``number``-th case of a provider; the same one each time."""
    answers = Answers(f"{SEED}:{name}:{number}")
    door, chance = MadeUpDoor(lambda: answers), answers.chance
    facts = HostFacts(slug="h", name="H", web_url=WEB, api_url=f"{WEB}/api", client_id="client-1")
    if name == "azure_devops" and chance.random() < 0.5:
        facts = HostFacts(slug="h", name="H", web_url=f"{WEB}/acme", api_url=f"{WEB}/acme")
    provider = registry.get(name)(host=facts, door=door, now=lambda: NOW)
    who = login(chance.choice(sorted(provider.kinds)))
    asked_by = None if chance.random() < 0.2 else who
    calls: dict[str, Callable[[], object]] = {
        "verify": lambda: provider.verify(who),
        "organizations": lambda: provider.organizations(who),
        "organization": lambda: provider.organization(
            who, chance.choice(("acme", "acme/sub", "a b", "..", "é"))
        ),
        "repository": lambda: provider.repository(place_at(name), login=asked_by),
        "repositories": lambda: provider.repositories(
            who,
            query=chance.choice(("", "x")),
            cursor=chance.choice(("", "2", "x" * 300, "https://evil.example/")),
        ),
    }
    method = chance.choice(sorted(calls))
    return Case(provider=provider, door=door, method=method, call=calls[method])


def texts(found: object) -> Iterator[str]:
    """Every evidence in what was answered."""
    if isinstance(found, tuple | list):
        for item in found:
            yield from texts(item)
    elif is_dataclass(found):
        for field in fields(found):
            value = getattr(found, field.name)
            if field.name == "evidence":
                yield str(value)
            elif is_dataclass(value) or isinstance(value, tuple):
                yield from texts(value)


def judge(name: str, this: Case) -> str:
    """Run one case; what came of it. Fails where anything left that must not."""
    try:
        found = this.call()
    except AddressForbidden:
        return "AddressForbidden"
    except ProviderError as error:
        problem = error
    else:
        assert not any("kanari" in text for text in texts(found)), "repeats what it was told"
        return "answered" if found is not None else "none"
    told = f"{problem}{problem!r}{problem.evidence}{problem.__cause__!r}"
    assert "kanari" not in told, f"repeats what it was told: {told}"
    is_dead = isinstance(problem, TokenRejected)
    is_spent = isinstance(problem, ProviderRateLimited)
    assert is_dead or is_spent or this.method != "organization", "one organization's answer is a fact"
    if is_dead:
        assert any(_may_be_dead(name, answer) for answer in this.door.given), "dead for nothing"
    elif isinstance(problem, REFUSALS):
        said = [answer for answer in this.door.given if answer.status == problem.status]
        # What would call a token dead is a refusal where no token was shown.
        assert any(_may_refuse(answer) or _may_be_dead(name, answer) for answer in said), (
            "refused for nothing"
        )
    return type(problem).__name__


def note(name: str, number: int, this: Case) -> str:
    given = "; ".join(written(answer) for answer in this.door.given)
    return f"{name}, case {number}, {this.method}: {given[:3000]}"


def written(answer: Answer) -> str:
    """An answer for a person who looks for the reason."""
    try:
        body = str(answer.json)
    except RecursionError:
        body = "(too deep)"
    return f"{answer.status} {answer.content_type} {dict(answer.headers)} {body}"


@pytest.mark.timeout(max(120, ANSWERS // 500))
@pytest.mark.parametrize("name", EVERY)
def test_whatever_is_answered_only_what_is_known_of_it_leaves(name: str) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    answered, number = 0, 0
    while answered < ANSWERS // len(EVERY):
        this = case(name, number)
        try:
            outcome = judge(name, this)
            assert len(this.door.given) <= MOST_QUESTIONS
        except BaseException as problem:
            problem.add_note(note(name, number, this))
            raise
        seen[this.method, outcome] += 1
        answered += len(this.door.given)
        number += 1
    _assert_all_was_met(seen)


def _assert_all_was_met(seen: Counter[tuple[str, str]]) -> None:
    """A run that never got far proves nothing."""
    outcomes = {outcome for _method, outcome in seen}
    errors = (
        TokenRejected,
        AccessRefused,
        ProviderRateLimited,
        ProviderUnreachable,
        ProviderAnswerUnexpected,
    )
    assert outcomes >= {"answered", *(error.__name__ for error in errors)}
    for method in ("verify", "organization", "organizations", "repository", "repositories"):
        assert seen[method, "answered"] > 10, method


@pytest.mark.parametrize("name", EVERY)
def test_no_redirect_or_page_is_translated_into_a_refusal(name: str) -> None:
    this = case(name, 0)
    for number in range(max(5000, ANSWERS // 40)):
        answers = Answers(f"{SEED}:translate:{number}")
        answer = answers.answer()
        if answer.status >= 500 or answer.status == 429:
            continue  # the door has raised for these; the methods above are given them too
        problem = this.provider.translate(answer)
        told = f"{problem}{problem!r}{problem.evidence if problem else ''}"
        where = f"case {number}: {written(answer)[:2000]}"
        assert problem is not None or answer.ok, where
        if isinstance(problem, TokenRejected):
            assert _may_be_dead(name, answer), where
        elif isinstance(problem, REFUSALS):
            assert _may_refuse(answer), where
        assert "kanari" not in told, where


def test_the_canary_is_in_the_answers() -> None:
    answers = [Answers(f"{SEED}:{number}").answer() for number in range(500)]
    assert sum(CANARY in written(answer) for answer in answers) > 100
    assert sum(CANARY in str(dict(answer.headers)) for answer in answers) > 10
