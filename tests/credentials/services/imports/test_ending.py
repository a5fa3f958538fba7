"""How an import ends: who is told, what is kept for another attempt, and when that comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from credentials.errors import (
    ContentRefused,
    ForgekeyError,
    QuotaExceeded,
    StorageUnavailable,
    TimeExceeded,
    TooManyRequests,
)
from credentials.models import AuditEvent, Host, Import, Notice, WebhookDelivery, WebhookMessage
from credentials.services import clients, notices
from credentials.services.audit import Actor
from credentials.services.imports import canceling, claims, ending
from credentials.services.imports.claims import Claim, Lost
from credentials.verdicts import VerdictCode
from credentials.verdicts.refusals import Refusal
from credentials.verdicts.wording import verdict
from tests import builders, storages
from tests.credentials.services.imports.asked import again, by_git, by_zip
from tests.credentials.services.webhooks.receiver import endpoint

pytestmark = pytest.mark.django_db

NOW = timezone.now()
REFUSED = ending.reason_of(ContentRefused(Refusal.PATH_TRAVERSAL, entry="../x"))
OUT = ending.reason_of(StorageUnavailable())


def taken(job: Import, *, at: Any = NOW) -> Claim:
    claim = claims.take(job.pk, now=at)
    assert claim is not None
    return claim


@pytest.fixture
def by_upload(alice: User) -> Iterator[Claim]:
    claim = taken(by_zip(alice, now=NOW))
    yield claim
    claims.let_go(claim)


@pytest.mark.parametrize(
    ("problem", "kept", "passes"),
    [
        (
            ContentRefused(Refusal.TOO_MANY_FILES, limit=9),
            {"retryable": False, "reason": "too_many_files", "entry": "", "limit": 9},
            False,
        ),
        (QuotaExceeded("", whose="user", limit=5), {"retryable": True, "reason": "user", "limit": 5}, False),
        (TimeExceeded(limit=900), {"retryable": False, "limit": 900}, False),
        (StorageUnavailable(), {"retryable": True}, True),
        (TooManyRequests("", retry_after=timedelta(minutes=1)), {"retryable": True}, True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_error_leaves(problem: ForgekeyError, kept: dict[str, object], passes: bool) -> None:
    reason = ending.reason_of(problem)
    assert (reason.error, reason.is_passing) == ({"code": problem.code, **kept}, passes)
    assert reason.code == problem.code


@pytest.mark.parametrize("code", list(VerdictCode))
def test_a_verdict_passes_by_itself_where_nobody_has_to_act(code: VerdictCode) -> None:
    reason = ending.reason_of_verdict(verdict(code))
    assert reason.code == code.value
    assert reason.is_passing is (code.value in {"host_unreachable", "rate_limited", "unknown"})


def test_what_may_pass_is_tried_again_after_a_pause_that_grows(by_upload: Claim) -> None:
    job, at, pauses = by_upload.job, NOW, []
    claim: Claim | None = by_upload
    while claim is not None:
        ending.fail(claim, OUT, now=at)
        row = again(job)
        if row.has_ended:
            break
        assert (row.state, row.holder, row.error) == ("queued", "", OUT.error), "why it waits is told"
        assert claims.take(job.pk, now=row.queued_at - timedelta(seconds=1)) is None
        pauses.append(row.queued_at - at)
        at = row.queued_at
        claim = claims.take(job.pk, now=at)
    assert pauses == [timedelta(seconds=30), timedelta(minutes=2)]
    assert (again(job).state, again(job).attempts) == ("failed", 3)
    assert AuditEvent.objects.get(action="import.failed").data["code"] == "storage_unavailable"


def test_a_person_who_looked_into_much_just_now_costs_an_import_no_attempt(by_upload: Claim) -> None:
    reason = ending.reason_of(TooManyRequests("", retry_after=timedelta(minutes=1)))
    at = NOW
    for _ in range(ending.MOST_ATTEMPTS + 1):
        ending.fail(by_upload, reason, now=at)
        assert (again(by_upload.job).state, again(by_upload.job).attempts) == ("queued", 0)
        at += timedelta(minutes=1)
        by_upload = taken(by_upload.job, at=at)


def test_a_process_that_ends_puts_its_import_back_at_once_and_uncounted(by_upload: Claim) -> None:
    ending.release(by_upload, now=NOW)
    row = again(by_upload.job)
    assert (row.state, row.attempts, row.queued_at) == ("queued", 0, NOW)
    assert claims.waiting_behind(row, now=NOW) == (row.pk,)


def test_one_that_fails_after_it_was_asked_to_stop_is_canceled(by_upload: Claim) -> None:
    canceling.cancel(actor=builders.SYSTEM, job=by_upload.job, now=NOW)
    ending.fail(by_upload, OUT, now=NOW)
    assert (again(by_upload.job).state, again(by_upload.job).error) == ("canceled", None)


@pytest.mark.parametrize("end", [ending.release, ending.cancel])
def test_whoever_has_lost_an_import_does_not_end_it(by_upload: Claim, end: Any) -> None:
    Import.objects.update(holder="another")
    with pytest.raises(Lost):
        end(by_upload, now=NOW)
    with pytest.raises(Lost):
        ending.fail(by_upload, REFUSED, now=NOW)
    assert again(by_upload.job).state == "running"
    assert not AuditEvent.objects.filter(action__in=("import.failed", "import.canceled")).exists()


@pytest.mark.parametrize(
    ("reason", "kept"), [(REFUSED, False), (ending.unexpected(), True), (None, True)], ids=str
)
def test_an_upload_is_kept_where_another_attempt_may_end_otherwise(
    reason: Any, kept: bool, by_upload: Claim, storage: Path
) -> None:
    if reason is None:
        canceling.cancel(actor=builders.SYSTEM, job=by_upload.job, now=NOW)
        ending.cancel(by_upload, now=NOW)
    else:
        ending.fail(by_upload, reason, now=NOW)
    row = again(by_upload.job)
    assert row.has_ended
    assert bool(row.upload) is kept
    assert len(storages.stored(storage)) == 1, "not before the row has let go of it"
    ending.forget_archive(row)
    assert storages.stored(storage) == ([row.upload] if kept else [])
    assert again(row).archive == ""


def test_what_was_brought_in_vain_goes_and_what_became_a_tree_stays(by_upload: Claim, tmp_path: Path) -> None:
    vain = default_storage.save("snapshots/aa/vain.zip", ContentFile(b"x"))
    by_upload.rows.update(archive=vain)
    ending.forget_archive(by_upload.job)
    assert default_storage.exists(vain), "it is at work with it"
    ending.fail(by_upload, ending.unexpected(), now=NOW)
    ending.forget_archive(by_upload.job)
    assert not default_storage.exists(vain)
    assert again(by_upload.job).archive == ""
    tree = storages.snapshot(by_upload.job.library, tmp_path, {"a": "b"}).tree
    Import.objects.update(archive=tree.archive)
    ending.forget_archive(by_upload.job)
    assert default_storage.exists(tree.archive)


def test_clients_are_told_of_an_end_where_they_may_know_of_its_host(alice: User) -> None:
    github, gitlab = builders.host(), builders.host("gitlab")
    known = {
        name: endpoint("https://hooks.example.org/", client=builders.client(name, hosts=slugs)[0])[0]
        for name, slugs in (("all", ()), ("github", ["github"]), ("gitlab", ["gitlab"]))
    }
    jobs = [
        by_git(alice, f"{github.web_url}/acme/cases", "A", now=NOW),
        by_git(alice, f"{gitlab.web_url}/acme/cases", "B", now=NOW),
        by_zip(alice, library="C", now=NOW),
        by_git(alice, "https://nowhere.example.org/a/b", "D", now=NOW),
    ]
    for job in jobs:
        canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    assert [told_to(job, known) for job in jobs] == [
        ["all", "github"],
        ["all", "gitlab"],
        ["all", "github", "gitlab"],
        ["all"],
    ]
    message = WebhookMessage.objects.get(data__import=str(jobs[0].pk))
    assert message.data == {
        "import": str(jobs[0].pk),
        "user": "alice",
        "host": "github",
        "library": str(jobs[0].library_id),
        "state": "canceled",
        "reason": None,
        "snapshot": None,
    }


def told_to(job: Import, endpoints: dict[str, Any]) -> list[str]:
    told = WebhookDelivery.objects.filter(message__data__import=str(job.pk))
    keys = set(told.values_list("endpoint", flat=True))
    return sorted(name for name, one in endpoints.items() if one.pk in keys)


@pytest.mark.parametrize("by_client", [True, False])
def test_a_person_is_told_of_a_failure_where_a_client_asked(by_client: bool, alice: User) -> None:
    actor = clients.actor_of(builders.client()[0]) if by_client else Actor.user(alice)
    claim = taken(by_zip(alice, actor=actor, now=NOW))
    ending.fail(claim, REFUSED, now=NOW)
    told = [notices.text_of(notice) for notice in Notice.objects.filter(user=alice)]
    assert len(told) == by_client
    assert all("backend" in text and "Cases" in text for text in told)
    assert Host.objects.count() == 0
