"""What the pages show of credentials and hosts, as plain facts; nothing here reads the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.text import capfirst

from credentials.models import Credential, Host, Status
from credentials.models.credential import ended, is_near
from credentials.providers.base import Provider
from credentials.providers.tokens import Kind
from credentials.services import calendar, hosts
from credentials.services.calendar import End
from credentials.verdicts import Severity, Text, Verdict, VerdictCode
from credentials.verdicts.wording import verdict as verdict_of
from credentials.web import board, words
from credentials.web.board import OrganizationRow
from credentials.web.verdicts import ShownVerdict, shown
from credentials.web.words import Badge, ScopeWord

# What ends later than this is on the page of ends only.
_WORTH_A_WORD = timedelta(days=90)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownEnd:
    """One end of a credential, with how far away it is."""

    end: End
    countdown: str
    is_near: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialCard:
    """Everything a page says about one credential.

    ``scopes`` is None while the host does not tell them. ``expires_at`` is None where the credential
    has no date, or ``is_renewed`` by itself. ``shown`` explains a status that is not simply well.
    """

    credential: Credential
    title: str
    kind: Text
    status: str
    badge: Badge
    shown: ShownVerdict | None
    verdict_tone: str
    needs_mending: bool
    scopes: tuple[ScopeWord, ...] | None
    missing_scopes: tuple[ScopeWord, ...]
    organizations: tuple[OrganizationRow, ...]
    last_used_at: datetime | None
    expires_at: datetime | None
    is_over: bool
    is_renewed: bool
    ends: tuple[ShownEnd, ...]
    can_reconnect: bool
    can_replace: bool
    can_test: bool
    can_check: bool
    organizations_url: str

    @property
    def next_end(self) -> ShownEnd | None:
        """The next end that has a date, if it is near enough to be worth a word."""
        return next((one for one in self.ends if one.end.at and one.is_near), None)

    @property
    def strangers(self) -> tuple[OrganizationRow, ...]:
        """The organizations whose repositories are nobody's question here: the account is no member."""
        return tuple(row for row in self.organizations if not row.is_member)


@dataclass(frozen=True, kw_only=True, slots=True)
class HostCard:
    """One host with what is connected there."""

    host: Host
    provider_title: str
    credentials: tuple[CredentialCard, ...]


def host_cards(
    open_hosts: Sequence[Host], credentials: Iterable[Credential], *, now: datetime
) -> tuple[HostCard, ...]:
    """A card for every open host, and for every other host at which something is connected."""
    by_host: dict[object, list[Credential]] = {}
    known = {host.pk: host for host in open_hosts}
    for credential in credentials:
        by_host.setdefault(credential.host_id, []).append(credential)
        known.setdefault(credential.host_id, credential.host)
    return tuple(
        _host_card(host, by_host.get(key, []), now=now)
        for key, host in sorted(known.items(), key=lambda item: item[1].name.lower())
    )


def _host_card(host: Host, credentials: list[Credential], *, now: datetime) -> HostCard:
    provider = hosts.provider_of(host)
    return HostCard(
        host=host,
        provider_title=provider.title,
        credentials=tuple(credential_card(one, now=now, provider=provider) for one in credentials),
    )


def credential_card(
    credential: Credential,
    *,
    now: datetime,
    provider: Provider | None = None,
    page: str = "",
    is_crowded: bool = False,
) -> CredentialCard:
    """The card of one credential that came from :func:`credentials.web.queries.own_credentials`.

    ``page`` is its own page's address, where the card is shown there. ``is_crowded``: the next authorization
    of its account ends it (services/calendar).
    """
    provider = provider or hosts.provider_of(credential.host)
    kind = Kind(credential.kind)
    status = _shown_status(credential, now=now)
    is_open = credential.host.is_enabled
    # Only an administrator puts back what is quarantined; the owner may still disconnect it.
    is_usable = is_open and credential.status != Status.QUARANTINED
    by_oauth = kind is Kind.OAUTH and credential.host.offers_oauth
    is_renewed = credential.is_renewable
    ends = None if is_renewed else credential.expires_at
    badge = words.status_badge(status)
    verdict = _explained(credential, status, provider)
    return CredentialCard(
        credential=credential,
        title=_title(credential, provider),
        kind=provider.login_title(kind),
        status=status,
        badge=badge,
        shown=shown(verdict, here=page, anchor="ways") if verdict else None,
        verdict_tone=_tone(badge, verdict),
        needs_mending=verdict is not None and verdict.severity is Severity.ACTION,
        scopes=None if credential.scopes is None else words.scope_words(provider, tuple(credential.scopes)),
        missing_scopes=words.scope_words(provider, tuple(credential.missing_scopes)),
        organizations=board.rows(credential, provider),
        last_used_at=getattr(credential, "last_used_at", None),
        expires_at=ends,
        is_over=ends is not None and ends <= now,
        is_renewed=is_renewed,
        ends=_ends(credential, now=now, is_crowded=is_crowded),
        can_reconnect=by_oauth and is_usable,
        can_replace=is_usable and not by_oauth,
        can_test=is_usable,
        can_check=is_open and credential.is_lendable,
        organizations_url=_organizations_url(credential, provider),
    )


def _ends(credential: Credential, *, now: datetime, is_crowded: bool) -> tuple[ShownEnd, ...]:
    """Its ends, where the row brought along what tells them."""
    if not hasattr(credential, "is_paired"):
        return ()
    found = calendar.ends_of(credential, now=now, is_crowded=is_crowded)
    return tuple(shown_end(end, now=now) for end in found)


def shown_end(end: End, *, now: datetime) -> ShownEnd:
    """An end as the pages show it."""
    return ShownEnd(
        end=end,
        countdown=words.countdown(end.at, now) if end.at else "",
        is_near=end.at is not None and end.at - now <= _WORTH_A_WORD,
    )


def title_of(credential: Credential) -> str:
    """What a credential is called where only its name is shown."""
    return _title(credential, hosts.provider_of(credential.host))


def _title(credential: Credential, provider: Provider) -> str:
    known = credential.label or credential.account_name or _account(credential)
    return known or capfirst(str(provider.login_title(Kind(credential.kind))))


def _tone(badge: Badge, verdict: Verdict | None) -> str:
    if verdict is None or badge.tone == "bad":
        return badge.tone
    return words.severity_badge(verdict.severity).tone


def _account(credential: Credential) -> str:
    return f"#{credential.account_id}" if credential.account_id else ""


def _shown_status(credential: Credential, *, now: datetime) -> str:
    """The stored status, unless time alone has changed it since."""
    ends = None if credential.is_renewable else credential.expires_at
    if ends is None or not credential.is_lendable:
        return credential.status
    if ends <= now:
        return ended(credential.kind)[0]
    if credential.status == Status.VALID and is_near(credential.kind, ends, now=now):
        return Status.EXPIRING
    return credential.status


def _explained(credential: Credential, status: str, provider: Provider) -> Verdict | None:
    code = credential.status_detail or _REASON.get(status, "")
    if code not in _CODES or code == VerdictCode.OK:
        return None
    guide = provider.guide()
    return verdict_of(
        VerdictCode(code),
        links={"token": guide.create_url, "manage": guide.manage_url},
        variants=(f"{provider.name}:{credential.kind}", provider.name, credential.kind),
        offers_oauth=credential.host.offers_oauth,
        values={
            "host": credential.host.name,
            "provider": provider.title,
            "account": credential.account_name or _account(credential),
            "kind": provider.login_title(Kind(credential.kind)),
            "scopes": ", ".join(credential.missing_scopes),
        },
        host=credential.host.slug,
        credential=str(credential.pk),
    )


_CODES = frozenset(code.value for code in VerdictCode)

_REASON: Mapping[str, VerdictCode] = {
    Status.EXPIRED: VerdictCode.TOKEN_EXPIRED,
    Status.REJECTED: VerdictCode.TOKEN_REJECTED,
    Status.RECONNECT_REQUIRED: VerdictCode.RECONNECT_REQUIRED,
    Status.LIMITED: VerdictCode.SCOPE_MISSING,
}


def _organizations_url(credential: Credential, provider: Provider) -> str:
    if credential.kind == Kind.OAUTH:
        return provider.organizations_url()
    return provider.guide().manage_url
