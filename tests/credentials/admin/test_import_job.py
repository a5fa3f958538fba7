"""Imports in the admin: who, what, how far and why not, and a button that stops one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, Import
from tests import builders
from tests.credentials.admin.desk import act, browser, imported, page, read, staff

pytestmark = pytest.mark.django_db

REFUSED = {"code": "content_refused", "reason": "path_traversal", "entry": "../secret.txt", "limit": None}


def test_the_list_tells_who_imported_what_and_how_it_ended(desk: Client, alice: User) -> None:
    imported(alice)
    imported(alice, name="Broken", state="failed", error=REFUSED, snapshot=None)

    text = read(desk.get(page(Import, "changelist")))

    for word in ("alice", "Cases", "Broken", "127.0.0.1:9/acme/cases", "succeeded", "failed", "0:01:15"):
        assert word in text
    assert "content_refused / path_traversal" in text


def test_its_page_tells_the_whole_story_but_not_of_its_files(desk: Client, alice: User) -> None:
    job = imported(alice, state="failed", error=REFUSED, upload="uploads/a.zip", upload_bytes=2048)

    text = read(desk.get(page(Import, "change", job.pk)))

    for word in ("backend", "job-Cases", "main", "c" * 40, "2.0\xa0KB", "Cases 1", "path_traversal"):
        assert word.replace("\xa0", " ") in text.replace("\xa0", " ")
    for hidden in ("secret.txt", "uploads/", "snapshots/"):
        assert hidden not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "alice"}, 2),
        ({"q": "backend"}, 2),
        ({"q": "acme/broken"}, 1),
        ({"q": "job-Cases"}, 1),
        ({"q": "bob"}, 0),
        ({"state__exact": "failed"}, 1),
        ({"problem": "content_refused"}, 1),
        ({"problem": "time_exceeded"}, 0),
        ({"source__exact": "zip"}, 0),
        ({"host": "github"}, 2),
    ],
)
def test_imports_are_found_by_who_what_and_why(
    desk: Client, alice: User, query: dict[str, str], found: int
) -> None:
    builders.host("github")
    imported(alice)
    imported(alice, name="Broken", state="failed", error=REFUSED, snapshot=None)
    assert desk.get(page(Import, "changelist"), query).context["cl"].result_count == found


def test_a_waiting_import_is_stopped_and_one_that_ended_is_not(desk: Client, alice: User) -> None:
    waiting = imported(alice, name="Waiting", state="queued", ended_at=None, snapshot=None)
    ended = imported(alice, name="Ended")

    text = read(act(desk, Import, "cancel", waiting, ended))

    assert "It is stopped." in text
    assert "has ended already" in text
    assert Import.objects.get(pk=waiting.pk).state == "canceled"
    assert AuditEvent.objects.get(action="import.canceled").actor_name == "admin"


def test_a_running_import_is_asked_to_stop_from_its_own_page(desk: Client, alice: User) -> None:
    job = imported(alice, state="running", ended_at=None, snapshot=None, cancel_requested_at=None)
    address = page(Import, "change", job.pk)
    assert "Stop this import" in read(desk.get(address))

    answer = act(desk, Import, "cancel", job, from_page="yes")

    assert "It stops within a few seconds." in read(answer)
    assert "Stop this import" not in read(answer)
    asked = Import.objects.get(pk=job.pk)
    assert (asked.state, asked.cancel_requested_at is not None) == ("running", True)


def test_whoever_may_only_look_stops_nothing(alice: User) -> None:
    job = imported(alice, state="queued", ended_at=None, snapshot=None)
    audrey = browser(staff("audrey", "view_import"))

    assert "Stop this import" not in read(audrey.get(page(Import, "change", job.pk)))
    act(audrey, Import, "cancel", job)
    assert Import.objects.get(pk=job.pk).state == "queued"


def test_how_long_it_takes_is_told_while_it_runs(desk: Client, alice: User) -> None:
    imported(alice, state="running", ended_at=None, snapshot=None)
    imported(alice, name="Waiting", state="queued", ended_at=None, snapshot=None)
    Import.objects.filter(state="queued").update(started_at=None, queued_at=timezone.now())
    assert "0:01:1" in read(desk.get(page(Import, "changelist")))
