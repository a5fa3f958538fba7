"""The log of webhook deliveries: what clients were told, how that went, and telling it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import badge, kept
from credentials.admin.filters import ChoiceFilter
from credentials.admin.guarded import actor_of
from credentials.admin.paging import REACH, CappedPaginator
from credentials.admin.read_only import ReadOnlyAdmin
from credentials.errors import Conflict
from credentials.models import DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent
from credentials.services.webhooks import outbox

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

_TONES = {DeliveryState.PENDING: "wait", DeliveryState.DELIVERED: "ok", DeliveryState.FAILED: "bad"}


class EventFilter(ChoiceFilter):
    """By what was told."""

    title = gettext_lazy("event")
    parameter_name = "event"
    column = "message__event"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(event.value, event.value) for event in WebhookEvent]


class EndpointFilter(ChoiceFilter):
    """By where it was told, without loading what is sealed."""

    title = gettext_lazy("endpoint")
    parameter_name = column = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = WebhookEndpoint.objects.order_by("url").values_list("pk", "client__name", "url")
        return [(str(pk), f"{client}: {url}") for pk, client, url in rows]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Every message to every endpoint, for thirty days."""

    list_display = ("event", "endpoint", "client", "condition", "attempts", "queued", "answer")
    list_filter = ("state", EventFilter, EndpointFilter, "created_at")
    search_fields = ("=message__id",)
    search_help_text = format_lazy(
        gettext_lazy(
            "A webhook-id. Lists reach back {reach} deliveries; narrow them by a filter to see older ones."
        ),
        reach=REACH,
    )
    sortable_by = ("queued",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = ("send_again",)
    page_actions = {"send_again": gettext_lazy("Send again")}
    fields = (
        "event",
        "endpoint",
        "client",
        "condition",
        "attempts",
        "queued",
        "next_attempt",
        "delivered",
        "sent_again",
        "answer",
        "webhook_id",
        "payload",
    )
    readonly_fields = fields
    queued = kept("created_at", gettext_lazy("queued"))
    next_attempt = kept("next_attempt_at", gettext_lazy("next attempt"))
    delivered = kept("delivered_at", gettext_lazy("first delivered"))
    sent_again = kept("sent_again_at", gettext_lazy("sent again"))
    webhook_id = kept("message_id", gettext_lazy("webhook-id"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        """Every delivery with the names it speaks of, without anything sealed or hashed."""
        return (
            super()
            .get_queryset(request)
            .select_related("message", "endpoint__client")
            .defer(
                "endpoint__secret_envelope",
                "endpoint__previous_secret_envelope",
                "endpoint__client__key_hash",
            )
        )

    def trail_of(self, found: Any) -> dict[str, str]:
        """A delivery's events are told of its endpoint."""
        return {"subject_kind": "webhook", "subject_id": str(found.endpoint_id)}

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Who may change endpoints may send to them."""
        return bool(request.user.has_perm("credentials.change_webhookendpoint"))

    @admin.action(description=gettext_lazy("Send the selected messages again"), permissions=["resend"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> HttpResponse | None:
        """Queue them once more; their receivers know them by the id they had."""
        found, queued = list(chosen), 0
        for delivery in found:
            try:
                queued += outbox.send_again(actor=actor_of(request), delivery=delivery, now=timezone.now())
            except Conflict as refusal:
                self.message_user(request, f"{delivery.endpoint}: {refusal}", messages.ERROR)
        if queued:
            text = ngettext("%d message is sent again.", "%d messages are sent again.", queued) % queued
            self.message_user(request, text, messages.SUCCESS)
        return self.back(request, found)

    @admin.display(description=gettext_lazy("event"))
    def event(self, delivery: WebhookDelivery) -> str:
        return delivery.message.event

    @admin.display(description=gettext_lazy("client"))
    def client(self, delivery: WebhookDelivery) -> str:
        return delivery.endpoint.client.name

    @admin.display(description=gettext_lazy("state"))
    def condition(self, delivery: WebhookDelivery) -> SafeString:
        state = DeliveryState(delivery.state)
        if state is DeliveryState.PENDING and delivery.round_attempts:
            return badge(_("being tried again"), "warn")
        if state is DeliveryState.PENDING and delivery.sent_again_at:
            return badge(_("being sent again"), "wait")
        return badge(state.label, _TONES[state])

    @admin.display(description=gettext_lazy("last answer"))
    def answer(self, delivery: WebhookDelivery) -> str:
        return delivery.last_error or str(delivery.last_status or "-")

    @admin.display(description=gettext_lazy("message"))
    def payload(self, delivery: WebhookDelivery) -> SafeString:
        told = json.loads(outbox.body_of(delivery.message))
        return format_html('<pre class="payload">{}</pre>', json.dumps(told, indent=2, ensure_ascii=False))
