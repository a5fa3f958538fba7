"""Libraries in the admin: whose, how many snapshots, and which."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import Library, Snapshot
from tests.credentials.admin.desk import imported, page, read

pytestmark = pytest.mark.django_db


def test_the_list_names_owner_and_snapshots(desk: Client, alice: User) -> None:
    imported(alice)
    assert "Cases alice 1" in read(desk.get(page(Library, "changelist")))


@pytest.mark.parametrize(("query", "found"), [({"q": "case"}, 1), ({"q": "alice"}, 2), ({"q": "bob"}, 0)])
def test_libraries_are_found_by_name_and_owner(
    desk: Client, alice: User, query: dict[str, str], found: int
) -> None:
    imported(alice)
    imported(alice, name="Other")
    assert desk.get(page(Library, "changelist"), query).context["cl"].result_count == found


def test_its_page_lists_its_snapshots_and_nobody_elses(desk: Client, alice: User, bob: User) -> None:
    library = imported(alice).library
    imported(bob, name="Bobs")

    answer = desk.get(page(Library, "change", library.pk))

    text = read(answer)
    assert "http://127.0.0.1:9/acme/cases" in text
    assert "refs/heads/main" in text
    assert "acme/bobs" not in text
    assert page(Snapshot, "change", library.snapshots.get().pk) in answer.content.decode()
