"""Filters whose choices come from small tables or from the code, never from the table they filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from credentials.errors import ImportProblem
from credentials.models import Host, RevocationState, ServiceClient
from credentials.providers.tokens import Kind

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.utils.functional import _StrPromise


class ChoiceFilter(admin.SimpleListFilter):
    """A filter by ``column``, with the choices that ``lookups`` names."""

    column: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(Q((self.column, chosen))) if chosen else queryset


class HostFilter(ChoiceFilter):
    """By host. Django's own filter by a foreign key would load the hosts whole, sealed parts included."""

    title = gettext_lazy("host")
    parameter_name = "host"
    column = "host__slug"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return list(Host.objects.order_by("name").values_list("slug", "name"))


class ImportHostFilter(HostFilter):
    """By the host that an import came from; it may be gone by now."""

    column = "host"


class ImportProblemFilter(ChoiceFilter):
    """By what ended an import, as the API calls it."""

    title = gettext_lazy("reason")
    parameter_name = "reason"
    column = "error__code"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(kind.code, kind.code) for kind in ImportProblem.__subclasses__()]


class KindFilter(ChoiceFilter):
    """By kind of token."""

    title = gettext_lazy("kind")
    parameter_name = column = "kind"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(kind.value, str(kind.title)) for kind in Kind]


class DoneByHandFilter(admin.SimpleListFilter):
    """Of the tokens that a person has to revoke: those somebody said they did, or those still open."""

    title = gettext_lazy("revocation by hand")
    parameter_name = "by_hand"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, _StrPromise]]:
        return [("open", gettext_lazy("still open")), ("done", gettext_lazy("done by hand"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"open", "done"}:
            return queryset
        is_open = self.value() == "open"
        return queryset.filter(state=RevocationState.MANUAL, acknowledged_at__isnull=is_open)


class ClientFilter(ChoiceFilter):
    """By service client; as above, without loading the hash of its key."""

    title = gettext_lazy("client")
    parameter_name = "client"
    column = "client__name"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [
            (name, name) for name in ServiceClient.objects.order_by("name").values_list("name", flat=True)
        ]
