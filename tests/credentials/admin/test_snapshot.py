"""Snapshots in the admin: where from, how large, and nothing of what is in them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import Snapshot
from tests import builders
from tests.credentials.admin.desk import HIDDEN_FILE, imported, page, read

pytestmark = pytest.mark.django_db


def test_a_snapshot_tells_where_it_came_from_and_not_what_is_in_it(desk: Client, alice: User) -> None:
    made = imported(alice).snapshot
    assert made is not None

    for address in (page(Snapshot, "changelist"), page(Snapshot, "change", made.pk)):
        text = read(desk.get(address)).replace("\xa0", " ")
        for word in ("Cases", "alice", "http://127.0.0.1:9/acme/cases", "refs/heads/main", "2.0 KB"):
            assert word in text
        assert HIDDEN_FILE not in text
    for word in (made.tree.digest, "symlink: 1", "backend", "c" * 40):
        assert word in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "alice"}, 1),
        ({"q": "acme/cases"}, 1),
        ({"q": "c" * 40}, 1),
        ({"q": "c" * 39}, 0),
        ({"source__exact": "zip"}, 0),
        ({"host": "github"}, 1),
        ({"host": "gitlab"}, 0),
    ],
)
def test_snapshots_are_found_by_where_they_came_from(
    desk: Client, alice: User, query: dict[str, str], found: int
) -> None:
    builders.host("github")
    builders.host("gitlab")
    imported(alice)
    assert desk.get(page(Snapshot, "changelist"), query).context["cl"].result_count == found
