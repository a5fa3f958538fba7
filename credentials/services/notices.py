"""News for people: kept until read, and sent by mail to those who have an address here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any

from django.core.mail import send_mail
from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from credentials.conf import conf
from credentials.models import Credential, Import, Notice, OrganizationAccess
from credentials.verdicts import Text

_NEWS = timedelta(days=1)
_AT_ONCE = 100


class Code(StrEnum):
    """What a notice is about."""

    ORGANIZATION_OPENED = "organization_opened"
    ORGANIZATION_CLOSED = "organization_closed"
    CREDENTIAL_RECONNECT = "credential_reconnect"
    CREDENTIAL_EXPIRED = "credential_expired"
    CREDENTIAL_REJECTED = "credential_rejected"
    CREDENTIAL_LIMITED = "credential_limited"
    ORGANIZATION_LEFT = "organization_left"
    CREDENTIAL_QUARANTINED = "credential_quarantined"
    CREDENTIAL_STOPPED = "credential_stopped"
    CREDENTIAL_RELEASED = "credential_released"
    CREDENTIAL_GIVEN_AWAY = "credential_given_away"
    CREDENTIAL_TAKEN_OVER = "credential_taken_over"
    CREDENTIAL_CLOSED = "credential_closed"
    ENDS = "ends"
    MAY_END = "may_end"
    ENDS_ANY_DAY = "ends_any_day"
    IMPORT_FAILED = "import_failed"


# A warning ahead of an end. It stays true until the end, so mail that fails is tried again for longer.
OF_ENDS = (Code.ENDS, Code.MAY_END, Code.ENDS_ANY_DAY)


TEXTS: Mapping[Code, Text] = {
    Code.ORGANIZATION_OPENED: _(
        "%(organization)s now lets your connection to %(host)s in. You can import its repositories."
    ),
    Code.ORGANIZATION_CLOSED: _(
        "%(organization)s no longer lets your connection to %(host)s in. The connection's page says why."
    ),
    Code.CREDENTIAL_RECONNECT: _(
        "Your connection to %(host)s (%(account)s) has ended. Please connect the account again."
    ),
    Code.CREDENTIAL_EXPIRED: _(
        "Your token for %(host)s (%(account)s) has expired. Please make a new one and put it in its place."
    ),
    Code.CREDENTIAL_REJECTED: _(
        "%(host)s no longer accepts your token (%(account)s). Please make a new one and put it in its place."
    ),
    Code.CREDENTIAL_LIMITED: _(
        "Your connection to %(host)s (%(account)s) lacks a right that imports need. "
        "The connection's page says which."
    ),
    Code.ORGANIZATION_LEFT: _(
        "%(organization)s says that your account at %(host)s is not a member any more. Nothing is imported from "
        "it until it says otherwise."
    ),
    Code.CREDENTIAL_QUARANTINED: _(
        "An administrator has put your connection to %(host)s (%(account)s) out of use. An administrator can "
        "release it."
    ),
    Code.CREDENTIAL_STOPPED: _(
        "All connections to %(host)s were stopped here, yours (%(account)s) among them. Please connect again "
        "when an administrator says so."
    ),
    Code.CREDENTIAL_RELEASED: _("Your connection to %(host)s (%(account)s) is in use again."),
    Code.CREDENTIAL_GIVEN_AWAY: _(
        "An administrator has handed your connection to %(host)s (%(account)s) over to %(person)s."
    ),
    Code.CREDENTIAL_TAKEN_OVER: _(
        "An administrator has handed a connection to %(host)s (%(account)s) over to you. It was %(person)s's."
    ),
    Code.CREDENTIAL_CLOSED: _("An administrator has disconnected your connection to %(host)s (%(account)s)."),
    Code.ENDS: _(
        "Your connection “%(name)s” to %(host)s ends on %(date)s. “What ends when” has the button that renews it."
    ),
    Code.MAY_END: _(
        "Your connection “%(name)s” to %(host)s may end on %(date)s. “What ends when” says why, and what to do."
    ),
    Code.ENDS_ANY_DAY: _(
        "Your connection “%(name)s” to %(host)s may stop working on any day. “What ends when” says why, and "
        "what to do."
    ),
    Code.IMPORT_FAILED: _(
        "What %(person)s wanted to import into your library “%(library)s” could not be imported. The import's page "
        "says why."
    ),
}

# What tells how a credential is, so that only the newest of them is true.
ABOUT_STATUS = (
    Code.CREDENTIAL_RECONNECT,
    Code.CREDENTIAL_EXPIRED,
    Code.CREDENTIAL_REJECTED,
    Code.CREDENTIAL_LIMITED,
)


def text_of(notice: Notice) -> str:
    """What the notice says, in the active language."""
    values: dict[str, str] = dict(notice.values)
    if values.get("at"):
        values["date"] = date_format(localtime(datetime.fromisoformat(values["at"])), "DATE_FORMAT")
    return str(TEXTS[Code(notice.code)]) % values


def about_organization(access: OrganizationAccess, code: Code, *, now: datetime) -> Notice:
    """Tell the credential's owner what became of an organization, inside the caller's transaction.

    Older news of the same organization that was not read yet is no longer true, and counts as read.
    """
    credential = access.credential
    values = {"organization": access.organization.name, "host": credential.host.name}
    older = unread(credential.owner).filter(
        credential=credential, values__organization=values["organization"]
    )
    older.update(read_at=now)
    return Notice.objects.create(
        user=credential.owner, credential=credential, code=code.value, values=values, created_at=now
    )


def about_credential(credential: Credential, code: Code, *, now: datetime) -> Notice:
    """Tell the owner what became of a credential, inside the caller's transaction; the newest news counts."""
    settle(credential, now=now)
    values = {"host": credential.host.name, "account": str(credential)}
    return Notice.objects.create(
        user=credential.owner, credential=credential, code=code.value, values=values, created_at=now
    )


def about_end(
    credential: Credential, *, kind: str, at: datetime | None, is_certain: bool, now: datetime
) -> Notice:
    """Warn the owner that the credential ends ``at``, inside the caller's transaction.

    An earlier warning of the same end that was not read yet counts as read.
    """
    read_ends(credential, kinds=(kind,), now=now)
    code = Code.ENDS_ANY_DAY if at is None else Code.ENDS if is_certain else Code.MAY_END
    values = {
        "name": str(credential),
        "host": credential.host.name,
        "kind": kind,
        "at": at.isoformat() if at else "",
    }
    return Notice.objects.create(
        user=credential.owner, credential=credential, code=code.value, values=values, created_at=now
    )


def settle(credential: Credential, *, now: datetime) -> None:
    """What was said of a credential's status is no longer true, and counts as read."""
    older = Notice.objects.filter(credential=credential, code__in=ABOUT_STATUS, read_at=None)
    older.update(read_at=now)


def about_credentials(
    credentials: Iterable[Credential], code: Code, *, now: datetime, to: Any = None, **names: str
) -> list[Notice]:
    """Tell the owners, or ``to``, what an administrator did with credentials, inside the caller's transaction."""
    return Notice.objects.bulk_create(
        Notice(
            user_id=to.pk if to is not None else credential.owner_id,
            credential=credential,
            code=code.value,
            values={"host": credential.host.name, "account": str(credential), **names},
            created_at=now,
        )
        for credential in credentials
    )


def about_import(job: Import, *, now: datetime) -> Notice:
    """Tell the library's owner that an import has failed that somebody else asked for, inside the caller's
    transaction."""
    values = {"library": job.library.name, "person": job.actor_name}
    return Notice.objects.create(
        user=job.library.owner, code=Code.IMPORT_FAILED.value, values=values, created_at=now
    )


def read_ends(credential: Credential, *, now: datetime, kinds: Collection[str] = ()) -> None:
    """Warnings of these kinds of ends, or of all, are no news any more: the end was put off."""
    warned = Notice.objects.filter(credential=credential, code__in=OF_ENDS, read_at=None)
    if kinds:
        warned = warned.filter(values__kind__in=list(kinds))
    warned.update(read_at=now)


def mail_due(*, now: datetime) -> int:
    """Mail what was neither mailed nor read yet to those who are active here; how many went out.

    One that cannot be sent is tried again next time, for a day: by then the page has told it, or it is no news
    any more; a warning until it is read or its end was put off. An address that the mail server refuses is not
    tried again, so that it does not stand before everybody else's.
    """
    sent = 0
    waiting = (
        Notice.objects.select_related("user")
        .filter(mailed_at=None, read_at=None, user__is_active=True)
        .filter(Q(created_at__gt=now - _NEWS) | Q(code__in=OF_ENDS))
        .exclude(user__email="")
        .order_by("created_at")
    )
    for notice in waiting[:_AT_ONCE]:
        # Claimed first: of two workers one sends.
        if not Notice.objects.filter(pk=notice.pk, mailed_at=None).update(mailed_at=now):
            continue
        try:
            send_mail(conf.product_name, text_of(notice), None, [notice.user.email])
        except SMTPRecipientsRefused:
            continue
        except (OSError, SMTPException):
            Notice.objects.filter(pk=notice.pk).update(mailed_at=None)
            break
        sent += 1
    return sent


def unread(user: Any) -> QuerySet[Notice]:
    """What a person has not read yet, newest first."""
    return Notice.objects.filter(user=user, read_at=None)


def read(notice: Notice, *, now: datetime) -> None:
    """The person has read it."""
    Notice.objects.filter(pk=notice.pk, read_at=None).update(read_at=now)
