"""Providers' JSON, read without trust."""

from __future__ import annotations

import pytest

from credentials.providers.reading import identifier, lifetime, member, objects, scopes, text


def test_a_path_through_objects_ends_where_one_is_none() -> None:
    value = {"a": {"b": {"c": 1}}}
    assert member(value, "a", "b", "c") == 1
    for path in (("a", "x", "c"), ("a", "b", "c", "d"), ("x",)):
        assert member(value, *path) is None
    assert member([value], "a") is None


@pytest.mark.parametrize("value", [None, 7, True, [], {}, "x" * 256, "a\nb", "a\x00b", "\ud800", "a\u202eb"])
def test_what_is_no_short_printable_text_is_empty(value: object) -> None:
    assert text({"name": value}, "name") == ""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (4711, "4711"),
        ("{0b1c}", "{0b1c}"),
        ("557058:086399a2", "557058:086399a2"),
        (0, ""),
        (-1, ""),
        (True, ""),
        (1.5, ""),
        (1 << 63, ""),
        ("a b", ""),
        ("", ""),
        ([1], ""),
    ],
)
def test_an_identifier_is_a_number_or_a_word(value: object, found: str) -> None:
    assert identifier({"id": value}, "id") == found


def test_only_the_objects_of_a_list_are_kept() -> None:
    assert objects([{"a": 1}, 7, None, [], {"b": 2}]) == [{"a": 1}, {"b": 2}]
    assert objects({"a": 1}) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("repo, read:org", ("repo", "read:org")),
        ("  ", ()),
        (["repo", 7, "x y", "tö", "repo"], ("repo",)),
        ("a" * 101, ()),
        (None, None),
        (7, None),
        ({}, None),
    ],
)
def test_scope_names_are_read_from_text_and_lists(value: object, found: tuple[str, ...] | None) -> None:
    assert scopes(value) == found


@pytest.mark.parametrize(
    ("value", "found"), [(7200, 7200), ("7200", 7200), (0, None), (False, None), ("7e3", None)]
)
def test_a_lifetime_is_a_positive_number_of_seconds(value: object, found: int | None) -> None:
    assert lifetime(value) == found
