"""The audit trail: read-only for everyone, superusers included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import format_lazy, smart_split, unescape_string_literal
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.display import EMPTY, kept, moment, pairs
from credentials.admin.filters import ChoiceFilter, HostFilter
from credentials.admin.paging import REACH, CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import AuditEvent, Host, ServiceClient
from credentials.models.audit import Action
from credentials.verdicts import Text

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

# A filter by what was done is a choice from this list: asking the trail which actions it holds would read
# all of it.
ACTIONS: Mapping[str, Text] = dict(Action.choices)
_ACTORS: Mapping[str, Text] = {
    "user": gettext_lazy("person"),
    "client": gettext_lazy("service client"),
    "system": gettext_lazy("system"),
}
_SUBJECTS: Mapping[str, Text] = {
    "user": gettext_lazy("person"),
    "client": gettext_lazy("service client"),
    "host": gettext_lazy("host"),
    "credential": gettext_lazy("credential"),
    "connection": gettext_lazy("waiting connection"),
    "purpose_key": gettext_lazy("purpose key"),
    "webhook": gettext_lazy("webhook endpoint"),
    "installation": gettext_lazy("this installation"),
}
# Hexadecimal digits of a MAC or link that a person compares by eye.
_SHORT = 16


class ActionFilter(ChoiceFilter):
    """By what was done."""

    title = gettext_lazy("action")
    parameter_name = column = "action"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(action, f"{words} ({action})") for action, words in ACTIONS.items()]


class ActorFilter(ChoiceFilter):
    """By the kind of who did it."""

    title = gettext_lazy("who acted")
    parameter_name = column = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(kind, str(words)) for kind, words in _ACTORS.items()]


class CopiedHostFilter(HostFilter):
    """By host, as the event copied its slug."""

    column = "host"


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what to whom, when and why.

    The table only grows. The list therefore never counts it, sorts only by its number, and finds names
    through the indexed ids behind them.
    """

    list_display = (
        "seq",
        "when",
        "who",
        "what",
        "subject",
        "owner_name",
        "host",
        "repository",
        "purpose",
    )
    list_filter = (ActionFilter, ActorFilter, CopiedHostFilter, "at")
    lookups = ("subject_kind", "subject_id", "owner_id", "actor_id", "at")
    search_fields = ("action",)  # opens the search box; get_search_results does the searching
    search_help_text = format_lazy(
        gettext_lazy(
            "Whole words: a person's user name, the name of a service client or a host, an action, or an id. "
            "Lists reach back {reach} events; narrow them by a filter to see older ones."
        ),
        reach=REACH,
    )
    sortable_by = ("seq",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = None
    fields = (
        "seq",
        "event_id",
        "when",
        "who",
        "actor_key",
        "what",
        "subject",
        "subject_key",
        "owner_name",
        "owner_key",
        "host",
        "organization",
        "repository",
        "purpose",
        "reference",
        "request",
        "address",
        "details",
        "mac_start",
        "link_start",
    )
    readonly_fields = fields
    event_id = kept("id", gettext_lazy("id of the event"))
    actor_key = kept("actor_id", gettext_lazy("id of the actor"))
    subject_key = kept("subject_id", gettext_lazy("id of the subject"))
    owner_key = kept("owner_id", gettext_lazy("id of the owner"))
    request = kept("request_id", gettext_lazy("id of the request"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, "view")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Events that speak of every word of ``search_term``; none where a word names nothing here."""
        for bit in smart_split(search_term):
            quoted = bit[0] in "\"'" and bit[0] == bit[-1] and len(bit) > 1
            word = unescape_string_literal(bit) if quoted else bit
            queryset = queryset.filter(_meant_by(word))
        return queryset, False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; where an address asks for one subject, its name stands above it."""
        kind, subject_id = request.GET.get("subject_kind"), request.GET.get("subject_id")
        if kind and subject_id and self.has_view_permission(request):
            latest = AuditEvent.objects.filter(subject_kind=kind, subject_id=subject_id).first()
            name = latest.subject_name if latest else subject_id
            extra_context = {**(extra_context or {}), "subtitle": _("What happened to %s") % name}
        return super().changelist_view(request, extra_context)

    def trail_of(self, found: Any) -> dict[str, str]:
        """The other events of the same subject."""
        return {"subject_kind": found.subject_kind, "subject_id": found.subject_id}

    @admin.display(description=gettext_lazy("time"))
    def when(self, event: AuditEvent) -> str:
        return moment(event.at)

    @admin.display(description=gettext_lazy("actor"))
    def who(self, event: AuditEvent) -> str:
        return f"{event.actor_name} ({_ACTORS.get(event.actor_kind, event.actor_kind)})"

    @admin.display(description=gettext_lazy("action"))
    def what(self, event: AuditEvent) -> str:
        return str(ACTIONS.get(event.action, event.action))

    @admin.display(description=gettext_lazy("subject"))
    def subject(self, event: AuditEvent) -> str:
        if not event.subject_kind:
            return EMPTY
        return f"{_SUBJECTS.get(event.subject_kind, event.subject_kind)}: {event.subject_name}"

    @admin.display(description=gettext_lazy("details"))
    def details(self, event: AuditEvent) -> str:
        return pairs(event.data)

    @admin.display(description=gettext_lazy("MAC begins with"))
    def mac_start(self, event: AuditEvent) -> str:
        return bytes(event.mac).hex()[:_SHORT]

    @admin.display(description=gettext_lazy("link begins with"))
    def link_start(self, event: AuditEvent) -> str:
        return bytes(event.link).hex()[:_SHORT]


def _meant_by(word: str) -> Q:
    """The events a search word means. Every condition is an indexed column or a host's short name."""
    meant = Q(action=word)
    for pk in get_user_model().objects.filter(username__iexact=word).values_list("pk", flat=True):
        meant |= Q(owner_id=str(pk)) | _acted_or_acted_on("user", str(pk))
    for client in ServiceClient.objects.filter(name__iexact=word).only("pk"):
        meant |= _acted_or_acted_on("client", str(client.pk))
    for host in Host.objects.filter(Q(slug=word) | Q(name__iexact=word)).only("pk", "slug"):
        meant |= Q(host=host.slug) | Q(subject_kind="host", subject_id=str(host.pk))
    try:
        sought = UUID(word)
    except ValueError:
        return meant
    kinds = ("credential", "client", "host", "user")
    return meant | Q(id=sought) | Q(subject_kind__in=kinds, subject_id=str(sought))


def _acted_or_acted_on(kind: str, identifier: str) -> Q:
    return Q(actor_kind=kind, actor_id=identifier) | Q(subject_kind=kind, subject_id=identifier)
