"""One mail a day at most that tells administrators what will end, with names and counts and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import mail_admins
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.timezone import localdate, localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credentials.conf import conf
from credentials.models import Duty, Host, Notice
from credentials.services import notices

# The row in which the last mail is remembered.
NAME = "mail to administrators"
_MOST_NAMED = 50
_FIRST = timedelta(days=2)


def mail_administrators(*, now: datetime) -> int:
    """Mail the people of ``ADMINS`` what was warned of since the last such mail; how many mails went out.

    Claimed before it is sent, so that of two workers one sends; given back where the mail server fails.
    """
    if not settings.ADMINS:
        return 0
    since = _last(now)
    warned, refused = _warned(since, now), _refused(since, now)
    if not warned.exists() and not refused:
        return 0
    if not _claim(now):
        return 0
    try:
        mail_admins(str(conf.product_name), _text(warned, refused))
    except (OSError, SMTPException):
        Duty.objects.filter(name=NAME).update(finished_at=since)
        return 0
    return 1


def _last(now: datetime) -> datetime:
    row = Duty.objects.filter(name=NAME).first()
    return row.finished_at if row and row.finished_at else now - _FIRST


@transaction.atomic
def _claim(now: datetime) -> bool:
    """Whether today's mail is this worker's to send."""
    Duty.objects.get_or_create(name=NAME)
    row = Duty.objects.select_for_update().get(name=NAME)
    if row.finished_at is not None and localdate(row.finished_at) >= localdate(now):
        return False
    Duty.objects.filter(name=NAME).update(started_at=now, finished_at=now)
    return True


def _warned(since: datetime, now: datetime) -> QuerySet[Notice]:
    return Notice.objects.select_related("user", "credential__host").filter(
        code__in=notices.OF_ENDS, created_at__gt=since, created_at__lte=now, credential__isnull=False
    )


def _refused(since: datetime, now: datetime) -> list[Host]:
    new = Q(client_refused_since__gt=since, client_refused_since__lte=now)
    return list(Host.objects.defer("client_secret_envelope").filter(new).order_by("name"))


def _text(warned: QuerySet[Notice], refused: list[Host]) -> str:
    lines = [
        _("%(host)s refuses the OAuth client that is registered here. Nothing can be renewed there.")
        % {"host": host.name}
        for host in refused
    ]
    number = warned.count()
    if number:
        said = ngettext("%(number)s connection ends soon.", "%(number)s connections end soon.", number)
        lines.append(said % {"number": number})
        by_host = Counter(warned.order_by().values_list("credential__host__name", flat=True))
        lines += [f"  {host}: {count}" for host, count in sorted(by_host.items())]
        lines += ["", *(_line(one) for one in warned.order_by("created_at", "pk")[:_MOST_NAMED])]
        if number > _MOST_NAMED:
            lines.append(_("… and %(number)s more.") % {"number": number - _MOST_NAMED})
    lines += ["", _("Everything that ends soon is in the administration, under Credentials, What ends when.")]
    return "\n".join(lines)


def _line(notice: Notice) -> str:
    at = notice.values["at"]
    when = date_format(localtime(datetime.fromisoformat(at)), "DATE_FORMAT") if at else _("any day")
    return f"  {notice.user.get_username()}, {notice.values['host']}: {when}"
