"""Lists in pages."""

from __future__ import annotations

import pytest

from project.sandbox.hosts.listing import address, link_header, page_of
from tests.project.sandbox.test_wire import request

ITEMS = list(range(1, 8))


def test_a_page_in_the_middle_links_to_all_its_neighbors_and_keeps_the_query() -> None:
    asked = request("/list?per_page=3&page=2&sort=name")
    page = page_of(ITEMS, asked, size_name="per_page", usual=30, most=100)
    assert page.items == (4, 5, 6)
    ((name, links),) = link_header(page, asked, "http://h")
    assert name == "Link"
    for relation, number in (("next", 3), ("last", 3), ("first", 1), ("prev", 1)):
        assert f'<http://h/list?per_page=3&page={number}&sort=name>; rel="{relation}"' in links


def test_a_single_page_has_no_links() -> None:
    asked = request("/list")
    assert (
        link_header(page_of(ITEMS, asked, size_name="per_page", usual=30, most=100), asked, "http://h") == ()
    )


def test_a_page_after_the_last_is_empty() -> None:
    page = page_of(ITEMS, request("/list?page=9"), size_name="per_page", usual=30, most=100)
    assert page.items == ()


@pytest.mark.parametrize(("query", "size"), [("limit=500", 50), ("limit=0", 1), ("limit=x", 30), ("", 30)])
def test_the_size_stays_between_one_and_the_most(query: str, size: int) -> None:
    assert page_of(ITEMS, request(f"/list?{query}"), size_name="limit", usual=30, most=50).size == size


def test_an_empty_list_has_one_page() -> None:
    assert page_of([], request("/list"), size_name="limit", usual=30, most=50).last == 1


def test_an_address_replaces_what_changes() -> None:
    assert address(request("/list?a=1&page=1"), "http://h", page=2) == "http://h/list?a=1&page=2"
