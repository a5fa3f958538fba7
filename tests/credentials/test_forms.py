from __future__ import annotations

from dataclasses import replace
from datetime import date

from django.http import QueryDict

from credentials.forms import LabelForm, TokenForm
from credentials.providers.facts import TokenGuide

GUIDE = TokenGuide(
    create_url="https://example.org",
    manage_url="https://example.org",
    kind_title="t",
    steps=(),
    scopes=(),
    checked_on="2026-11-23",
)
TODAY = date(2026, 11, 24)
TOKEN = "ghp_" + "k" * 36


def form(**fields: str) -> TokenForm:
    data = QueryDict(mutable=True)
    data.update(fields)
    return TokenForm(data, guide=GUIDE, today=TODAY)


def test_the_entry_hands_the_token_over_and_forgets_it() -> None:
    filled = form(token=TOKEN, label="at work")
    assert filled.is_valid()
    entry = filled.entry()
    assert entry.token.reveal() == TOKEN
    assert entry.label == "at work"
    assert "token" not in filled.cleaned_data


def test_no_way_of_showing_the_form_shows_the_token() -> None:
    filled = form(token=TOKEN, expires_at="never")
    assert not filled.is_valid()
    assert TOKEN not in str(filled)
    assert TOKEN not in repr(filled)
    assert TOKEN not in str(filled.errors)


def test_the_last_day_counts_from_its_beginning() -> None:
    filled = form(token=TOKEN, expires_at="2026-11-25")
    assert filled.is_valid()
    assert str(filled.entry().expires_at) == "2026-11-25 00:00:00+00:00"


def test_today_is_too_late() -> None:
    assert not form(token=TOKEN, expires_at="2026-11-24").is_valid()


def test_the_fields_follow_the_guide() -> None:
    assert list(form().fields) == ["token", "label", "expires_at"]
    guide = replace(GUIDE, fields=("token", "email", "username"))
    assert list(TokenForm(guide=guide, today=TODAY, with_label=False).fields) == [
        "token",
        "email",
        "username",
        "expires_at",
    ]


def test_a_label_may_be_empty_and_has_at_most_100_characters() -> None:
    assert LabelForm({"label": ""}).is_valid()
    assert LabelForm({"label": "x" * 100}).is_valid()
    assert not LabelForm({"label": "x" * 101}).is_valid()
