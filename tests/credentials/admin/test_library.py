"""Libraries in the admin: whose they are and where they came from, never what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import Library, Snapshot
from tests import storages
from tests.credentials.admin.desk import page, read

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    return storages.use_folder(settings, tmp_path / "storage")


def test_a_library_shows_its_versions_and_none_of_their_files(
    desk: Client, alice: User, tmp_path: Path
) -> None:
    library = storages.library(alice, "Use cases")
    for number in range(2):
        made = storages.snapshot(
            library,
            tmp_path,
            {"plan-for-the-merger.md": str(number)},
            source="git",
            repository_url="https://git.example.org/acme/cases",
            commit="c" * 40,
        )
    assert "Use cases alice 2" in read(desk.get(page(Library, "changelist")))
    answer = desk.get(page(Library, "change", library.pk))
    for word in ("https://git.example.org/acme/cases", "c" * 40, made.tree.digest):
        assert word in read(answer)
    assert "merger" not in answer.content.decode()
    assert page(Snapshot, "change", made.pk) in answer.content.decode()


def test_it_is_not_changed_by_a_form(desk: Client, alice: User) -> None:
    library = storages.library(alice)
    assert desk.post(page(Library, "change", library.pk), {"name": "other"}).status_code == 403
    for name, row in (("add", ()), ("delete", (library.pk,))):
        assert desk.get(page(Library, name, *row)).status_code == 403
