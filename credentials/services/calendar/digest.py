"""One mail a day at most that tells administrators what will end, with names and counts and nothing else.

What is new comes out of the audit trail, whose numbers follow the order of commits: nothing is told twice or
passed over, however long a warning's transaction took.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import mail_admins
from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.timezone import localdate, localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credentials.conf import conf
from credentials.models import AuditEvent
from credentials.models.audit import Action
from credentials.services import audit
from credentials.services.audit import Actor, Subject

_ACTOR = Actor.system("calendar")
_MOST_NAMED = 50


def mail_administrators(*, now: datetime) -> int:
    """Mail the people of ``ADMINS`` what was warned of since the last such mail; how many mails went out.

    The duty's turn (services/turns.py) makes its worker the only one. That a mail went out is recorded after: a
    worker that is killed in between tells it once more.
    """
    if not settings.ADMINS:
        return 0
    mailed = AuditEvent.objects.filter(action=Action.CALENDAR_MAILED).order_by("-seq").first()
    if mailed is not None and localdate(mailed.at) == localdate(now):
        return 0
    news = _news(after=mailed.data["seq"] if mailed else 0)
    last = news.order_by("-seq").values_list("seq", flat=True).first()
    if last is None:
        return 0
    news = news.filter(seq__lte=last)
    try:
        mail_admins(str(conf.product_name), _text(news))
    except (OSError, SMTPException):
        return 0
    subject = Subject(kind="installation", id="", name=str(conf.product_name))
    data = {"seq": last, "credentials": _warnings(news).count()}
    audit.append_all([audit.build("calendar.mailed", actor=_ACTOR, subject=subject, at=now, data=data)])
    return 1


def _news(*, after: int) -> QuerySet[AuditEvent]:
    """Every warning, and every refusal of a client, that no mail has told yet."""
    # Without days an event tells of a status alone (calendar/warnings.py).
    return AuditEvent.objects.filter(
        Q(action=Action.HOST_CLIENT_REFUSED) | Q(action=Action.CREDENTIAL_EXPIRING, data__has_key="days"),
        seq__gt=after,
    )


def _warnings(news: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
    return news.filter(action=Action.CREDENTIAL_EXPIRING)


def _text(news: QuerySet[AuditEvent]) -> str:
    refused = news.filter(action=Action.HOST_CLIENT_REFUSED).order_by("subject_name")
    lines = [
        _("%(host)s refuses the OAuth client that is registered here. Nothing can be renewed there.")
        % {"host": host}
        for host in refused.values_list("subject_name", flat=True).distinct()
    ]
    warned = _warnings(news)
    number = warned.count()
    if number:
        said = ngettext("%(number)s connection ends soon.", "%(number)s connections end soon.", number)
        lines.append(said % {"number": number})
        by_host = Counter(warned.order_by().values_list("host", flat=True))
        lines += [f"  {host}: {count}" for host, count in sorted(by_host.items())]
        lines += ["", *(_line(one) for one in warned.order_by("seq")[:_MOST_NAMED])]
        if number > _MOST_NAMED:
            lines.append(_("… and %(number)s more.") % {"number": number - _MOST_NAMED})
    lines += ["", _("The administration lists everything that ends soon, under Credentials.")]
    return "\n".join(lines)


def _line(event: AuditEvent) -> str:
    at = event.data.get("expires_at")
    when = date_format(localtime(datetime.fromisoformat(at)), "DATE_FORMAT") if at else _("any day")
    return f"  {event.owner_name}, {event.host}: {when}"
