"""Imports in the admin: looked at, and stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import AuditEvent, Import
from tests import storages
from tests.credentials.admin.desk import act, browser, page, read, staff
from tests.credentials.services.imports.asked import by_zip, ran

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


def test_the_list_says_whose_it_is_and_how_it_ended_and_narrows(desk: Client, alice: User) -> None:
    ran(by_zip(alice, {"../evil": b"x"}, "Broken"))
    listing = page(Import, "changelist")
    text = read(desk.get(listing))
    for word in ("Broken", "alice", "cases.zip", "failed", "content_refused, path_traversal"):
        assert word in text
    assert "evil" not in text
    for query, shown in (
        ("state__exact=failed", True),
        ("state__exact=succeeded", False),
        ("source__exact=git", False),
        ("reason=content_refused", True),
        ("reason=time_exceeded", False),
        ("q=alice", True),
        ("q=bob", False),
    ):
        answer = desk.get(f"{listing}?{query}")
        assert answer.status_code == 200
        assert ("Broken" in read(answer)) is shown, query


def test_an_import_is_looked_at_and_not_changed(desk: Client, alice: User) -> None:
    job = ran(by_zip(alice))
    assert "succeeded" in read(desk.get(page(Import, "change", job.pk)))
    assert desk.post(page(Import, "change", job.pk), {"state": "failed"}).status_code == 403
    for name, row in (("add", ()), ("delete", (job.pk,))):
        assert desk.get(page(Import, name, *row)).status_code == 403


def test_one_that_waits_is_stopped_and_the_trail_says_by_whom(desk: Client, admin: User, alice: User) -> None:
    waiting, done = by_zip(alice), ran(by_zip(alice, library="Other"))
    assert "1 import is stopped." in read(act(desk, Import, "cancel", waiting, done))
    waiting.refresh_from_db()
    assert waiting.state == "canceled"
    assert AuditEvent.objects.get(action="import.canceled").actor_name == admin.get_username()
    assert "All of these have ended." in read(act(desk, Import, "cancel", waiting, done))


def test_who_may_only_look_is_offered_nothing(alice: User) -> None:
    job = by_zip(alice)
    auditor = browser(staff("audrey", "view_import"))
    assert "Cancel" not in read(auditor.get(page(Import, "change", job.pk)))
    act(auditor, Import, "cancel", job)
    job.refresh_from_db()
    assert job.state == "queued"
