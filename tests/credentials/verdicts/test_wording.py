"""Filling the words of a verdict: names, pages, the most fitting variant, and blanks for what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import translation

from credentials.verdicts import Check, VerdictCode
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.variants import MESSAGES, VARIANTS
from credentials.verdicts.wording import verdict

MISSING = VerdictCode.SCOPE_MISSING
PENDING = VerdictCode.TOKEN_PENDING


def test_names_and_pages_are_filled_in() -> None:
    said = verdict(
        MISSING, values={"provider": "GitLab", "scopes": "read_api"}, links={"token": "https://x/new"}
    )
    assert said.summary == ("GitLab knows the token, but it lacks a right that an import needs: read_api.")
    assert (said.steps[0].text, said.steps[0].url) == (
        "Create a token that has this right: read_api.",
        "https://x/new",
    )
    assert (said.steps[1].url, said.steps[1].action) == ("", CATALOG[MISSING].steps[1].action)


@pytest.mark.parametrize("code", VerdictCode)
def test_what_nobody_knows_stays_a_blank_and_breaks_nothing(code: VerdictCode) -> None:
    said = verdict(code)
    for text in (said.title, said.summary, *(step.text for step in said.steps)):
        assert text
        assert "%(" not in str(text)
    assert said.message_to_owner == "", "a message full of blanks helps nobody"
    assert said.help_topic == code.value.replace("_", "-")


def test_a_percent_sign_in_a_name_is_only_a_character() -> None:
    said = verdict(PENDING, values={"organization": "100%(x)s%d"})
    assert "100%(x)s%d" in str(said.summary)


def test_of_several_variants_the_first_that_exists_speaks() -> None:
    fine, oauth = "github:fine_grained_token", "oauth"
    assert (MISSING, fine) in VARIANTS
    assert (MISSING, oauth) in VARIANTS

    assert verdict(MISSING, variants=(fine, oauth)).summary == VARIANTS[MISSING, fine].summary
    first = verdict(MISSING, variants=("gitea:none", oauth, fine))
    assert str(first.steps[0].text).startswith("Reconnect")
    assert first.summary == verdict(MISSING).summary, "what a variant leaves out is the entry's own"
    assert verdict(MISSING, variants=("gitea",)) == verdict(MISSING)


def test_a_step_to_a_button_that_is_not_there_is_left_out() -> None:
    variants = ("github:personal_token",)
    with_button = verdict(VerdictCode.ORGANIZATION_POLICY, variants=variants)
    without = verdict(VerdictCode.ORGANIZATION_POLICY, variants=variants, offers_oauth=False)
    assert [step.text for step in with_button.steps][1:] == [step.text for step in without.steps]


@pytest.mark.parametrize("code", MESSAGES)
def test_a_message_to_an_owner_is_filled_in(code: VerdictCode) -> None:
    message = str(verdict(code, values={"person": "Alice Example", "organization": "acme"}).message_to_owner)
    assert "Alice Example" in message
    assert "acme" in message
    assert "%(" not in message


def test_the_words_are_those_of_the_language_that_is_active() -> None:
    with translation.override("zh-hans"):
        chinese = verdict(VerdictCode.UNKNOWN)
    assert chinese.title != verdict(VerdictCode.UNKNOWN).title
    assert isinstance(chinese.title, str), "it must not change with a later reader's language"


def test_where_and_what_was_looked_at_is_told_with_it() -> None:
    looked = Check(step="api", result="200", at=datetime(2026, 11, 24, tzinfo=UTC))
    said = verdict(VerdictCode.OK, checked=(looked,), host="github", organization="acme", credential="c")
    assert (said.checked, said.host, said.organization, said.credential) == ((looked,), "github", "acme", "c")
    assert said.with_checked(looked).checked == (looked, looked)
    assert said.ok
    assert not verdict(VerdictCode.UNKNOWN).ok
