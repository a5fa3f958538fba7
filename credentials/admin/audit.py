"""The audit trail, read-only for everyone."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what to whom, when and why."""

    list_display = (
        "seq",
        "at",
        "actor_name",
        "action",
        "subject_name",
        "owner_name",
        "host",
        "repository",
        "purpose",
    )
    list_filter = ("action", "actor_kind", "host")
    search_fields = ("actor_name", "subject_name", "owner_name", "organization", "repository", "reference")
    fields = (
        ("seq", "id", "at"),
        ("actor_kind", "actor_name", "actor_id"),
        "action",
        ("subject_kind", "subject_name", "subject_id"),
        ("owner_name", "owner_id"),
        ("host", "organization", "repository"),
        ("purpose", "reference"),
        ("request_id", "address"),
        "data",
        "mac_start",
    )
    readonly_fields = ("mac_start",)
    actions = None

    @admin.display(description=_("MAC begins with"))
    def mac_start(self, event: AuditEvent) -> str:
        return bytes(event.mac).hex()[:16]
