"""The words and signs of the pages: what states look like, and what scopes mean to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import localdate
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from credentials.models import RevocationReason, Status
from credentials.models.organization import AccessState
from credentials.providers.base import Provider
from credentials.providers.facts import Revocation
from credentials.services.revocation.receipts import ByHand
from credentials.verdicts import Severity, Text, WhoCanFix


@dataclass(frozen=True, kw_only=True, slots=True)
class Badge:
    """A state as people see it: a word, an icon of the sprite, and a tone (a class of the style sheet).

    The tone never says anything that the word does not.
    """

    word: Text
    icon: str
    tone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeWord:
    """A scope in the provider's spelling, and what it lets us do in plain words (may be empty)."""

    scope: str
    reason: Text
    required: bool = True


_STATUS: Mapping[str, tuple[str, str]] = {
    Status.UNVERIFIED: ("clock", "wait"),
    Status.VALID: ("check", "ok"),
    Status.LIMITED: ("warning", "warn"),
    Status.EXPIRING: ("clock", "warn"),
    Status.EXPIRED: ("cross", "bad"),
    Status.REJECTED: ("cross", "bad"),
    Status.RECONNECT_REQUIRED: ("repeat", "bad"),
    Status.QUARANTINED: ("pause", "warn"),
    Status.DISCONNECTED: ("minus", "idle"),
}

_ACCESS: Mapping[str, tuple[str, str]] = {
    AccessState.ACCESSIBLE: ("check", "ok"),
    AccessState.NOT_APPROVED: ("warning", "warn"),
    AccessState.REQUESTED: ("clock", "wait"),
    AccessState.DENIED: ("cross", "bad"),
    AccessState.SSO_REQUIRED: ("key", "warn"),
    AccessState.POLICY_BLOCKED: ("cross", "bad"),
    AccessState.TOKEN_PENDING: ("clock", "wait"),
    AccessState.IP_BLOCKED: ("cross", "bad"),
    AccessState.NO_MEMBERSHIP: ("minus", "idle"),
    AccessState.UNKNOWN: ("question", "idle"),
}

_SEVERITY: Mapping[Severity, tuple[Text, str, str]] = {
    Severity.OK: (_("Nothing to do"), "check", "ok"),
    Severity.ACTION: (_("Something to do"), "warning", "warn"),
    Severity.WAIT: (_("Waiting"), "clock", "wait"),
    Severity.UNKNOWN: (_("Not known"), "question", "idle"),
}

WHO_CAN_FIX: Mapping[WhoCanFix, Text] = {
    WhoCanFix.USER: _("You can mend this yourself."),
    WhoCanFix.ORGANIZATION_OWNER: _("An owner of the organization has to act."),
    WhoCanFix.ADMINISTRATOR: _("An administrator of this product has to act."),
    WhoCanFix.NOBODY: _("Nobody has to act."),
}

# What was looked at, by the step's name in a verdict.
CHECKED: Mapping[str, Text] = {
    "credential": _("What is known of the connection"),
    "secret": _("The stored token"),
    "verify": _("The token"),
    "host": _("The host"),
    "api": _("The host's API"),
    "git": _("Git itself"),
    "organization": _("The organization"),
    "public": _("Without any token"),
}

RECEIPT: Mapping[Revocation, Text] = {
    Revocation.REVOKED: _(
        "The host was asked to revoke the token, and refuses it now. It opens nothing any more."
    ),
    Revocation.ALREADY_INVALID: _("The token was not valid any more; there was nothing left to revoke."),
    Revocation.MANUAL: _("The host could not be asked to revoke the token. Please do that yourself there."),
    Revocation.PENDING: _(
        "The host has not confirmed yet that the token is revoked. It is asked again until it does; you need "
        "not wait here."
    ),
}

# What its owner is told where a token is left to them.
BY_HAND: Mapping[ByHand, Text] = {
    ByHand.NOT_OFFERED: _("%(host)s has no call that revokes it. Please do that yourself there."),
    ByHand.NOT_ASKED: _("%(host)s could not be asked to revoke it. Please do that yourself there."),
    ByHand.NOT_CONFIRMED: _("%(host)s did not confirm it within a week. Please revoke it yourself there."),
    ByHand.NEWER_PAIR: _(
        "%(host)s revoked it, but may have renewed it just before, and the newer token is not known here. "
        "Please end it yourself there."
    ),
}

# Why a token is on its way out, where its owner is reminded of it.
LEAVING: Mapping[str, Text] = {
    RevocationReason.REPLACED: _("You replaced this token by another."),
    RevocationReason.DECLINED: _("You did not confirm this connection."),
    RevocationReason.LATE_REFRESH: _("The host renewed this token while you disconnected."),
    RevocationReason.OFFBOARDED: _("Your connections were ended."),
    RevocationReason.PANIC: _("An administrator ended all connections at this host."),
}


def status_badge(status: str) -> Badge:
    """A credential's status."""
    icon, tone = _STATUS[status]
    return Badge(word=Status(status).label, icon=icon, tone=tone)


def access_badge(state: str) -> Badge:
    """What an organization answers."""
    icon, tone = _ACCESS.get(state, ("question", "idle"))
    word = AccessState(state).label if state in AccessState.values else AccessState.UNKNOWN.label
    return Badge(word=word, icon=icon, tone=tone)


def severity_badge(severity: Severity) -> Badge:
    """How a verdict concerns its reader."""
    word, icon, tone = _SEVERITY[severity]
    return Badge(word=word, icon=icon, tone=tone)


def countdown(at: datetime, now: datetime) -> str:
    """How far away a day is, as people count: by dates."""
    days = (localdate(at) - localdate(now)).days
    if at <= now:
        return gettext("over")
    if days <= 0:
        return gettext("today")
    if days == 1:
        return gettext("tomorrow")
    return ngettext("in %(days)s day", "in %(days)s days", days) % {"days": days}


def scope_words(provider: Provider, scopes: tuple[str, ...]) -> tuple[ScopeWord, ...]:
    """Scopes with their meaning, in the order given."""
    needs = {need.scope: need for need in provider.guide().scopes}
    return tuple(
        ScopeWord(
            scope=scope,
            reason=needs[scope].reason if scope in needs else provider.other_scopes.get(scope, ""),
            required=needs[scope].required if scope in needs else True,
        )
        for scope in scopes
    )
