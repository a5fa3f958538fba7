"""Beginning an import anew: the same one, with all its attempts before it, where that may lead to another end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from credentials.errors import Conflict, QuotaExceeded, StorageUnavailable, TooManyRequests
from credentials.models import AuditEvent, Import, ImportState
from credentials.services.audit import Actor
from credentials.services.imports import canceling, retrying
from credentials.services.libraries import snapshots
from tests import builders
from tests.credentials.services.imports.asked import again, by_git, by_zip

pytestmark = pytest.mark.django_db

NOW = timezone.now()
ADDRESS = "https://git.example.org/acme/cases"


def failed(job: Import, **facts: Any) -> Import:
    values = {"state": ImportState.FAILED, "ended_at": NOW, "attempts": 3, "files_done": 7, **facts}
    Import.objects.filter(pk=job.pk).update(error={"code": "unexpected", "retryable": True}, **values)
    return again(job)


def retry(job: Import, actor: Actor = builders.SYSTEM) -> Import:
    return retrying.retry(actor=actor, job=job, now=NOW)


def test_a_failed_one_waits_again_with_all_its_attempts_before_it(alice: User, bob: User) -> None:
    job = failed(by_git(alice, ADDRESS, ref="dev"))
    DBTaskResult.objects.all().delete()
    retry(job, Actor.user(bob))
    row = again(job)
    assert (row.pk, row.state, row.attempts, row.queued_at) == (job.pk, "queued", 0, NOW)
    assert (row.error, row.ended_at, row.files_done, row.ref) == (None, None, 0, "dev")
    assert DBTaskResult.objects.get().args_kwargs["args"] == [str(job.pk)]
    assert AuditEvent.objects.filter(action="import.requested").latest("seq").actor_name == "bob"


def test_a_canceled_one_does_not_stop_again_by_itself(alice: User) -> None:
    job = by_zip(alice)
    canceling.cancel(actor=builders.SYSTEM, job=job, now=NOW)
    assert retry(job).cancel_requested_at is None


@pytest.mark.parametrize("state", [ImportState.QUEUED, ImportState.RUNNING, ImportState.SUCCEEDED])
def test_one_that_waits_runs_or_succeeded_is_not_begun_anew(state: ImportState, alice: User) -> None:
    job = failed(by_git(alice, ADDRESS), state=state)
    with pytest.raises(Conflict):
        retry(job)
    assert again(job).attempts == 3


def test_what_was_uploaded_must_still_be_there(
    alice: User, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = failed(by_zip(alice))
    with monkeypatch.context() as patched:
        patched.setattr(type(default_storage._wrapped), "exists", _out)  # type: ignore[attr-defined]  # Django's
        with pytest.raises(StorageUnavailable):
            retry(job)
    (storage / job.upload).unlink()
    with pytest.raises(Conflict, match="Upload it again"):
        retry(job)
    assert again(job).state == ImportState.FAILED


def _out(*_given: object) -> bool:
    raise OSError


def test_what_a_person_has_used_up_counts_here_too(
    alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = failed(by_git(alice, ADDRESS))
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "stored_bytes_of", lambda owner: 5 << 40)
        with pytest.raises(QuotaExceeded):
            retry(job)
    settings.CREDENTIALS_IMPORTS_QUEUED_PER_USER = 1
    by_git(alice, ADDRESS)
    with pytest.raises(TooManyRequests):
        retry(job)


def test_nobody_begins_anew_what_belongs_to_somebody_who_is_not_active(alice: User) -> None:
    job = failed(by_git(alice, ADDRESS))
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(Conflict):
        retry(job)
