"""Changes to switches: strict about names and types, whether they come from JSON or from a form."""

from __future__ import annotations

import pytest

from project.sandbox.seed import Organization
from project.sandbox.state import Settings
from project.sandbox.switches import changed

ACME = Organization(name="acme", title="Acme", members={"octo-alice": "admin"})


@pytest.mark.parametrize("value", [True, "true", "yes", "on"])
def test_a_switch_is_turned_by_json_and_by_a_form(value: object) -> None:
    assert changed(ACME, {"sso": value}, ("sso",)).sso is True


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"name": "other"}, "name"),
        ({"sso": "maybe"}, "sso"),
        ({"fine_grained_max_days": "many"}, "fine_grained_max_days"),
        ({"fine_grained_max_days": True}, "fine_grained_max_days"),
        ({"request": "perhaps"}, "request"),
        ({"members": {"octo-bob": "king"}}, "members"),
        ({"members": "octo-bob"}, "members"),
    ],
)
def test_an_unknown_name_or_a_wrong_value_is_refused_and_named(changes: dict[str, object], name: str) -> None:
    allowed = ("sso", "fine_grained_max_days", "request", "members")
    with pytest.raises(ValueError, match=f"^{name}:"):
        changed(ACME, changes, allowed)


def test_members_are_added_and_the_others_stay() -> None:
    new = changed(ACME, {"members": {"octo-bob": "pending"}}, ("members",))
    assert new.members == {"octo-alice": "admin", "octo-bob": "pending"}
    assert ACME.members == {"octo-alice": "admin"}


def test_a_list_comes_as_json_or_as_words() -> None:
    for value in (["http://a", "http://b"], "http://a http://b"):
        assert changed(Settings(), {"redirect_bases": value}, ("redirect_bases",)).redirect_bases == (
            "http://a",
            "http://b",
        )


def test_a_number_comes_as_json_or_as_digits() -> None:
    for value in (7, "7"):
        assert (
            changed(Settings(), {"ban_after_failures": value}, ("ban_after_failures",)).ban_after_failures
            == 7
        )
