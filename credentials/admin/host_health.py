"""Which hosts have not been answering, and when they are asked again."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.display import badge, moment
from credentials.admin.filters import HostFilter
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import HostHealth
from credentials.services import circuit_breaker


@admin.register(HostHealth)
class HostHealthAdmin(ReadOnlyAdmin):
    """A host that is not listed has not failed lately."""

    list_display = ("host", "state", "failures", "since", "again", "last_failure")
    list_filter = (HostFilter,)
    actions = None
    fields = ("host", "state", "failures", "since", "again", "last_failure")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[HostHealth]:
        every: QuerySet[HostHealth] = super().get_queryset(request)
        return every.select_related("host").defer("host__client_secret_envelope")

    @admin.display(description=gettext_lazy("state"), ordering="failures")
    def state(self, health: HostHealth) -> SafeString:
        if health.retry_at is not None and health.retry_at > timezone.now():
            return badge(_("not asked"), "bad")
        if health.failures >= circuit_breaker.FAILURES:
            return badge(_("tried again"), "wait")
        return badge(_("failing"), "warn") if health.failures else badge(_("answering"), "ok")

    @admin.display(description=gettext_lazy("failing since"), ordering="failing_since")
    def since(self, health: HostHealth) -> str:
        return moment(health.failing_since)

    @admin.display(description=gettext_lazy("asked again"), ordering="retry_at")
    def again(self, health: HostHealth) -> str:
        return moment(health.retry_at)
