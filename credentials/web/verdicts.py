"""How the pages show a verdict: its badge, its steps with where they lead, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from credentials import pages
from credentials.verdicts import Action, Step, Text, Verdict
from credentials.web.words import CHECKED, WHO_CAN_FIX, Badge, severity_badge


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownStep:
    """One step. ``address`` is empty where it leads nowhere; ``is_post`` where a button has to go there.

    Of all steps the first that leads somewhere is the main one; ``button`` is what its button says.
    """

    text: Text
    address: str = ""
    button: Text = ""
    is_main: bool = False
    is_post: bool = False

    @property
    def is_away(self) -> bool:
        """Whether it leads to another site."""
        return not self.address.startswith(("/", "#"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCheck:
    """One thing that was looked at, in the reader's words."""

    step: Text
    result: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVerdict:
    """Everything a page says about a verdict."""

    verdict: Verdict
    badge: Badge
    who_can_fix: Text
    steps: tuple[ShownStep, ...]
    checks: tuple[ShownCheck, ...]

    @property
    def main(self) -> ShownStep | None:
        """The step the page's primary button is for, if any step leads somewhere."""
        return next((step for step in self.steps if step.is_main), None)


_BUTTONS: Mapping[Action | None, Text] = {
    Action.CONNECT: _("Connect an account"),
    Action.RECONNECT: _("To this connection"),
    Action.REPLACE: _("Replace token"),
    Action.REQUEST_ACCESS: _("Request access"),
    None: _("Open the page"),
}


def shown(verdict: Verdict, *, here: str = "", anchor: str = "", request_url: str = "") -> ShownVerdict:
    """A verdict as a page shows it.

    ``here`` is the page's own address, to which no step leads, but to ``anchor`` on it where that is given.
    ``request_url`` is where a button asks an organization for access; without it the host's page is linked.
    """
    steps: list[ShownStep] = []
    for step in verdict.steps:
        made = _step(step, verdict, here=here, anchor=anchor, request_url=request_url)
        is_main = bool(made.address) and not any(one.is_main for one in steps)
        steps.append(
            ShownStep(
                text=made.text,
                address=made.address,
                button=_BUTTONS[step.action],
                is_main=is_main,
                is_post=made.is_post,
            )
        )
    return ShownVerdict(
        verdict=verdict,
        badge=severity_badge(verdict.severity),
        who_can_fix=WHO_CAN_FIX[verdict.who_can_fix],
        steps=tuple(steps),
        checks=tuple(
            ShownCheck(step=CHECKED.get(check.step, check.step), result=check.result, at=check.at)
            for check in verdict.checked
        ),
    )


def _step(step: Step, verdict: Verdict, *, here: str, anchor: str, request_url: str) -> ShownStep:
    if step.action is Action.REQUEST_ACCESS and request_url:
        return ShownStep(text=step.text, address=request_url, is_post=True)
    address = pages.address_of(step, verdict)
    if address == here:
        address = f"#{anchor}" if anchor else ""
    return ShownStep(text=step.text, address=address)
