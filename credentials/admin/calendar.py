"""The calendar of ends: everybody's, by week, with links to the lists behind each number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.models import Credential, Host
from credentials.services.calendar import EndKind
from credentials.services.calendar.overview import Wanted, Week, of_week, weeks

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

# Lines of one week; the list behind its number has them all.
MOST_SHOWN = 20
# A list of more would be more than one statement carries on every database.
MOST_LISTED = 5_000
_CERTAIN = {"yes": True, "no": False}


class EndsFilter(admin.SimpleListFilter):
    """By the week in which they end, as the calendar's links name it: ``2027-03-01.expiry.yes``."""

    title = gettext_lazy("what ends")
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        now = timezone.now()
        # The weeks themselves need no look at any row.
        return [(week.key, _name(week)) for week in weeks(Credential.objects.none(), now=now)[:5]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        week, kind, certain = [*chosen.split("."), "", ""][:3]
        wanted = Wanted(kind=kind, is_certain=_CERTAIN.get(certain))
        found = of_week(Credential.objects.all(), week, now=timezone.now(), wanted=wanted)
        return queryset.filter(pk__in=[row.pk for row in found[:MOST_LISTED]])


def calendar_page(its_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """What ends in the next 90 days, for whoever may see credentials."""
    if not its_admin.has_view_permission(request):
        raise PermissionDenied
    asked = {name: request.GET.get(name, "") for name in ("host", "kind", "certain")}
    wanted = Wanted(kind=asked["kind"], is_certain=_CERTAIN.get(asked["certain"]))
    chosen = Credential.objects.all()
    if asked["host"]:
        chosen = chosen.filter(host__slug=asked["host"])
    found = weeks(chosen, now=timezone.now(), wanted=wanted)
    context = {
        **its_admin.admin_site.each_context(request),
        "title": _("What ends when"),
        "opts": its_admin.opts,
        "weeks": [_shown(week, asked) for week in found if week.number or week.begins],
        "number": sum(week.number for week in found),
        "filters": _filters(asked),
    }
    return TemplateResponse(request, "admin/credentials/credential/calendar.html", context)


def _name(week: Week) -> str:
    return _("any day") if week.begins is None else _("week of %s") % week.begins.isoformat()


def _shown(week: Week, asked: dict[str, str]) -> dict[str, Any]:
    def link(kind: str) -> str:
        named = ".".join((week.key, kind, asked["certain"])).rstrip(".")
        return "?" + urlencode({"ends": named, **({"host": asked["host"]} if asked["host"] else {})})

    return {
        "week": week,
        "name": _name(week),
        "link": link(asked["kind"]),
        "kinds": [(kind.label, number, link(kind.value)) for kind, number in week.kinds],
        "lines": week.ends[:MOST_SHOWN],
        "more": max(0, week.number - MOST_SHOWN),
    }


def _filters(asked: dict[str, str]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Each filter's title with its choices: word, address, and whether it is the present one."""
    hosts = list(Host.objects.order_by("name").values_list("slug", "name"))
    certain = [("yes", _("certain")), ("no", _("likely"))]
    offers = (
        ("host", _("host"), hosts),
        ("kind", _("what brings it"), [(kind.value, str(kind.label)) for kind in EndKind]),
        ("certain", _("how sure"), certain),
    )
    return [
        (
            title,
            [
                (word, "?" + urlencode({**asked, name: value}), asked[name] == value)
                for value, word in [("", _("All")), *choices]
            ],
        )
        for name, title, choices in offers
    ]
