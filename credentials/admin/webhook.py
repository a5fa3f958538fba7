"""Webhook endpoints: a signing secret is shown once, and a failing endpoint is seen at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import EMPTY, badge, kept, listing, moment
from credentials.admin.filters import ClientFilter
from credentials.admin.guarded import Question, actor_of
from credentials.admin.service_form import ServiceForm, ServiceFormAdmin
from credentials.admin.shown_once import show_once
from credentials.crypto.secret import Secret
from credentials.models import DeliveryState, ServiceClient, WebhookEndpoint, WebhookEvent
from credentials.services.webhooks import endpoints

_MADE = "forgekey.made"


def _event_choices() -> list[tuple[str, str]]:
    return [(event.value, f"{event.value}: {event.label}") for event in WebhookEvent]


class ChangeForm(ServiceForm):
    """What may change of an endpoint: what it hears, and whether it hears anything."""

    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        choices=_event_choices,
        required=False,
        help_text=gettext_lazy("None ticked: every event, those of tomorrow included."),
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar[tuple[str, ...]] = ("events", "is_enabled")


class AddForm(ChangeForm):
    """A new endpoint: whose it is, where it lies, and what it hears."""

    client = forms.ModelChoiceField(
        label=gettext_lazy("Client"),
        queryset=ServiceClient.objects.filter(revoked_at=None).defer("key_hash").order_by("name"),
    )
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=endpoints.LONGEST_ADDRESS,
        help_text=gettext_lazy("Where messages are sent by POST. It cannot be changed later."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )

    class Meta(ChangeForm.Meta):
        fields = ("client", "url", "events", "allow_private_network")
        help_texts: ClassVar = {
            "allow_private_network": gettext_lazy(
                "Messages may then go to loopback and private networks, and there without encryption."
            ),
        }

    def _get_validation_exclusions(self) -> set[str]:
        # The service judges addresses; Django's own rule refuses names without a dot, which are common
        # in private networks.
        return {*super()._get_validation_exclusions(), "url"}  # type: ignore[misc]  # not in the stubs


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ServiceFormAdmin):
    """Add endpoints, choose what they hear, switch them, renew their secrets, remove them.

    ``change`` permission lets staff renew secrets, ``delete`` permission remove endpoints.
    """

    form = ChangeForm
    subject_kind = "webhook"
    list_display = ("url", "client_name", "state", "hears", "waiting", "given_up", "created")
    list_filter = (ClientFilter, "is_enabled")
    search_fields = ("url", "=client__name")
    actions = ("renew_secret", "remove")
    page_actions = {"renew_secret": gettext_lazy("Renew secret"), "remove": gettext_lazy("Remove")}
    fieldsets = (
        (None, {"fields": ("client_name", "url", "allow_private_network", "events", "is_enabled")}),
        (
            gettext_lazy("As it stands"),
            {"fields": ("state", "disabled_reason", "waiting", "given_up", "old_secret", "created")},
        ),
    )
    readonly_fields = (
        *("client_name", "url", "allow_private_network", "state", "disabled_reason"),
        *("waiting", "given_up", "old_secret", "created"),
    )
    created = kept("created_at", gettext_lazy("created"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        """Every endpoint with what waits for it, without anything sealed or hashed."""
        every: QuerySet[WebhookEndpoint] = super().get_queryset(request)
        sealed = ("secret_envelope", "previous_secret_envelope", "client__key_hash")
        return (
            every.select_related("client")
            .defer(*sealed)
            .annotate(
                waiting_count=Count("deliveries", filter=Q(deliveries__state=DeliveryState.PENDING)),
                failed_count=Count("deliveries", filter=Q(deliveries__state=DeliveryState.FAILED)),
            )
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{"form": ChangeForm if change else AddForm, **kwargs})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is not None else ((None, {"fields": AddForm.Meta.fields}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_there = obj is None or obj.removed_at is None
        return is_there and self.permitted(request, "change")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, "view") or self.permitted(request, "change")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "delete")

    def offered(self, found: WebhookEndpoint) -> Iterable[str]:
        return self.page_actions if found.removed_at is None else ()

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        given = form.cleaned_data
        if change:
            endpoints.change(
                actor=actor_of(request), endpoint=obj, events=given["events"], enabled=given["is_enabled"]
            )
            return
        made, secret = endpoints.add(
            actor=actor_of(request),
            client=given["client"],
            url=given["url"],
            events=given["events"],
            allow_private_network=given["allow_private_network"],
        )
        obj.pk = made.pk
        request.META[_MADE] = secret

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The signing secret, once."""
        return self._show(request, obj, request.META.pop(_MADE))

    def _show(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: Secret) -> HttpResponse:
        return show_once(
            request,
            self,
            endpoint,
            secret,
            title=_("The signing secret of %s") % endpoint.url,
            label=_("Signing secret"),
            explained=_(
                "Copy the secret now and put it where the receiver reads it. It is shown only here and only "
                "now; what is kept is sealed."
            ),
            hint=_(
                "A click into the field and Ctrl+A or ⌘A selects the whole secret. It begins with whsec_."
            ),
        )

    @admin.action(
        description=gettext_lazy("Renew the signing secret of the selected endpoint"), permissions=["change"]
    )
    def renew_secret(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        """After a confirmation: a new secret, shown once; for a day the old one signs as well.

        The answer to the confirmation names the secret it was asked about: sent twice (a reloaded page), it
        does not make a third one.
        """
        found = list(chosen[:2])
        if len(found) != 1 or found[0].removed_at is not None:
            text = _("Please choose exactly one endpoint, one that is not removed.")
            self.message_user(request, text, messages.ERROR)
            return None
        (endpoint,) = found
        if not self.confirmed(request):
            return self.ask(request, chosen, _renewing(endpoint))
        if request.POST.get("generation") != str(endpoint.secret_generation):
            text = _("The secret of %s was renewed already. Renew it again if nobody kept the new one.")
            self.message_user(request, text % endpoint.url, messages.WARNING)
            return self.back(request, found)
        secret = endpoints.renew_secret(actor=actor_of(request), endpoint=endpoint, now=timezone.now())
        return self._show(request, endpoint, secret)

    @admin.action(description=gettext_lazy("Remove the selected endpoints"), permissions=["remove"])
    def remove(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        """After a confirmation: nothing is sent there any more."""
        if not self.confirmed(request):
            return self.ask(request, chosen, _REMOVING)
        found = [endpoint for endpoint in chosen if endpoint.removed_at is None]
        for endpoint in found:
            endpoints.remove(actor=actor_of(request), endpoint=endpoint, now=timezone.now())
        count = len(found)
        text = ngettext("%d endpoint is removed.", "%d endpoints are removed.", count) % count
        self.message_user(request, text, messages.SUCCESS)
        return self.back(request, found) if found else None

    @admin.display(description=gettext_lazy("client"), ordering="client__name")
    def client_name(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.client.name

    @admin.display(description=gettext_lazy("state"), ordering="failing_since")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        if endpoint.removed_at is not None:
            return badge(_("removed"), "idle")
        if not endpoint.is_enabled:
            return badge(_("switched off"), "bad" if endpoint.disabled_reason else "idle")
        if not endpoint.client.is_active(timezone.now()):
            return badge(_("client not active"), "idle")
        if endpoint.failing_since is None:
            return badge(_("works"), "ok")
        return badge(
            _("failing since %s") % f"{timezone.localtime(endpoint.failing_since):%Y-%m-%d %H:%M}", "bad"
        )

    @admin.display(description=gettext_lazy("events"))
    def hears(self, endpoint: WebhookEndpoint) -> str:
        return listing(endpoint.events, nothing=_("every event"))

    @admin.display(description=gettext_lazy("waiting"), ordering="waiting_count")
    def waiting(self, endpoint: Any) -> int:
        return int(endpoint.waiting_count)

    @admin.display(description=gettext_lazy("given up"), ordering="failed_count")
    def given_up(self, endpoint: Any) -> int:
        return int(endpoint.failed_count)

    @admin.display(description=gettext_lazy("old secret signs until"))
    def old_secret(self, endpoint: WebhookEndpoint) -> str:
        until = endpoint.previous_secret_until
        return moment(until) if until is not None and until > timezone.now() else EMPTY


def _renewing(endpoint: WebhookEndpoint) -> Question:
    return Question(
        action="renew_secret",
        title=_("Renew the signing secret of %s?") % endpoint.url,
        text=_(
            "The new secret is shown once, on the next page. For a day messages carry a signature by the "
            "present one, too, so that the receiver can change in its own time."
        ),
        button=_("Renew the secret"),
        hidden={"generation": str(endpoint.secret_generation)},
    )


_REMOVING = Question(
    action="remove",
    title=gettext_lazy("Remove webhook endpoints?"),
    text=gettext_lazy(
        "Nothing is sent there from this moment, and what waits is given up. This cannot be undone; a new "
        "endpoint can be added."
    ),
    button=gettext_lazy("Remove"),
)
