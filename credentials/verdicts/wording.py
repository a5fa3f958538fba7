"""Fills the words of a verdict with the names and addresses of one case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from credentials.verdicts import Check, Step, Verdict, VerdictCode
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.variants import MESSAGES, VARIANTS, Variant


class _Blank(dict[str, object]):
    """Leaves a blank for every name a text mentions and the case does not know."""

    def __missing__(self, key: str) -> str:
        return "?"


def verdict(
    code: VerdictCode,
    *,
    values: Mapping[str, object] | None = None,
    links: Mapping[str, str] | None = None,
    variants: Sequence[str] = (),
    offers_oauth: bool = True,
    checked: tuple[Check, ...] = (),
    host: str = "",
    organization: str = "",
    credential: str = "",
) -> Verdict:
    """Fill the catalog entry of ``code`` for one case.

    ``values`` are the names the texts mention (``host``, ``account``, ``organization``, ``kind``,
    ``scopes``, ``provider``, …), ``links`` the addresses behind the steps, ``variants`` the names under
    which the case may have words of its own, the most fitting first.
    The texts are translated at this moment, into the language that is active.
    """
    entry = CATALOG[code]
    own = next((VARIANTS[code, name] for name in variants if (code, name) in VARIANTS), Variant())
    known = _Blank(values or {})
    steps = entry.steps if own.steps is None else own.steps
    message = str(MESSAGES[code]) % known if code in MESSAGES and values else ""
    return Verdict(
        code=code,
        severity=entry.severity,
        who_can_fix=own.who_can_fix or entry.who_can_fix,
        title=str(entry.title if own.title is None else own.title) % known,
        summary=str(entry.summary if own.summary is None else own.summary) % known,
        steps=tuple(
            Step(text=str(step.text) % known, url=(links or {}).get(step.link, ""), action=step.action)
            for step in steps
            if offers_oauth or not step.needs_oauth
        ),
        checked=checked,
        host=host,
        organization=organization,
        credential=credential,
        message_to_owner=message,
        offer_zip=entry.offer_zip,
        help_topic=str(code).replace("_", "-"),
    )
