"""Where a step of a verdict leads."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import resolve

from credentials import pages
from credentials.verdicts import Action, Step, Verdict, VerdictCode
from credentials.verdicts.wording import verdict

CREDENTIAL = str(uuid4())
FULL = verdict(VerdictCode.UNKNOWN, host="github", credential=CREDENTIAL)
EMPTY = verdict(VerdictCode.UNKNOWN)


def leads(action: Action | None, to: Verdict = FULL, *, url: str = "") -> str:
    return pages.address_of(Step(text="Do it.", url=url, action=action), to)


@pytest.mark.parametrize("action", [None, *Action])
def test_a_page_at_the_host_goes_before_one_of_ours(action: Action | None) -> None:
    assert leads(action, url="https://github.com/settings/tokens") == "https://github.com/settings/tokens"


@pytest.mark.parametrize(
    ("action", "view", "arguments"),
    [
        (Action.CONNECT, "connect", {"slug": "github"}),
        (Action.REPLACE, "credential_replace", {"pk": CREDENTIAL}),
        (Action.RECONNECT, "credential", {"pk": CREDENTIAL}),
        (Action.REQUEST_ACCESS, "credential", {"pk": CREDENTIAL}),
    ],
)
def test_every_action_has_its_page(action: Action, view: str, arguments: dict[str, str]) -> None:
    found = resolve(leads(action))
    assert found.view_name == view
    assert [str(value) for value in found.kwargs.values()] == list(arguments.values())


def test_without_a_host_the_host_is_chosen_first() -> None:
    assert resolve(leads(Action.CONNECT, EMPTY)).view_name == "connect_choose"


@pytest.mark.parametrize("action", [None, *(one for one in Action if one is not Action.CONNECT)])
def test_a_step_that_lacks_its_credential_leads_nowhere(action: Action | None) -> None:
    assert leads(action, EMPTY) == ""
