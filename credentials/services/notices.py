"""News for people: kept until read, and sent by mail to those who have an address here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any

from django.core.mail import send_mail
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from credentials.conf import conf
from credentials.models import Credential, Notice, OrganizationAccess
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
    values: dict[str, str] = notice.values
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


def settle(credential: Credential, *, now: datetime) -> None:
    """What was said of a credential's status is no longer true, and counts as read."""
    older = Notice.objects.filter(credential=credential, code__in=ABOUT_STATUS, read_at=None)
    older.update(read_at=now)


def mail_due(*, now: datetime) -> int:
    """Mail what was neither mailed nor read yet; how many went out. One that cannot be sent is tried again next time,
    for a day: by then the page has told it, or it is no news any more. An address that the mail server
    refuses is not tried again, so that it does not stand before everybody else's."""
    sent = 0
    waiting = (
        Notice.objects.select_related("user")
        .filter(mailed_at=None, read_at=None, created_at__gt=now - _NEWS)
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
