"""The choice among a person's credentials, by facts alone: who wins, who is passed over, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from credentials.models import Status
from credentials.services import choice
from credentials.services.choice import REFUSAL_KEPT, Candidate, Choice, Reason
from credentials.verdicts import VerdictCode

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PATH = ("acme", "team", "cases")


def candidate(number: int, **facts: Any) -> Candidate:
    """A valid credential about which nothing is known but what ``facts`` say."""
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "owner_id": 1,
        "host_slug": "gitlab",
        "host_name": "GitLab",
        "host_binding": "",
        "provider": "gitlab",
        "web_url": "https://gitlab.example",
        "api_url": "https://gitlab.example/api/v4",
        "kind": "personal_token",
        "label": "",
        "status": Status.VALID,
        "account_id": "",
        "account_name": "",
        "email": "",
        "username": "",
        "expires_at": None,
        "last_verified_at": NOW - timedelta(hours=1),
        "created_at": NOW - timedelta(days=1),
        "generation": 1,
        "access_envelope": b"sealed",
        "organization": "",
    }
    return Candidate(**{**values, **facts})


def choose(*candidates: Candidate, segments: tuple[str, ...] = PATH, asked_for: bool = False) -> Choice:
    return choice.choose(
        candidates, segments=segments, asked_for=asked_for, min_valid=timedelta(minutes=5), now=NOW
    )


def numbers(found: Choice) -> list[int]:
    """The candidates in the order of the answer."""
    return [judged.candidate.id.int for judged in found.judged]


def reasons(found: Choice) -> dict[int, Reason]:
    return {judged.candidate.id.int: judged.reason for judged in found.judged}


READ_IT = {"verdict": VerdictCode.OK.value, "verdict_at": NOW - timedelta(days=30)}
REFUSED_LONG_AGO = {
    "verdict": VerdictCode.NOT_FOUND_OR_NO_ACCESS.value,
    "verdict_at": NOW - REFUSAL_KEPT,
}

# Each is better than all below it, whatever else speaks for those.
LADDER: tuple[tuple[dict[str, Any], Reason], ...] = (
    (READ_IT, Reason.READ_IT_BEFORE),
    ({"organization": "acme/team"}, Reason.ORGANIZATION_MATCHES),
    ({"organization": "acme"}, Reason.ORGANIZATION_MATCHES),
    ({"account_name": "Acme"}, Reason.ACCOUNT_MATCHES),
    ({}, Reason.MOST_RECENTLY_VERIFIED),
    ({"last_verified_at": NOW - timedelta(hours=2)}, Reason.MOST_RECENTLY_VERIFIED),
    ({"last_verified_at": None}, Reason.MOST_RECENTLY_VERIFIED),
    ({"status": Status.LIMITED}, Reason.MOST_RECENTLY_VERIFIED),
    (REFUSED_LONG_AGO, Reason.MOST_RECENTLY_VERIFIED),
)


@pytest.mark.parametrize("rung", range(len(LADDER) - 1))
def test_what_is_known_outweighs_what_is_guessed_and_says_so(rung: int) -> None:
    facts, because = LADDER[rung]
    others = [candidate(number + 2, **worse) for number, (worse, _) in enumerate(LADDER[rung + 1 :])]

    found = choose(*others, candidate(1, **facts))

    assert found.chosen is not None
    assert found.chosen.id.int == 1
    assert found.because is because
    assert reasons(found)[1] is because
    assert {reason for number, reason in reasons(found).items() if number != 1} == {Reason.NOT_CHOSEN}


def test_the_whole_order_is_told_the_chosen_one_first_and_those_passed_over_last() -> None:
    kept = [candidate(number + 1, **facts) for number, (facts, _) in enumerate(LADDER)]
    dead = candidate(99, status=Status.REJECTED)

    found = choose(dead, *reversed(kept))

    assert numbers(found) == [*range(1, len(LADDER) + 1), 99]
    assert [judged.kept for judged in found.judged] == [*[True] * len(LADDER), False]


def test_two_that_are_alike_in_everything_are_told_apart_the_same_way_every_time() -> None:
    one, other = candidate(1), candidate(2)

    assert numbers(choose(one, other)) == numbers(choose(other, one)) == [2, 1]
    assert choose(one, other).because is Reason.MOST_RECENTLY_VERIFIED


def test_of_two_that_are_alike_the_newer_one_is_taken() -> None:
    newer = candidate(1, created_at=NOW)

    assert numbers(choose(candidate(2), newer)) == [1, 2]


@pytest.mark.parametrize("segments", [(), ("acme-evil", "cases"), ("acm", "cases"), ("other",)])
def test_an_account_owns_its_whole_name_and_nothing_that_begins_alike(segments: tuple[str, ...]) -> None:
    named, recent = candidate(1, account_name="acme"), candidate(2, last_verified_at=NOW)

    found = choose(named, recent, segments=segments)

    assert numbers(found) == [2, 1]
    assert found.because is Reason.MOST_RECENTLY_VERIFIED


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"status": Status.EXPIRED}, Reason.NOT_USABLE),
        ({"status": Status.REJECTED}, Reason.NOT_USABLE),
        ({"status": Status.RECONNECT_REQUIRED}, Reason.NOT_USABLE),
        ({"status": Status.QUARANTINED}, Reason.NOT_USABLE),
        ({"access_envelope": None}, Reason.NOT_USABLE),
        ({"expires_at": NOW + timedelta(minutes=4)}, Reason.EXPIRES_TOO_SOON),
        ({"expires_at": NOW - timedelta(days=1)}, Reason.EXPIRES_TOO_SOON),
        ({"hold_until": NOW + timedelta(seconds=1)}, Reason.RESTS),
        (
            {"verdict": "sso_required", "verdict_at": NOW - REFUSAL_KEPT + timedelta(seconds=1)},
            Reason.CANNOT_READ_IT,
        ),
    ],
)
def test_what_cannot_serve_is_passed_over_with_the_reason(facts: dict[str, Any], reason: Reason) -> None:
    best = {**READ_IT, "organization": "acme/team"}
    found = choose(candidate(1, **{**best, **facts}), candidate(2))

    assert found.chosen is not None
    assert found.chosen.id.int == 2
    assert found.because is Reason.ONLY_ONE
    assert reasons(found) == {2: Reason.ONLY_ONE, 1: reason}


@pytest.mark.parametrize(
    "facts",
    [
        {"status": Status.UNVERIFIED},
        {"status": Status.EXPIRING},
        {"expires_at": NOW + timedelta(minutes=5)},
        {"hold_until": NOW},
        REFUSED_LONG_AGO,
        {"verdict": "sso_required", "verdict_at": None},
    ],
)
def test_what_may_serve_is_not_passed_over(facts: dict[str, Any]) -> None:
    assert choose(candidate(1, **facts)).because is Reason.ONLY_ONE


def test_without_any_that_can_serve_nothing_is_chosen_and_each_reason_is_told() -> None:
    found = choose(candidate(1, status=Status.EXPIRED), candidate(2, hold_until=NOW + timedelta(minutes=1)))

    assert (found.chosen, found.because) == (None, None)
    assert reasons(found) == {1: Reason.NOT_USABLE, 2: Reason.RESTS}
    assert choose().judged == ()


def test_a_credential_that_was_asked_for_by_name_is_given_as_that() -> None:
    assert choose(candidate(1, **READ_IT), asked_for=True).because is Reason.ASKED_FOR


# --- Whether the host has to be asked before lending ------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "supported"),
    [
        (READ_IT, True),
        ({"organization": "acme"}, True),
        ({"account_name": "ACME"}, True),
        ({}, False),
        ({"account_name": "acme-evil"}, False),
        (REFUSED_LONG_AGO, False),
        ({**REFUSED_LONG_AGO, "organization": "acme", "account_name": "acme"}, False),
    ],
)
def test_the_host_is_asked_first_unless_something_known_speaks_for_the_chosen_one(
    facts: dict[str, Any], supported: bool
) -> None:
    assert choice.is_supported(choose(candidate(1, **facts)), PATH) is supported


def test_nothing_speaks_for_a_choice_of_none() -> None:
    assert choice.is_supported(choose(), PATH) is False


# --- What to say where nothing was chosen -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("worse", "better", "code"),
    [
        (
            {"verdict": "sso_required", "verdict_at": NOW},
            {"expires_at": NOW},
            VerdictCode.TOKEN_EXPIRED,
        ),
        ({"status": Status.REJECTED}, {"expires_at": NOW, "kind": "oauth"}, VerdictCode.RECONNECT_REQUIRED),
        (
            {"hold_until": NOW + timedelta(minutes=1)},
            {"verdict": "sso_required", "verdict_at": NOW},
            VerdictCode.SSO_REQUIRED,
        ),
        ({"status": Status.EXPIRED}, {"hold_until": NOW + timedelta(minutes=1)}, VerdictCode.UNKNOWN),
        ({"status": Status.QUARANTINED}, {"status": Status.EXPIRED}, VerdictCode.TOKEN_EXPIRED),
        ({"status": Status.QUARANTINED}, {"status": Status.REJECTED}, VerdictCode.TOKEN_REJECTED),
    ],
)
def test_the_candidate_whose_mending_helps_most_explains_the_refusal(
    worse: dict[str, Any], better: dict[str, Any], code: VerdictCode
) -> None:
    for candidates in (
        (candidate(1, **worse), candidate(2, **better)),
        (candidate(2, **better), candidate(1, **worse)),
    ):
        found, which = choice.explain_refusal(choose(*candidates))

        assert found is code
        assert which is not None
        assert which.id.int == 2


def test_without_a_candidate_worth_mending_no_account_is_connected() -> None:
    assert choice.explain_refusal(choose()) == (VerdictCode.NO_CREDENTIAL, None)


def test_one_in_quarantine_is_named_unless_another_can_be_mended_by_its_owner() -> None:
    held, ended = candidate(1, status=Status.QUARANTINED), candidate(2, status=Status.EXPIRED)
    assert choice.explain_refusal(choose(held)) == (VerdictCode.NO_CREDENTIAL, held)
    assert choice.explain_refusal(choose(held, ended)) == (VerdictCode.TOKEN_EXPIRED, ended)


def test_a_refusal_is_believed_for_ten_minutes() -> None:
    assert timedelta(minutes=10) == REFUSAL_KEPT
