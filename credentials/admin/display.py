"""How the admin shows states, times and lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from credentials.models import Outcome, Revocation, RevocationState, Status
from credentials.models.organization import AccessState
from credentials.verdicts import Text

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

EMPTY = "-"

# A tone is a class of admin.css. It repeats what the word says and never replaces it.
_STATUS: Mapping[str, str] = {
    Status.UNVERIFIED: "wait",
    Status.VALID: "ok",
    Status.LIMITED: "warn",
    Status.EXPIRING: "warn",
    Status.EXPIRED: "bad",
    Status.REJECTED: "bad",
    Status.RECONNECT_REQUIRED: "bad",
    Status.QUARANTINED: "warn",
    Status.DISCONNECTED: "idle",
}
_ACCESS: Mapping[str, str] = {
    AccessState.ACCESSIBLE: "ok",
    AccessState.NOT_APPROVED: "warn",
    AccessState.REQUESTED: "wait",
    AccessState.DENIED: "bad",
    AccessState.SSO_REQUIRED: "warn",
    AccessState.POLICY_BLOCKED: "bad",
    AccessState.TOKEN_PENDING: "wait",
    AccessState.IP_BLOCKED: "bad",
}
_REVOCATION: Mapping[str, str] = {
    RevocationState.PENDING: "wait",
    RevocationState.REVOKED: "ok",
    RevocationState.ALREADY_INVALID: "ok",
    RevocationState.MANUAL: "warn",
}
_OUTCOME: Mapping[str, str] = {Outcome.ACCEPTED: "ok", Outcome.REJECTED: "bad"}


def badge(word: Text, tone: str) -> SafeString:
    """A state as a word on a colored ground; ``tone`` is ok, warn, bad, wait or idle."""
    return format_html('<span class="badge badge-{}">{}</span>', tone, word)


def status_badge(status: str) -> SafeString:
    """A credential's status."""
    return badge(Status(status).label, _STATUS[status])


def access_badge(state: str) -> SafeString:
    """What an organization answers; a state of a newer release reads as not known."""
    known = AccessState(state) if state in AccessState.values else AccessState.UNKNOWN
    return badge(known.label, _ACCESS.get(known, "idle"))


def revocation_badge(revocation: Revocation) -> SafeString:
    """What became of a token that is to die at its host."""
    if revocation.state == RevocationState.MANUAL and revocation.acknowledged_at:
        return badge(_("done by hand"), "ok")
    return badge(RevocationState(revocation.state).label, _REVOCATION[revocation.state])


def outcome_badge(outcome: str) -> SafeString:
    """What a borrower reported."""
    return badge(Outcome(outcome).label, _OUTCOME.get(outcome, "idle"))


def moment(when: datetime | None) -> str:
    """A time to the second, with its zone, sortable by eye and the same in every language."""
    if when is None:
        return EMPTY
    here = localtime(when)
    return format_html(
        '<time datetime="{}">{}</time>', here.isoformat(), here.strftime("%Y-%m-%d %H:%M:%S %Z")
    )


def page_link(url: str) -> str:
    """A host's page as a link; nothing but web addresses becomes one."""
    if not url.startswith(("https://", "http://")):
        return EMPTY
    return format_html('<a href="{0}" rel="noreferrer noopener">{0}</a>', url)


def kept(field: str, title: _StrPromise) -> Callable[[Any, Any], str]:
    """A field to look at, with a title that can be translated, where the model gives it none."""

    @admin.display(description=title)
    def shown(_admin: Any, row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY
        return moment(value) if isinstance(value, datetime) else str(value) or EMPTY

    return shown


def listing(values: Iterable[object] | None, *, nothing: Text = "", unknown: Text = "") -> SafeString | str:
    """Values as a list; ``nothing`` stands for an empty one, ``unknown`` for one nobody told us."""
    if values is None:
        return str(unknown or _("not known"))
    items = list(values)
    if not items:
        return str(nothing or EMPTY)
    return format_html(
        '<ul class="plain">{}</ul>', format_html_join("", "<li>{}</li>", ((i,) for i in items))
    )


def pairs(data: Mapping[str, Any]) -> SafeString | str:
    """Named values as a list, one a line."""
    if not data:
        return EMPTY
    lines = ((name.replace("_", " "), _flat(value)) for name, value in sorted(data.items()))
    return format_html(
        '<ul class="plain">{}</ul>', format_html_join("", "<li><strong>{}</strong>: {}</li>", lines)
    )


def _flat(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
