"""A person's libraries: seen, renamed, removed, brought up to date, and compared with what they were."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.api import import_bodies
from credentials.crypto.secret import Secret
from credentials.models import Import, ImportState, Library, Scope, Snapshot
from tests import builders
from tests.credentials.api import shelf
from tests.credentials.api.conftest import Call

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("waiting")]

OF_GITLAB = {"repository_url": "http://127.0.0.1:9/gitlab/acme/cases", "host": "gitlab"}


@pytest.fixture
def key(alice: User) -> Secret:
    builders.host()
    return builders.client()[1]


@pytest.fixture
def elsewhere(alice: User) -> Secret:
    builders.host("gitlab")
    return builders.client("elsewhere", hosts=["gitlab"])[1]


def results(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.content
    told: list[Any] = answer.json()["results"]
    return told


def test_a_library_is_told_with_its_newest_snapshot(call: Call, key: Secret, alice: User) -> None:
    made, empty = shelf.library(alice), shelf.library(alice, "empty")
    shelf.snapshot(made)
    newest = shelf.by_zip(made, {"a": b"1"})

    told = {one["name"]: one for one in results(call(key, "GET", "/libraries/"))}
    assert (told["cases"]["snapshots"], told["cases"]["user"]) == (2, "alice")
    assert told["cases"]["latest"]["id"] == str(newest.pk)
    assert told["cases"]["latest"]["digest"] == newest.tree.digest
    assert (told["empty"]["snapshots"], told["empty"]["latest"]) == (0, None)
    assert call(key, "GET", f"/libraries/{made.pk}/").json() == told["cases"]
    assert call(key, "GET", f"/libraries/{empty.pk}/").json() == told["empty"]


def test_a_list_of_libraries_asks_the_database_as_often_for_one_as_for_many(
    call: Call, key: Secret, alice: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        shelf.snapshot(shelf.library(alice, f"library {number}"))
    with django_assert_max_num_queries(5):
        assert len(results(call(key, "GET", "/libraries/?user=alice"))) == 20


def test_a_person_sees_their_own_only(alice: User, bob: User) -> None:
    mine, theirs = shelf.library(alice), shelf.library(bob)
    browser = Client()
    browser.force_login(bob)
    assert [one["id"] for one in results(browser.get("/api/v1/libraries/"))] == [str(theirs.pk)]
    for address in ("", "snapshots/", "difference/"):
        assert browser.get(f"/api/v1/libraries/{mine.pk}/{address}").status_code == 404
    assert browser.post(f"/api/v1/libraries/{mine.pk}/update/").status_code == 404
    assert browser.delete(f"/api/v1/libraries/{mine.pk}/").status_code == 404
    renamed = browser.patch(f"/api/v1/libraries/{mine.pk}/", {"name": "x"}, content_type="application/json")
    assert renamed.status_code == 404
    mine.refresh_from_db()
    assert mine.name == "cases"


def test_a_key_of_another_host_sees_a_library_as_if_it_held_nothing_else(
    call: Call, key: Secret, elsewhere: Secret, alice: User
) -> None:
    mixed = shelf.library(alice)
    shelf.snapshot(mixed)
    zipped, gitlab = shelf.by_zip(mixed, {"a": b"1"}), shelf.snapshot(mixed, {"b": b"2"}, **OF_GITLAB)
    newest = shelf.snapshot(mixed, {"c": b"3"})
    hidden, empty = shelf.library(alice, "hidden"), shelf.library(alice, "empty")
    shelf.snapshot(hidden)
    shelf.job(shelf.library(alice, "failed"), state=ImportState.FAILED)

    assert {one["name"] for one in results(call(elsewhere, "GET", "/libraries/"))} == {"cases", "empty"}
    assert call(elsewhere, "GET", f"/libraries/{hidden.pk}/").status_code == 404
    told = call(elsewhere, "GET", f"/libraries/{mixed.pk}/").json()
    assert (told["snapshots"], told["latest"]["id"]) == (2, str(gitlab.pk))
    inside = results(call(elsewhere, "GET", f"/libraries/{mixed.pk}/snapshots/"))
    assert [one["id"] for one in inside] == [str(gitlab.pk), str(zipped.pk)]
    difference = call(elsewhere, "GET", f"/libraries/{mixed.pk}/difference/").json()
    assert (difference["from"]["id"], difference["to"]["id"]) == (str(zipped.pk), str(gitlab.pk))
    unseen = f"/libraries/{mixed.pk}/difference/?to={newest.number}"
    assert call(elsewhere, "GET", unseen).status_code == 404
    assert call(elsewhere, "DELETE", f"/libraries/{mixed.pk}/").status_code == 403
    assert call(elsewhere, "DELETE", f"/libraries/{empty.pk}/").status_code == 204
    assert Library.objects.filter(pk=mixed.pk).exists()


def test_a_library_is_renamed(call: Call, key: Secret, alice: User) -> None:
    made = shelf.library(alice)
    address = f"/libraries/{made.pk}/"
    assert call(key, "PATCH", address, {"name": "regression"}).json()["name"] == "regression"
    for wrong in ({}, {"name": ""}, {"name": "ghp_" + "a" * 36}, {"name": "x" * 101}, {"owner": "bob"}):
        assert call(key, "PATCH", address, wrong).status_code == 400
    made.refresh_from_db()
    assert made.name == "regression"


def test_a_library_is_removed_with_everything_in_it(call: Call, key: Secret, alice: User) -> None:
    made = shelf.library(alice)
    shelf.snapshot(made)
    running = shelf.job(made, state=ImportState.RUNNING)
    assert call(key, "DELETE", f"/libraries/{made.pk}/").status_code == 409
    Import.objects.filter(pk=running.pk).update(state=ImportState.SUCCEEDED)
    answer = call(key, "DELETE", f"/libraries/{made.pk}/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert call(key, "GET", f"/libraries/{made.pk}/").status_code == 404
    assert not Snapshot.objects.exists()


def test_the_last_git_source_is_imported_again(
    call: Call, key: Secret, elsewhere: Secret, alice: User
) -> None:
    made = shelf.library(alice)
    address = f"/libraries/{made.pk}/update/"
    assert call(key, "POST", address).status_code == 409
    last = shelf.snapshot(made)
    shelf.by_zip(made, {"a": b"1"})
    assert call(elsewhere, "POST", address).status_code == 403
    answer = call(key, "POST", address)
    assert answer.status_code == 202
    assert answer.json()["repository_url"] == last.repository_url
    assert answer["Location"] == f"/api/v1/imports/{answer.json()['id']}/"


def test_who_may_only_read_changes_nothing(call: Call, alice: User) -> None:
    made = shelf.library(alice)
    reading = builders.client("reading", scopes=[Scope.IMPORTS_READ])[1]
    assert call(reading, "GET", f"/libraries/{made.pk}/").status_code == 200
    assert call(reading, "PATCH", f"/libraries/{made.pk}/", {"name": "x"}).status_code == 403
    assert call(reading, "DELETE", f"/libraries/{made.pk}/").status_code == 403
    assert call(reading, "POST", f"/libraries/{made.pk}/update/").status_code == 403


# --- What changed -------------------------------------------------------------------------------------

BEFORE = {"kept": b"1", "changed": b"1", "gone": b"gone", "old/name": b"the same"}
AFTER = {"kept": b"1", "changed": b"2", "come": b"come", "new/name": b"the same"}


def test_a_difference_tells_added_removed_changed_and_moved_files(
    call: Call, key: Secret, alice: User
) -> None:
    made = shelf.library(alice)
    before, after = shelf.snapshot(made, BEFORE), shelf.snapshot(made, AFTER)
    asked = (
        "",
        "?from=1&to=2",
        f"?from={before.pk}&to={after.pk}",
        "?to=2",
        "?from=1",
    )
    for query in asked:
        told = call(key, "GET", f"/libraries/{made.pk}/difference/{query}").json()
        assert (told["from"]["id"], told["to"]["id"]) == (str(before.pk), str(after.pk))
        assert [one["path"] for one in told["added"]] == ["come"]
        assert [one["path"] for one in told["removed"]] == ["gone"]
        [changed], [moved] = told["changed"], told["moved"]
        assert changed["before"]["path"] == changed["after"]["path"] == "changed"
        assert changed["before"]["sha256"] != changed["after"]["sha256"]
        assert (moved["before"]["path"], moved["after"]["path"]) == ("old/name", "new/name")
        assert told["totals"] == {"added": 1, "removed": 1, "changed": 1, "moved": 1}
        assert told["is_complete"] is True


def test_a_long_difference_says_that_it_is_cut(
    call: Call, key: Secret, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_bodies, "TOLD", 2)
    made = shelf.library(alice)
    shelf.snapshot(made, {"a": b"1"})
    shelf.snapshot(made, {"a": b"1", **{f"b{number}": b"%d" % number for number in range(3)}})
    told = call(key, "GET", f"/libraries/{made.pk}/difference/").json()
    assert [one["path"] for one in told["added"]] == ["b0", "b1"]
    assert (told["totals"]["added"], told["is_complete"]) == (3, False)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?from=7", 404),
        ("?to=99999999999999999999", 404),
        ("?to=\u0662", 400),
        ("?from=nonsense", 400),
        ("?from=00000000-0000-4000-8000-000000000000", 404),
        ("?to=1", 404),
    ],
)
def test_a_snapshot_that_is_none_of_the_librarys_is_said(
    call: Call, key: Secret, alice: User, query: str, status: int
) -> None:
    made = shelf.library(alice)
    shelf.snapshot(made)
    shelf.snapshot(made, {"a": b"1"})
    assert call(key, "GET", f"/libraries/{made.pk}/difference/{query}").status_code == status


def test_a_snapshot_of_another_library_is_none_of_this(call: Call, key: Secret, alice: User) -> None:
    one, other = shelf.library(alice), shelf.library(alice, "other")
    shelf.snapshot(one)
    stranger = shelf.snapshot(other)
    assert call(key, "GET", f"/libraries/{one.pk}/difference/?from={stranger.pk}").status_code == 404
