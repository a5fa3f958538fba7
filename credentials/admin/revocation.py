"""Tokens on their way out: what became of each at its host, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import moment, page_link, revocation_badge
from credentials.admin.filters import DoneByHandFilter, HostFilter
from credentials.admin.guarded import actor_of
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.errors import AuditUnavailable
from credentials.models import Revocation, RevocationState
from credentials.providers.tokens import Kind
from credentials.services.revocation import attempts, receipts

# Each asks the host while the page waits.
MOST_AT_ONCE = 20


@admin.register(Revocation)
class RevocationAdmin(ReadOnlyAdmin):
    """The receipts. Whoever may disconnect credentials may have a host asked again at once, and say for somebody
    who is not here any more that a token was revoked by hand.
    """

    list_display = ("token", "owner_name", "host", "reason", "answer", "when", "attempts", "evidence")
    list_filter = ("state", DoneByHandFilter, HostFilter, "reason")
    search_fields = ("=owner_name", "account_name", "label")
    search_help_text = gettext_lazy("The owner, the account at the host, or the label.")
    sortable_by = ("when",)
    actions = ("retry_now", "mark_done")
    page_actions = {
        "retry_now": gettext_lazy("Ask the host now"),
        "mark_done": gettext_lazy("Mark as done by hand"),
    }
    fields = (
        "token",
        "owner_name",
        "host",
        "kind_title",
        "credential",
        "reason",
        "answer",
        "evidence",
        "page",
        "attempts",
        "when",
        "next_attempt_at",
        "accepted_at",
        "verified_at",
        "finished_at",
        "acknowledged_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revocation]:
        """Every receipt, without what is sealed."""
        every: QuerySet[Revocation] = super().get_queryset(request)
        return every.select_related("host", "credential").defer(
            "access_envelope",
            "refresh_envelope",
            "host__client_secret_envelope",
            "credential__access_envelope",
            "credential__refresh_envelope",
            "credential__fingerprint",
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """A token's events are told of its credential."""
        return {"subject_id": str(found.row)}

    @admin.display(description=gettext_lazy("token"))
    def token(self, revocation: Revocation) -> str:
        return revocation.label or revocation.account_name or self.kind_title(revocation)

    @admin.display(description=gettext_lazy("kind"))
    def kind_title(self, revocation: Revocation) -> str:
        return str(Kind(revocation.kind).title)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def answer(self, revocation: Revocation) -> SafeString:
        return revocation_badge(revocation)

    @admin.display(description=gettext_lazy("asked for"), ordering="requested_at")
    def when(self, revocation: Revocation) -> str:
        return moment(revocation.requested_at)

    @admin.display(description=gettext_lazy("where to do it by hand"))
    def page(self, revocation: Revocation) -> str:
        return page_link(revocation.manual_url)

    def offered(self, found: Revocation) -> Iterable[str]:
        if found.state == RevocationState.PENDING:
            return ("retry_now",)
        return ("mark_done",) if receipts.is_open(found) else ()

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("credentials.delete_credential"))

    @admin.action(description=gettext_lazy("Ask the hosts now"), permissions=["disconnect"])
    def retry_now(self, request: HttpRequest, chosen: QuerySet[Revocation]) -> HttpResponse | None:
        """Ask about each that is not settled, one by one, and say what came of it."""
        waiting = list(chosen.filter(state=RevocationState.PENDING)[: MOST_AT_ONCE + 1])
        if len(waiting) > MOST_AT_ONCE:
            text = _("At most %d can be asked about at once. Please choose fewer; the rest is asked in time.")
            self.message_user(request, text % MOST_AT_ONCE, messages.ERROR)
            return None
        for one in waiting:
            text, level = _asked(request, one)
            self.message_user(request, f"{self.token(one)}: {text}", level)
        if not waiting:
            self.message_user(request, _("All of these are settled."), messages.INFO)
        return self.back(request, chosen)

    @admin.action(description=gettext_lazy("Mark as done by hand"), permissions=["disconnect"])
    def mark_done(self, request: HttpRequest, chosen: QuerySet[Revocation]) -> HttpResponse | None:
        """Close what a person has ended at its host; each is told of in the trail by itself."""
        found, now = list(chosen), timezone.now()
        done = sum(
            receipts.acknowledge(actor=actor_of(request), revocation=one, now=now)
            for one in found
            if receipts.is_open(one)
        )
        if done:
            text = ngettext("%d token is marked as done.", "%d tokens are marked as done.", done) % done
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, _("None of these is to be revoked by hand."), messages.INFO)
        return self.back(request, found)


def _asked(request: HttpRequest, revocation: Revocation) -> tuple[str, int]:
    try:
        done = attempts.attempt(revocation, actor=actor_of(request))
    except AuditUnavailable as error:
        return str(error), messages.ERROR
    level = {
        RevocationState.PENDING.value: messages.INFO,
        RevocationState.MANUAL.value: messages.WARNING,
    }.get(done.state, messages.SUCCESS)
    return f"{RevocationState(done.state).label}. {done.evidence}", level
