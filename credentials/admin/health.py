"""How the installation is, on one page: duties, processes, hosts, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import EMPTY, badge, moment
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import Duty
from credentials.services import database, health
from credentials.services.health import DutyHealth, DutyState, ProcessHealth
from credentials.verdicts import Text

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of the page; ``nothing`` stands for one without rows."""

    title: Text
    columns: tuple[Text, ...]
    rows: list[tuple[object, ...]]
    nothing: Text = ""


@admin.register(Duty)
class DutyAdmin(ReadOnlyAdmin):
    """The list of duties is the page of the installation's health."""

    list_display = ("name", "finished", "done", "last_error")
    actions = None
    fields = ("name", "begun", "finished", "done", "held_by", "last_error")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("last begun"))
    def begun(self, duty: Duty) -> str:
        return moment(duty.started_at)

    @admin.display(description=gettext_lazy("last finished"))
    def finished(self, duty: Duty) -> str:
        return moment(duty.finished_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Everything that tells whether the installation works by itself."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = database.now()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Health"),
            "opts": self.opts,
            "tables": [_duties(now), _processes(now), _hosts(now), _backlog(now)],
        }
        return TemplateResponse(request, "admin/credentials/health.html", context)


def _duties(now: datetime) -> Table:
    return Table(
        title=_("Duties"),
        columns=(_("duty"), _("state"), _("every"), _("last finished"), _("done"), _("last error")),
        rows=[_duty(state) for state in health.duty_states(now=now)],
    )


def _duty(state: DutyHealth) -> tuple[object, ...]:
    every = _spelled(round(state.duty.interval().total_seconds()))
    row = state.row
    if row is None:
        return (state.duty.description, _state_badge(state.state), every, EMPTY, EMPTY, EMPTY)
    facts = (moment(row.finished_at), row.done, row.last_error or EMPTY)
    return (state.duty.description, _state_badge(state.state), every, *facts)


def _spelled(seconds: int) -> str:
    """An interval in the largest unit that fits it exactly."""
    if seconds % _HOUR == 0:
        hours = seconds // _HOUR
        return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    if seconds % _MINUTE == 0:
        minutes = seconds // _MINUTE
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}


def _state_badge(state: DutyState) -> SafeString:
    words = {
        DutyState.WELL: (_("in time"), "ok"),
        DutyState.RUNNING: (_("under way"), "ok"),
        DutyState.FAILING: (_("failing"), "bad"),
        DutyState.OVERDUE: (_("overdue"), "bad"),
        DutyState.NEVER: (_("not yet"), "wait"),
    }
    return badge(*words[state])


def _processes(now: datetime) -> Table:
    return Table(
        title=_("Processes"),
        columns=(_("kind"), _("state"), _("process"), _("started"), _("last seen")),
        rows=[_process(state) for state in health.process_states(now=now)],
        nothing=_("Neither a worker nor a refresher has shown itself lately."),
    )


def _process(state: ProcessHealth) -> tuple[object, ...]:
    alive = badge(_("running"), "ok") if state.is_alive else badge(_("gone"), "idle")
    kinds = {"worker": _("worker"), "refresher": _("refresher"), "runner": _("worker of another engine")}
    kind = kinds.get(state.row.kind, state.row.kind)
    return (kind, alive, state.row.identity, moment(state.row.started_at), moment(state.row.seen_at))


def _hosts(now: datetime) -> Table:
    return Table(
        title=_("Hosts in trouble"),
        columns=(_("host"), _("state"), _("since"), _("evidence")),
        rows=[*_trouble(now)],
        nothing=_("Every host answers, and accepts the OAuth client."),
    )


def _trouble(now: datetime) -> Iterator[tuple[object, ...]]:
    for host in health.refusing_hosts():
        state = badge(_("refuses the OAuth client"), "bad")
        yield host.name, state, moment(host.client_refused_since), EMPTY
    for known in health.failing_hosts():
        shut = known.retry_at is not None and known.retry_at > now
        state = badge(_("not asked"), "bad") if shut else badge(_("tried again"), "wait")
        yield known.host.name, state, moment(known.failing_since), known.last_failure


def _backlog(now: datetime) -> Table:
    counts, imports = health.backlog(now=now), health.imports(now=now)
    facts: tuple[tuple[Text, int, str], ...] = (
        (_("Credentials that are renewed by the refresher"), counts.renewable, ""),
        (_("Renewals that wait longer than they should"), counts.refresh_overdue, "bad"),
        (_("Credentials whose renewal failed several times"), counts.refresh_failing, "warn"),
        (_("Credentials whose owner must connect again"), counts.reconnect_required, "warn"),
        (_("Revocations under way"), counts.revocations_pending, "wait"),
        (_("Revocations under way for more than a day"), counts.revocations_long, "bad"),
        (_("Tokens to be revoked by hand, not yet done"), counts.revocations_by_hand, "warn"),
        (_("Webhooks under way"), counts.deliveries_pending, "wait"),
        (_("Webhooks given up in the last two days"), counts.deliveries_failed, "bad"),
        (_("Webhook endpoints switched off for their answers"), counts.endpoints_off, "bad"),
        (_("Background tasks that wait longer than they should"), counts.tasks_waiting, "bad"),
        (_("Imports that run"), imports.running, ""),
        (_("Imports that wait"), imports.waiting, "bad" if imports.stands_still else "wait"),
    )
    oldest = [] if imports.since is None else [(_("The first of them waits since"), moment(imports.since))]
    return Table(
        title=_("What waits"),
        columns=(_("what"), _("how many")),
        rows=[
            *(
                (what, badge(str(count), tone) if count and tone else str(count))
                for what, count, tone in facts
            ),
            *oldest,
        ],
    )
