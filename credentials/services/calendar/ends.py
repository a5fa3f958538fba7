"""What ends when: the dates that hosts tell or people typed in, and the silent ends that hosts only document.

The rules themselves are facts of each provider (providers/lifetimes.py); here they meet what is known of a
credential. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import (
    Count,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
)
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.models import Credential, Lease, OrganizationAccess
from credentials.models.credential import IS_PAIRED, LENDABLE
from credentials.providers import registry
from credentials.providers.base import Provider
from credentials.providers.lifetimes import Lifetime, Rule
from credentials.providers.tokens import Kind

# The earliest warning; an end that is nearer from the start is told later, if at all.
FIRST_WARNING = 30
_DAY = timedelta(days=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)
_BY_CONSENT = frozenset({Kind.OAUTH.value, Kind.APP_TOKEN.value})


class EndKind(TextChoices):
    """What brings an end."""

    EXPIRY = "expiry", gettext_lazy("its date")
    REFRESH = "refresh", gettext_lazy("date of the authorization")
    UNUSED = "unused", gettext_lazy("not used for long")
    UNRENEWED = "unrenewed", gettext_lazy("not renewed for long")
    LONGEST = "longest", gettext_lazy("longest life")
    CROWDED = "crowded", gettext_lazy("too many authorizations")
    CLIENT_REFUSED = "client_refused", gettext_lazy("OAuth client refused")
    CLIENT_CHANGED = "client_changed", gettext_lazy("another OAuth client")


class Mend(StrEnum):
    """The one thing that puts an end off."""

    RECONNECT = "reconnect"
    REPLACE = "replace"
    TEST = "test"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of one credential.

    ``at`` is None where it can come on any day. ``is_certain`` is False where it rests on what the host
    documents rather than on a date for this token. ``step`` is what puts it off. ``warned_from`` is the
    earliest warning in days that makes sense, ``mark`` tells this end from an earlier one of its kind.
    """

    kind: EndKind
    at: datetime | None
    is_certain: bool
    text: str
    step: Mend
    warned_from: int = FIRST_WARNING
    mark: str = ""

    @property
    def moment(self) -> datetime:
        """For ordering: what can come on any day comes first."""
        return self.at or _BEGINNING


def prepared(credentials: QuerySet[Credential]) -> QuerySet[Credential]:
    """The rows with everything that :func:`ends_of` wants to know."""
    leases = Lease.objects.filter(credential=OuterRef("pk")).order_by("-created_at")
    asked = OrganizationAccess.objects.filter(credential=OuterRef("pk")).order_by("-checked_at")
    return credentials.select_related("host", "owner").annotate(
        last_used_at=Subquery(leases.values("created_at")[:1]),
        last_asked_at=Subquery(asked.values("checked_at")[:1]),
        is_paired=IS_PAIRED,
    )


def unsealed(credentials: QuerySet[Credential]) -> QuerySet[Credential]:
    """The same rows without anything sealed: nothing here has a use for it."""
    return credentials.defer(
        "access_envelope",
        "refresh_envelope",
        "fingerprint",
        "host__client_secret_envelope",
        "owner__password",
    )


def read(
    credentials: QuerySet[Credential], *, now: datetime, within: timedelta | None = None
) -> list[tuple[Credential, tuple[End, ...]]]:
    """Each live credential with its ends, the next end first; ``within`` leaves out what is further away.

    The number of statements does not depend on how many credentials there are.
    """
    live = unsealed(prepared(credentials)).filter(status__in=LENDABLE)
    until = _LATEST if within is None else now + within
    if within is not None:
        live = live.filter(_may_end(until) | _in_full_groups())
    rows = list(live)
    full = crowded(rows)
    found = [(row, ends_of(row, now=now, is_crowded=row.pk in full)) for row in rows]
    near = [(row, tuple(end for end in ends if end.at is None or end.at <= until)) for row, ends in found]
    return sorted(
        ((row, ends) for row, ends in near if ends), key=lambda one: (one[1][0].moment, str(one[0].pk))
    )


def ends_of(credential: Any, *, now: datetime, is_crowded: bool = False) -> tuple[End, ...]:
    """The ends of one credential that came through :func:`prepared`, the next first.

    What lies behind a certain date never comes.
    """
    if credential.status not in LENDABLE:
        return ()
    provider = registry.get(credential.host.provider)
    found = [*_known(credential, provider), *_silent(credential, provider, now), *_of_the_client(credential)]
    if is_crowded and provider.most_authorizations:
        found.append(_crowding(credential, provider))
    found.sort(key=lambda end: end.moment)
    last = next((n for n, end in enumerate(found) if end.at and end.is_certain), len(found))
    return tuple(found[: last + 1])


def _words(credential: Credential, provider: type[Provider], **more: object) -> dict[str, object]:
    return {"host": credential.host.name, "provider": provider.title, **more}


def _mend(credential: Credential) -> Mend:
    by_oauth = credential.kind == Kind.OAUTH and credential.host.client_id
    return Mend.RECONNECT if by_oauth else Mend.REPLACE


def _known(credential: Any, provider: type[Provider]) -> Iterator[End]:
    if credential.is_paired:
        if credential.refresh_ends_at is not None:
            text = _("The authorization at %(host)s ends on this day, as %(host)s said when it was given.")
            yield _end(credential, EndKind.REFRESH, credential.refresh_ends_at, text, provider)
        return
    if credential.expires_at is None:
        return
    told = _("%(host)s says that the token ends on this day.")
    typed = _("The token ends on this day, by the date that was typed in here.")
    text = told if provider.tells_expiry or credential.kind in _BY_CONSENT else typed
    short = credential.expires_at - (credential.sealed_at or credential.created_at) < _DAY
    # What lives for hours by nature gives no warning: it would be told of as soon as it is there.
    warned_from = 0 if short and credential.kind in _BY_CONSENT else FIRST_WARNING
    yield _end(credential, EndKind.EXPIRY, credential.expires_at, text, provider, warned_from=warned_from)


def _end(
    credential: Credential,
    kind: EndKind,
    at: datetime,
    text: str,
    provider: type[Provider],
    *,
    warned_from: int = FIRST_WARNING,
) -> End:
    return End(
        kind=kind,
        at=at,
        is_certain=True,
        text=text % _words(credential, provider),
        step=_mend(credential),
        warned_from=warned_from,
    )


def _silent(credential: Any, provider: type[Provider], now: datetime) -> Iterator[End]:
    for lifetime in provider.lifetimes:
        begins = _beginning(credential, provider, lifetime)
        if begins is None or credential.kind not in lifetime.kinds:
            continue
        # What is renewed by itself has no end in sight, unless that has not happened for remarkably long.
        if lifetime.rule is Rule.UNRENEWED and now - begins < lifetime.life / 4:
            continue
        yield End(
            kind=EndKind(lifetime.rule.value),
            at=begins + lifetime.life,
            is_certain=False,
            text=_SILENT[lifetime.rule] % _words(credential, provider, life=lifetime.words),
            step=Mend.TEST if lifetime.rule is Rule.UNUSED else _mend(credential),
            # A warning in the first half of a life would be one about nothing.
            warned_from=min(FIRST_WARNING, lifetime.life // (2 * _DAY)),
        )


_SILENT = {
    Rule.UNUSED: gettext_lazy(
        "%(provider)s removes tokens that were not used for %(life)s. This counts from the last use known here; "
        "a test counts as a use."
    ),
    Rule.UNRENEWED: gettext_lazy(
        "%(provider)s ends an authorization that was not renewed for %(life)s. It is usually renewed by itself; "
        "lately that did not happen."
    ),
    Rule.LONGEST: gettext_lazy(
        "At %(provider)s such a token lives for %(life)s at most. This counts from the day it was stored here; "
        "the token may be older."
    ),
}


def _beginning(credential: Any, provider: type[Provider], lifetime: Lifetime) -> datetime | None:
    """What a silent end counts from; None where the rule does not concern this credential."""
    stored: datetime = credential.sealed_at or credential.created_at
    match lifetime.rule:
        case Rule.UNUSED if not credential.is_paired:
            uses = (stored, credential.last_verified_at, credential.last_used_at, credential.last_asked_at)
            return max(one for one in uses if one is not None)
        case Rule.UNRENEWED if credential.is_paired and credential.refresh_ends_at is None:
            return stored
        case Rule.LONGEST if credential.expires_at is None and not credential.is_paired:
            # A host that tells dates, and was asked, and told none, has none for this token.
            silent = not provider.tells_expiry or credential.last_verified_at is None
            return stored if silent else None
    return None


def _of_the_client(credential: Any) -> Iterator[End]:
    """What threatens a credential because of the OAuth client it hangs on."""
    host = credential.host
    words = {"host": host.name}
    if credential.is_paired and host.client_refused_since is not None:
        text = _("%(host)s refuses this installation's OAuth client, so nothing can be renewed there.")
        hint = _("An administrator has to act; there is nothing for you to do.")
        yield End(
            kind=EndKind.CLIENT_REFUSED,
            at=None,
            is_certain=True,
            text=f"{text % words} {hint}",
            step=Mend.ADMINISTRATOR,
            mark=host.client_refused_since.isoformat(),
        )
    # A pasted token may belong to any app; only what our own flow brought hangs on our client.
    ours = credential.is_paired or credential.oauth_redirect_uri
    if ours and credential.oauth_client_id and credential.oauth_client_id != host.client_id:
        text = _("It was connected through an OAuth client that is not in use here any more. %(what)s")
        renewed = _("%(host)s will refuse to renew it.") % words
        whole = _("It stops working when that client is removed at %(host)s.") % words
        yield End(
            kind=EndKind.CLIENT_CHANGED,
            at=None,
            is_certain=credential.is_paired,
            text=text % {"what": renewed if credential.is_paired else whole},
            step=_mend(credential),
            mark=f"{credential.generation}:{host.client_id}",
        )


def _crowding(credential: Credential, provider: type[Provider]) -> End:
    text = _(
        "%(provider)s allows %(most)s authorizations per account and app, and so many are known here; others "
        "that share the app count, too. The next one ends this one, the oldest."
    )
    return End(
        kind=EndKind.CROWDED,
        at=None,
        is_certain=False,
        text=text % _words(credential, provider, most=provider.most_authorizations),
        step=_mend(credential),
        mark=str(credential.generation),
    )


def _may_end(until: datetime) -> Q:
    """The rows that can have an end until then, by plain columns: a few too many, never one too few."""
    paired = Q(refresh_envelope__isnull=False)
    found = (~paired & Q(expires_at__lte=until)) | (paired & Q(refresh_ends_at__lte=until))
    found |= paired & Q(host__client_refused_since__isnull=False)
    changed = ~Q(oauth_client_id="") & ~Q(oauth_client_id=F("host__client_id"))
    found |= changed & (paired | ~Q(oauth_redirect_uri=""))
    for name in registry.names():
        for lifetime in registry.get(name).lifetimes:
            kinds = [kind.value for kind in lifetime.kinds]
            since = until - lifetime.life
            aged = Q(sealed_at__lte=since) | Q(sealed_at=None, created_at__lte=since)
            if lifetime.rule is Rule.UNUSED:
                aged &= Q(last_verified_at__lte=since) | Q(last_verified_at=None)
            elif lifetime.rule is Rule.LONGEST:
                aged &= Q(expires_at=None)
            found |= Q(host__provider=name, kind__in=kinds) & aged
    return found


# --- Too many authorizations of one account by one OAuth app -------------------------------------------


def _authorizations(providers: Iterable[str]) -> QuerySet[Credential]:
    return Credential.objects.filter(
        host__provider__in=providers, kind=Kind.OAUTH.value, status__in=LENDABLE
    ).exclude(account_id="")


def _limits() -> dict[str, int]:
    known = ((name, registry.get(name).most_authorizations) for name in registry.names())
    return {name: most for name, most in known if most is not None}


def _in_full_groups() -> Q:
    """The authorizations of accounts that have as many as their provider allows, whatever their scopes."""
    limits = _limits()
    grouped = _authorizations(limits).order_by().values("host_id", "account_id").annotate(number=Count("pk"))
    found = Q(pk=None)
    for group in grouped.filter(number__gte=min(limits.values(), default=1)):
        found |= Q(host=group["host_id"], account_id=group["account_id"], kind=Kind.OAUTH.value)
    return found


def crowded(rows: list[Credential]) -> frozenset[UUID]:
    """Those of ``rows`` that the next authorization of their account would end."""
    limits = _limits()
    accounts = {row.account_id for row in rows if row.kind == Kind.OAUTH and row.host.provider in limits}
    if not accounts - {""}:
        return frozenset()
    groups: dict[tuple[object, ...], list[tuple[datetime, UUID]]] = {}
    found = _authorizations(limits)
    # A list of thousands would be more than a statement carries; all of them are then read once.
    if len(accounts) <= _MOST_NAMED:
        found = found.filter(account_id__in=accounts)
    columns = ("host_id", "host__provider", "account_id", "oauth_client_id", "scopes", "pk")
    for *key, scopes, pk, sealed, created in found.values_list(*columns, "sealed_at", "created_at"):
        group = groups.setdefault((*key, frozenset(scopes or ())), [])
        group.append((sealed or created, pk))
    ending: set[UUID] = set()
    for key, group in groups.items():
        most = limits[str(key[1])]
        ending.update(pk for _at, pk in sorted(group)[: max(0, len(group) - most + 1)])
    return frozenset(ending)


_MOST_NAMED = 500
