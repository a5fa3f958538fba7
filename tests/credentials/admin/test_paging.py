"""Lists that only grow: pages without counting, and as many queries for thirty rows as for three."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credentials.admin.paging import CappedPaginator
from credentials.models import (
    AuditEvent,
    Credential,
    Host,
    Import,
    Lease,
    Library,
    ServiceClient,
    Snapshot,
)
from tests import builders
from tests.credentials.admin.desk import borrow, imported, page, stock

pytestmark = pytest.mark.django_db


def test_a_capped_list_ends_at_its_reach(monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    stock(alice, count=4)
    monkeypatch.setattr("credentials.admin.paging.REACH", 3)

    pages = CappedPaginator(Lease.objects.order_by("created_at"), 2)

    assert (pages.count, pages.num_pages) == (3, 2)
    assert len(pages.page(2)) == 1


def test_a_short_list_is_counted_exactly(alice: User) -> None:
    stock(alice, count=4)

    assert CappedPaginator(Lease.objects.order_by("created_at"), 2).count == 4


def grow(owner: User, key: str) -> None:
    """27 more rows in every list."""
    for number in range(27):
        host = builders.host(f"host-{number}", provider="github", name=f"Host {number}")
        chosen = builders.credential(owner, host, token=f"ghp_{number:036}", account_name=f"more-{number}")
        builders.client(f"client-{number}")
        borrow(key, chosen)
        imported(owner, name=f"Cases {number}")


@pytest.mark.parametrize("query", ["", "?q=alice"])
def test_every_list_asks_as_many_queries_for_thirty_rows_as_for_three(
    desk: Client, alice: User, query: str
) -> None:
    made = stock(alice, count=3)
    models: list[type[Model]] = [
        *(Host, Credential, ServiceClient, Lease, AuditEvent, User, Library, Snapshot, Import)
    ]
    for model in models:
        _queries(desk, model, query)  # what a process asks only once
    before = {model: _queries(desk, model, query) for model in models}

    grow(alice, made.key)

    assert {model: _queries(desk, model, query) for model in models} == before


def _queries(desk: Client, model: type[Model], query: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        answer: Any = desk.get(page(model, "changelist") + query)
    assert answer.status_code == 200
    return len(asked)
