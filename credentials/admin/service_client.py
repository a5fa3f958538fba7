"""Service clients: a key is shown once, in the answer to the request that made it, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from credentials.admin.display import badge, listing
from credentials.admin.guarded import Question, actor_of
from credentials.admin.service_form import ServiceForm, ServiceFormAdmin
from credentials.admin.shown_once import show_once
from credentials.crypto.secret import Secret
from credentials.models import Host, Scope, ServiceClient
from credentials.services import clients

_NEW_KEY = "forgekey.new_key"


class MomentWidget(AdminSplitDateTime):
    """Django's date and time inputs, which share one label, each with a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.widgets[0].attrs["aria-label"] = gettext_lazy("Expires, date")
        self.widgets[1].attrs["aria-label"] = gettext_lazy("Expires, time")


def _scopes() -> list[tuple[str, str]]:
    return [(scope.value, f"{scope.value}: {scope.label}") for scope in Scope]


def _hosts() -> list[tuple[str, str]]:
    return list(Host.objects.order_by("name").values_list("slug", "name"))


class ServiceClientForm(ServiceForm):
    """A new client: its name, what it may do, where, from where and until when."""

    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=_scopes,
        help_text=gettext_lazy("Grant the least that works."),
        widget=forms.CheckboxSelectMultiple,
    )
    hosts = forms.MultipleChoiceField(
        label=gettext_lazy("Hosts"),
        choices=_hosts,
        required=False,
        help_text=gettext_lazy("None ticked: every host, those of tomorrow included."),
        widget=forms.CheckboxSelectMultiple,
    )
    allowed_networks = forms.CharField(
        label=gettext_lazy("Allowed networks"),
        required=False,
        help_text=gettext_lazy("CIDR blocks such as 10.1.0.0/16, one a line. Empty: from anywhere."),
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Expires"),
        required=False,
        help_text=gettext_lazy("Empty: never."),
        widget=MomentWidget,
    )

    class Meta:
        model = ServiceClient
        fields = ("name", "scopes", "hosts", "allowed_networks", "expires_at")

    def clean_allowed_networks(self) -> list[str]:
        return str(self.cleaned_data["allowed_networks"]).split()

    def clean_expires_at(self) -> Any:
        ends = self.cleaned_data["expires_at"]
        if ends is not None and ends <= timezone.now():
            raise forms.ValidationError(_("This moment is not in the future."))
        return ends


@admin.register(ServiceClient)
class ServiceClientAdmin(ServiceFormAdmin):
    """Make clients, renew their keys, revoke them. A client is never changed otherwise, nor deleted.

    ``change`` permission lets staff renew keys, ``delete`` permission revoke clients.
    """

    form = ServiceClientForm
    subject_kind = "client"
    list_display = ("name", "public_id", "state", "scope_list", "host_list", "expires_at", "created_at")
    list_filter = ("expires_at", "revoked_at")
    search_fields = ("name", "public_id")
    actions = ("renew_key", "revoke")
    page_actions = {"renew_key": gettext_lazy("Renew key"), "revoke": gettext_lazy("Revoke")}
    readonly_fields: ClassVar = ()
    _shown = (
        "name",
        "public_id",
        "state",
        "scope_list",
        "host_list",
        "network_list",
        "expires_at",
        "revoked_at",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceClient]:
        return super().get_queryset(request).defer("key_hash")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is no form for changing: whoever needs other rights gets another client."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.permitted(request, "view") or self.permitted(request, "change")

    def has_renew_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "change")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "delete")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ServiceClientForm.Meta.fields if obj is None else self._shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self._shown

    def offered(self, found: ServiceClient) -> Iterable[str]:
        return self.page_actions if found.revoked_at is None else ()

    def save_model(self, request: HttpRequest, obj: ServiceClient, form: Any, change: bool) -> None:
        given = form.cleaned_data
        made, key = clients.create(
            actor=actor_of(request),
            name=given["name"],
            scopes=given["scopes"],
            hosts=given["hosts"],
            allowed_networks=given["allowed_networks"],
            expires_at=given["expires_at"],
        )
        obj.pk, obj.public_id = made.pk, made.public_id
        request.META[_NEW_KEY] = key

    def response_add(
        self, request: HttpRequest, obj: ServiceClient, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The key, once."""
        return self._show(request, obj, request.META.pop(_NEW_KEY))

    def _show(self, request: HttpRequest, client: ServiceClient, key: Secret) -> HttpResponse:
        return show_once(
            request,
            self,
            client,
            key,
            title=_("The key of %s") % client.name,
            label=_("Service key"),
            explained=_(
                "Copy the key now and put it where the client reads it. It is shown only here and only now; "
                "what is kept is a keyed hash."
            ),
            hint=_("A click into the field and Ctrl+A or ⌘A selects the whole key. It begins with fk_."),
        )

    @admin.action(description=gettext_lazy("Renew the key of the selected client"), permissions=["renew"])
    def renew_key(self, request: HttpRequest, chosen: QuerySet[ServiceClient]) -> HttpResponse | None:
        """After a confirmation: a new key, shown once; the old one is refused from then on.

        The answer to the confirmation names the key it was asked about. Sent twice (a reloaded page), it
        does not make a third key.
        """
        found = list(chosen[:2])
        if len(found) != 1 or found[0].revoked_at is not None:
            text = _("Please choose exactly one client, one that is not revoked.")
            self.message_user(request, text, messages.ERROR)
            return None
        (client,) = found
        if not self.confirmed(request):
            return self.ask(request, chosen, _renewing(client))
        if request.POST.get("public_id") != client.public_id:
            text = _("The key of %s was renewed already. Renew it again if nobody kept the new one.")
            self.message_user(request, text % client.name, messages.WARNING)
            return self.back(request, found)
        key = clients.renew_key(actor=actor_of(request), client=client)
        return self._show(request, client, key)

    @admin.action(description=gettext_lazy("Revoke the selected clients"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ServiceClient]) -> HttpResponse | None:
        """After a confirmation: refuse their keys from now on."""
        if not self.confirmed(request):
            return self.ask(request, chosen, _REVOKING)
        found = list(chosen)
        for client in found:
            clients.revoke(actor=actor_of(request), client=client, now=timezone.now())
        count = len(found)
        text = ngettext("%d client is revoked.", "%d clients are revoked.", count) % count
        self.message_user(request, text, messages.SUCCESS)
        return self.back(request, found)

    @admin.display(description=gettext_lazy("state"))
    def state(self, client: ServiceClient) -> SafeString:
        if client.revoked_at is not None:
            return badge(_("revoked"), "bad")
        return badge(_("active"), "ok") if client.is_active(timezone.now()) else badge(_("expired"), "bad")

    @admin.display(description=gettext_lazy("scopes"))
    def scope_list(self, client: ServiceClient) -> str:
        return listing(client.scopes)

    @admin.display(description=gettext_lazy("hosts"))
    def host_list(self, client: ServiceClient) -> str:
        return listing(client.hosts, nothing=_("every host"))

    @admin.display(description=gettext_lazy("allowed networks"))
    def network_list(self, client: ServiceClient) -> str:
        return listing(client.allowed_networks, nothing=_("from anywhere"))


def _renewing(client: ServiceClient) -> Question:
    return Question(
        action="renew_key",
        title=_("Renew the key of %s?") % client.name,
        text=_(
            "The present key is refused from this moment: whatever uses it stops until it has the new one. "
            "The new key is shown once, on the next page."
        ),
        button=_("Renew the key"),
        hidden={"public_id": client.public_id},
    )


_REVOKING = Question(
    action="revoke",
    title=gettext_lazy("Revoke service clients?"),
    text=gettext_lazy(
        "Their keys are refused from this moment. This cannot be undone; a new client can be made."
    ),
    button=gettext_lazy("Revoke"),
)
