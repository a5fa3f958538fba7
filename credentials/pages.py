"""Where the steps of a verdict lead: to a page at the host, or to one of this product's own."""

from __future__ import annotations

from django.urls import reverse

from credentials.verdicts import Action, Step, Verdict


def address_of(step: Step, verdict: Verdict) -> str:
    """The address behind a step; empty where it has none. Addresses of this product begin with a slash."""
    if step.url:
        return step.url
    match step.action:
        case Action.CONNECT:
            return reverse("connect", args=[verdict.host]) if verdict.host else reverse("connect_choose")
        case Action.REPLACE if verdict.credential:
            return reverse("credential_replace", args=[verdict.credential])
        case Action.RECONNECT | Action.REQUEST_ACCESS if verdict.credential:
            # Both begin with a button there: nothing is started by following a link.
            return reverse("credential", args=[verdict.credential])
    return ""
