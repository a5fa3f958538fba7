"""Lists: pages, filters, and cursors nobody made up."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Status
from tests import builders
from tests.credentials.api.conftest import Call

pytestmark = pytest.mark.django_db


def ids(call: Call, key: Any, **query: str) -> list[str]:
    response = call(key, "GET", f"/credentials/?{urlencode(query)}")
    assert response.status_code == 200, response.content
    return [one["id"] for one in response.json()["results"]]


def test_a_long_list_comes_in_pages_newest_first(alice: User, call: Call) -> None:
    host = builders.host()
    made = [str(builders.credential(alice, host, token=f"ghp_{number:036}").pk) for number in range(70)]
    _, key = builders.client()

    first = call(key, "GET", "/credentials/").json()
    assert first["previous"] is None
    assert len(first["results"]) == 50
    second = call(key, "GET", first["next"].removeprefix("http://testserver/api/v1")).json()
    assert second["next"] is None
    back = call(key, "GET", second["previous"].removeprefix("http://testserver/api/v1")).json()

    seen = [one["id"] for one in first["results"] + second["results"]]
    assert seen == made[::-1]
    assert back["results"] == first["results"]


def test_a_page_costs_the_same_statements_whatever_it_holds(alice: User, call: Call) -> None:
    host = builders.host()
    _, key = builders.client()

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            ids(call, key)
        return len(captured.captured_queries)

    builders.credential(alice, host)
    one = statements()
    for number in range(20):
        builders.credential(alice, host, token=f"ghp_{number:036}")
    assert statements() == one


def test_every_filter_narrows_the_list(alice: User, bob: User, call: Call) -> None:
    github, gitlab = builders.host(), builders.host("gitlab")
    hers = str(builders.credential(alice, github).pk)
    his = str(builders.credential(bob, gitlab, token="glpat-x", status=Status.REJECTED).pk)
    _, key = builders.client()

    assert ids(call, key) == [his, hers]
    assert ids(call, key, user="alice") == [hers]
    assert ids(call, key, host="gitlab") == [his]
    assert ids(call, key, provider="github") == [hers]
    assert ids(call, key, status="rejected") == [his]
    assert ids(call, key, user="alice", status="rejected") == []
    assert ids(call, key, user="nobody") == []


def test_what_was_disconnected_is_told_only_where_it_is_asked_for(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    call(key, "DELETE", f"/credentials/{credential.pk}/")

    assert ids(call, key) == []
    assert ids(call, key, status="disconnected") == [str(credential.pk)]
    assert call(key, "GET", f"/credentials/{credential.pk}/").json()["status"] == "disconnected"


@pytest.mark.parametrize("query", [{"status": "ghp_canary"}, {"user": "x\0"}, {"host": "x" * 51}])
def test_a_filter_that_cannot_be_is_refused_without_its_value(
    alice: User, call: Call, query: dict[str, str]
) -> None:
    _, key = builders.client()

    response = call(key, "GET", f"/credentials/?{urlencode(query)}")

    assert response.status_code == 400
    assert response.json()["field"] in query
    assert "canary" not in response.content.decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "ghp_canary",
        "ä",
        "%00",
        b64encode(b"p=ghp_canary").decode(),
        b64encode(b"p=2026-13-45").decode(),
        b64encode(b"p=%00").decode(),
        b64encode(b"o=-1").decode(),
        b64encode(b"\xff").decode(),
    ],
)
def test_a_cursor_that_came_from_no_page_is_refused(alice: User, call: Call, cursor: str) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    response = call(key, "GET", f"/credentials/?{urlencode({'cursor': cursor})}")

    assert response.status_code == 400
    assert response.json()["field"] == "cursor"
    assert "canary" not in response.content.decode()
