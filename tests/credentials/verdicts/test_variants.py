"""What a verdict says differently: under names that can come up, in words that can be filled in."""

from __future__ import annotations

import pytest

from credentials.providers import registry
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode, WhoCanFix
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.variants import MESSAGES, QUARANTINED, VARIANTS
from tests.credentials.verdicts.texts import NAMES, links_explained, names_in


def names_that_can_come_up() -> set[str]:
    kinds = {(name, kind.value) for name in registry.names() for kind in registry.get(name).kinds}
    pairs = {f"{name}:{kind}" for name, kind in kinds}
    return pairs | {kind for _name, kind in kinds} | set(registry.names()) | {"repository", QUARANTINED}


@pytest.mark.parametrize(("code", "name"), VARIANTS)
def test_a_variant_is_named_as_a_case_can_be(code: VerdictCode, name: str) -> None:
    assert name in names_that_can_come_up()


def test_no_kind_has_the_name_of_a_provider() -> None:
    assert not {kind.value for kind in Kind} & {*registry.names(), "repository", QUARANTINED}


@pytest.mark.parametrize("key", VARIANTS)
def test_a_variant_says_something_that_can_be_filled_in(key: tuple[VerdictCode, str]) -> None:
    own, entry = VARIANTS[key], CATALOG[key[0]]
    steps = own.steps or ()
    assert own.summary is not None or own.steps is not None
    assert (own.summary, own.steps) != (entry.summary, entry.steps)
    for text in (own.summary or "", *(step.text for step in steps)):
        assert names_in(text) <= NAMES
    assert {step.link for step in steps} <= links_explained() | {""}


def test_only_what_an_owner_can_lift_has_a_message_to_an_owner() -> None:
    by_owners = {code for code, entry in CATALOG.items() if entry.who_can_fix is WhoCanFix.ORGANIZATION_OWNER}
    # Who was denied has to talk: a message that asks again would not move anybody.
    assert set(MESSAGES) == by_owners - {VerdictCode.ORGANIZATION_DENIED}


@pytest.mark.parametrize("code", MESSAGES)
def test_a_message_says_who_asks_for_what_and_mentions_only_names_that_are_given(code: VerdictCode) -> None:
    named = names_in(MESSAGES[code])
    assert {"person", "account", "host", "organization", "product"} <= named <= NAMES
