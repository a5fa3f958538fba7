"""How an import ended, in words: of every end there is, in the language of whoever reads it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone, translation

from credentials import errors
from credentials.errors import ContentRefused, ImportProblem, QuotaExceeded, TimeExceeded
from credentials.models import Import, Source
from credentials.services.imports import ending, outcomes
from credentials.services.imports.outcomes import Next
from credentials.verdicts import Check, VerdictCode
from credentials.verdicts.refusals import Refusal
from credentials.verdicts.wording import verdict
from tests import builders
from tests.credentials.services.imports.asked import by_git

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice: User) -> Import:
    return by_git(alice, f"{builders.host().web_url}/acme/cases")


def ended_with(job: Import, problem: Any, **facts: Any) -> outcomes.Problem:
    job.error = ending.reason_of(problem).error
    for name, value in facts.items():
        setattr(job, name, value)
    found = outcomes.problem_of(job)
    assert found is not None
    return found


NAMES = [
    name
    for name in errors.__all__
    if issubclass(getattr(errors, name), ImportProblem) and name not in {"ImportProblem", "ImportCanceled"}
]
ARGUMENTS: dict[str, Any] = {
    "ContentRefused": ((Refusal.RATIO,), {"entry": "bomb", "limit": 100}),
    "QuotaExceeded": (("",), {"whose": "user", "limit": 1 << 30}),
    "TimeExceeded": ((), {"limit": 900}),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_of_an_import_has_words_of_its_own(name: str, job: Import) -> None:
    given, named = ARGUMENTS.get(name, ((), {}))
    found = ended_with(job, getattr(errors, name)(*given, **named))
    assert found.code == getattr(errors, name).code
    assert found.title != outcomes.TITLES["unexpected"]
    assert found.detail
    assert "%(" not in f"{found.title}{found.detail}"


def test_limits_and_entries_are_named(job: Import) -> None:
    refused = ended_with(job, ContentRefused(Refusal.PATH_TRAVERSAL, entry="../evil"))
    assert "../evil" in str(refused.detail)
    assert (refused.reason, refused.entry, refused.retryable) == ("path_traversal", "../evil", False)
    assert "15 minutes" in str(ended_with(job, TimeExceeded(limit=900)).detail)
    mine, all_ = (
        ended_with(job, QuotaExceeded("", whose=who, limit=1 << 30)) for who in ("user", "everybody")
    )
    assert "1.0" in str(mine.detail)
    assert mine.detail != all_.detail


@pytest.mark.parametrize(
    ("problem", "source", "step", "offers_zip"),
    [
        (errors.RefNotFound(""), Source.GIT, Next.CHOOSE_ANOTHER, False),
        (errors.TimeExceeded(limit=1), Source.GIT, Next.CHOOSE_ANOTHER, True),
        (errors.ContentRefused(Refusal.RATIO), Source.ZIP, Next.UPLOAD_ANOTHER, False),
        (errors.UploadGone(""), Source.ZIP, Next.UPLOAD_ANOTHER, False),
        (errors.StorageUnavailable(""), Source.ZIP, Next.RETRY, False),
        (errors.ImportInterrupted(""), Source.GIT, Next.RETRY, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_problem_leads_on(
    problem: Exception, source: Source, step: Next, offers_zip: bool, job: Import
) -> None:
    found = ended_with(job, problem, source=source)
    assert (found.next, found.offer_zip) == (step, offers_zip)


def test_a_problem_that_nobody_knows_yet_has_words_too(job: Import) -> None:
    job.error = {"code": "made_up_later", "retryable": True}
    found = outcomes.problem_of(job)
    assert found is not None
    assert (found.code, found.next) == ("unexpected", Next.RETRY)


def test_where_nothing_went_wrong_there_is_nothing_to_say(job: Import) -> None:
    assert outcomes.problem_of(job) is None
    assert outcomes.verdict_of(job) is None


def test_a_verdict_is_told_anew_in_the_language_of_whoever_reads_it(job: Import) -> None:
    check = Check(step="api", result="GET /repos 403", at=timezone.now())
    told = verdict(VerdictCode.NO_CREDENTIAL, checked=(check,))
    job.verdict = ending.reason_of_verdict(told).verdict
    titles = set()
    for language in ("en", "zh-hans"):
        with translation.override(language):
            found = outcomes.verdict_of(job)
            assert found is not None
            assert (found.code, found.checked) == (VerdictCode.NO_CREDENTIAL, (check,))
            titles.add(str(found.title))
    assert len(titles) == 2
    assert outcomes.problem_of(job) is None


def test_a_verdict_outlives_its_host_and_its_credential(job: Import) -> None:
    told = verdict(VerdictCode.TOKEN_EXPIRED, credential="00000000-0000-4000-8000-000000000000")
    job.verdict = ending.reason_of_verdict(told).verdict
    assert outcomes.verdict_of(job) is not None
    job.repository_url = "https://gone.example.org/a/b"
    assert outcomes.verdict_of(job) is not None
