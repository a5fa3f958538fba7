"""Leases, read as sentences."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.display import badge, moment, outcome_badge
from credentials.admin.filters import ClientFilter, HostFilter
from credentials.admin.paging import REACH, CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.models import Lease


class LeaseHostFilter(HostFilter):
    """By the host of the lent credential."""

    column = "credential__host__slug"


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    """Who borrowed what, for which repository, why, and until when."""

    list_display = ("sentence", "purpose", "when", "state", "answer")
    list_filter = (ClientFilter, LeaseHostFilter, "outcome", "created_at")
    search_fields = ("=client__name", "=credential__owner__username", "repository_url", "=reference")
    search_help_text = format_lazy(
        gettext_lazy(
            "A client, a person, a reference, or a part of a repository's address. "
            "Lists reach back {reach} leases; narrow them by a filter to see older ones."
        ),
        reach=REACH,
    )
    sortable_by = ("when",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = None
    fields = (
        "sentence",
        "purpose",
        "reference",
        "repository_url",
        "client",
        "credential",
        "chosen_because",
        "when",
        "expires_at",
        "ended_at",
        "state",
        "answer",
        "outcome_detail",
        "reported_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lease]:
        """Every lease with the names it speaks of, without anything sealed or hashed."""
        return (
            super()
            .get_queryset(request)
            .select_related("client", "credential__owner", "credential__host")
            .defer(
                "client__key_hash",
                "credential__access_envelope",
                "credential__refresh_envelope",
                "credential__fingerprint",
                "credential__owner__password",
                "credential__host__client_secret_envelope",
            )
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """A lease's events are told of its credential."""
        return {"subject_kind": "credential", "subject_id": str(found.credential_id)}

    @admin.display(description=gettext_lazy("lease"))
    def sentence(self, lease: Lease) -> str:
        words = {
            "client": lease.client.name,
            "owner": lease.credential.owner.get_username(),
            "host": lease.credential.host.name,
            "repository": _repository(lease.repository_url),
        }
        if not words["repository"]:
            return _("%(client)s borrowed %(owner)s's %(host)s credential") % words
        return _("%(client)s borrowed %(owner)s's %(host)s credential for %(repository)s") % words

    @admin.display(description=gettext_lazy("borrowed"), ordering="created_at")
    def when(self, lease: Lease) -> str:
        return moment(lease.created_at)

    @admin.display(description=gettext_lazy("state"))
    def state(self, lease: Lease) -> SafeString:
        if lease.is_active(timezone.now()):
            return badge(_("running"), "wait")
        return badge(_("ended"), "idle")

    @admin.display(description=gettext_lazy("outcome"))
    def answer(self, lease: Lease) -> SafeString:
        return outcome_badge(lease.outcome)


def _repository(url: str) -> str:
    """A repository as people name it: ``acme/cases``."""
    return urlsplit(url).path.strip("/").removesuffix(".git")
