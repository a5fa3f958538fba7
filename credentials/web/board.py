"""What the pages show of the organization board; nothing here reads the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from credentials.models import AccessState, AuditEvent, Credential, OrganizationAccess
from credentials.providers.base import Provider
from credentials.providers.facts import OrganizationLinks
from credentials.providers.tokens import Kind
from credentials.services.explain import explain_access
from credentials.verdicts import Text
from credentials.web import words
from credentials.web.verdicts import ShownVerdict, shown
from credentials.web.words import Badge


@dataclass(frozen=True, kw_only=True, slots=True)
class Mending:
    """The one button beside an organization: a page at the host, or (``is_post``) something done here."""

    text: Text
    address: str
    is_post: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of the past: when, from which badge to which, and by whom where a person said it."""

    event: AuditEvent
    before: Badge | None
    after: Badge
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OrganizationRow:
    """One organization: its state, the button that mends it, and, on the page of the credential, everything
    that is known of it. ``denied_url`` is where a person says that a request was denied."""

    access: OrganizationAccess
    name: str
    badge: Badge
    mending: Mending | None
    denied_url: str = ""
    advice: ShownVerdict | None = None
    changes: tuple[Change, ...] = ()

    @property
    def is_member(self) -> bool:
        return self.access.state != AccessState.NO_MEMBERSHIP

    @property
    def message_id(self) -> str:
        """The id of the field that holds the message to an owner."""
        return f"message-{self.access.organization_id}"

    @property
    def has_button(self) -> bool:
        """A row without one is a single line."""
        return bool(self.mending or self.denied_url)


def rows(credential: Credential, provider: Provider) -> tuple[OrganizationRow, ...]:
    """The board in short: those that need somebody first, then by name."""
    found = [_row(access, provider) for access in credential.organizations.all()]
    return tuple(
        sorted(found, key=lambda row: (_ORDER.get(row.access.state, 1), row.access.organization.key))
    )


# What lets in comes last; what a person can do something about, first.
_ORDER: Mapping[str, int] = {AccessState.ACCESSIBLE: 2, AccessState.UNKNOWN: 2, AccessState.NO_MEMBERSHIP: 3}


def explained(
    short: Sequence[OrganizationRow],
    provider: Provider,
    *,
    changes: Mapping[str, Sequence[AuditEvent]],
    here: str,
) -> tuple[OrganizationRow, ...]:
    """The board in full, for the page of one credential at ``here``."""
    return tuple(
        replace(
            row,
            advice=_advice(row, provider, here=here),
            changes=tuple(map(_change, changes.get(row.access.organization.key, ()))),
        )
        for row in short
    )


def _advice(row: OrganizationRow, provider: Provider, *, here: str) -> ShownVerdict | None:
    verdict = explain_access(row.access, provider=provider, user=row.access.credential.owner)
    if verdict is None:
        return None
    return shown(verdict, here=here, anchor="ways", request_url=request_address(row.access))


def _change(event: AuditEvent) -> Change:
    before = str(event.data.get("status_before", ""))
    return Change(
        event=event,
        before=words.access_badge(before) if before else None,
        after=words.access_badge(str(event.data.get("status", ""))),
        by=event.actor_name if event.actor_kind == "user" else "",
    )


def _row(access: OrganizationAccess, provider: Provider) -> OrganizationRow:
    requested = access.state == AccessState.REQUESTED
    return OrganizationRow(
        access=access,
        name=access.organization.name,
        badge=words.access_badge(access.state),
        mending=_mending(access, provider),
        denied_url=_address("organization_denied", access) if requested else "",
    )


def request_target(access: OrganizationAccess, provider: Provider) -> str:
    """The host's page on which a member asks for approval; empty where it has none."""
    return _own(access, provider, _links(access, provider).request or access.mend_url)


def request_address(access: OrganizationAccess) -> str:
    """Where the button goes that asks for approval."""
    return _address("organization_request", access)


def _address(name: str, access: OrganizationAccess) -> str:
    return reverse(name, args=[access.credential_id, access.organization_id])


def _links(access: OrganizationAccess, provider: Provider) -> OrganizationLinks:
    credential = access.credential
    return provider.organization_links(
        access.organization.key,
        kind=Kind(credential.kind),
        client_id=credential.oauth_client_id or credential.host.client_id,
    )


def _own(access: OrganizationAccess, provider: Provider, url: str) -> str:
    """People are sent only where the host itself vouches for."""
    return provider.own_url(url) if url else ""


def _mending(access: OrganizationAccess, provider: Provider) -> Mending | None:
    make = _MENDING.get(access.state)
    made = make(access, provider) if make else None
    return made if made and made.address else None


def _request(access: OrganizationAccess, provider: Provider) -> Mending:
    again = access.state == AccessState.DENIED
    return Mending(
        text=_("Request again") if again else _("Request access"),
        address=request_address(access) if request_target(access, provider) else "",
        is_post=True,
    )


def _see_request(access: OrganizationAccess, provider: Provider) -> Mending:
    return Mending(text=_("See the request"), address=request_target(access, provider))


def _sign_on(access: OrganizationAccess, provider: Provider) -> Mending:
    # What an answer carried concerns this very token; it is spent after an hour, and then the next one comes.
    url = access.mend_url or _links(access, provider).sso
    return Mending(text=_("Authorize single sign-on"), address=_own(access, provider, url))


def _see_there(access: OrganizationAccess, provider: Provider) -> Mending:
    return Mending(text=_("See it there"), address=_own(access, provider, access.mend_url))


def _check(access: OrganizationAccess, provider: Provider) -> Mending:
    usable = access.credential.is_lendable and access.credential.host.is_enabled
    address = reverse("organizations_refresh", args=[access.credential_id]) if usable else ""
    return Mending(text=_("Check now"), address=address, is_post=True)


_MENDING: Mapping[str, Callable[[OrganizationAccess, Provider], Mending]] = {
    AccessState.NOT_APPROVED: _request,
    AccessState.DENIED: _request,
    AccessState.REQUESTED: _see_request,
    AccessState.SSO_REQUIRED: _sign_on,
    AccessState.TOKEN_PENDING: _see_there,
    AccessState.POLICY_BLOCKED: _see_there,
    AccessState.IP_BLOCKED: _see_there,
    AccessState.UNKNOWN: _check,
}
