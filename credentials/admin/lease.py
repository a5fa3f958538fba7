"""Leases, read as sentences."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import Lease


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    """Who borrowed what, for which repository, why, and until when."""

    list_display = ("sentence", "purpose", "reference", "created_at", "expires_at", "outcome")
    list_filter = ("client", "credential__host", "outcome")
    search_fields = ("client__name", "credential__owner__username", "repository_url", "purpose", "reference")
    list_select_related = ("client", "credential__owner", "credential__host")

    @admin.display(description=_("lease"))
    def sentence(self, lease: Lease) -> str:
        words = {
            "client": lease.client.name,
            "owner": lease.credential.owner.get_username(),
            "host": lease.credential.host.name,
            "repository": lease.repository_url or gettext("the whole host"),
        }
        return gettext("%(client)s borrowed %(owner)s's %(host)s credential for %(repository)s") % words
