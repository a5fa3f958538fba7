"""Hosts: registered and changed through the service; a client secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import BooleanField, Case, Count, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from credentials.admin.display import badge, kept
from credentials.admin.guarded import actor_of
from credentials.admin.service_form import ServiceForm, ServiceFormAdmin
from credentials.crypto.secret import Secret
from credentials.models import Host, Status
from credentials.providers import registry
from credentials.services import hosts

_ADDRESSES = ("provider", "web_url", "api_url")


class HostForm(ServiceForm):
    """A host as its operator describes it. The client secret is written, never rendered."""

    provider = forms.ChoiceField(label=gettext_lazy("Provider"), choices=registry.choices)
    web_url = forms.CharField(
        label=gettext_lazy("Web address"),
        max_length=300,
        help_text=gettext_lazy("Where people see their repositories, such as https://git.example.org."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )
    api_url = forms.CharField(
        label=gettext_lazy("API address"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("Leave it empty to use the place where this provider keeps it."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )
    client_secret = forms.CharField(
        label=gettext_lazy("OAuth client secret"),
        required=False,
        help_text=gettext_lazy("Stored sealed and never shown again. Leave it empty to keep what is stored."),
        widget=forms.PasswordInput(
            render_value=False, attrs={"class": "vTextField", "autocomplete": "new-password"}
        ),
    )
    oauth_scopes = forms.CharField(
        label=gettext_lazy("OAuth scopes"),
        required=False,
        help_text=gettext_lazy("One a line. Leave it empty for the least that an import needs."),
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
    )

    class Meta:
        model = Host
        fields = ("slug", "name", "client_id", "allow_private_network")
        help_texts: ClassVar = {
            "slug": gettext_lazy("A short name for addresses and the API. It cannot be changed later."),
            "client_id": gettext_lazy(
                "Of the OAuth app registered at the host. Empty: people connect with tokens only, "
                "and a stored client secret is destroyed."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["oauth_scopes"] = "\n".join(self.initial.get("oauth_scopes") or ())

    def _get_validation_exclusions(self) -> set[str]:
        # The service judges addresses; Django's own rule refuses names without a dot, which are common
        # in private networks.
        return {*super()._get_validation_exclusions(), "web_url", "api_url"}  # type: ignore[misc]  # not in the stubs

    def clean_oauth_scopes(self) -> list[str]:
        return str(self.cleaned_data["oauth_scopes"]).split()

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("client_secret") and not data.get("client_id"):
            self.add_error("client_id", _("A client secret belongs to a client id."))
        return data

    def take_client_secret(self) -> Secret | None:
        """The secret that was typed, or None; the form forgets it."""
        typed = self.cleaned_data.pop("client_secret", "")
        return Secret(typed) if typed else None


@admin.register(Host)
class HostAdmin(ServiceFormAdmin):
    """Register hosts, open and close them. A host is never deleted."""

    form = HostForm
    subject_kind = "host"
    list_display = ("name", "slug", "provider_title", "web_url", "state", "oauth", "connected")
    list_filter = ("is_enabled", "provider")
    search_fields = ("name", "slug", "web_url")
    actions = ("enable", "disable")
    page_actions = {"enable": gettext_lazy("Enable"), "disable": gettext_lazy("Disable")}
    fieldsets = (
        (None, {"fields": ("slug", "name", "provider", "web_url", "api_url", "allow_private_network")}),
        (gettext_lazy("OAuth"), {"fields": ("client_id", "client_secret", "oauth_scopes")}),
        (
            gettext_lazy("As it stands"),
            {"fields": ("state", "oauth", "connected", "created", "changed")},
        ),
    )
    readonly_fields = ("state", "oauth", "connected", "created", "changed")
    created = kept("created_at", gettext_lazy("created"))
    changed = kept("updated_at", gettext_lazy("changed"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Host]:
        """Every host, without its sealed client secret, which no page has a use for."""
        sealed = Q(client_secret_envelope__isnull=False) & ~Q(client_id="")
        every: QuerySet[Host] = super().get_queryset(request)
        return every.defer("client_secret_envelope").annotate(
            has_client=Case(
                When(sealed, then=Value(True)), default=Value(False), output_field=BooleanField()
            ),
            connected_count=Count("credentials", filter=~Q(credentials__status=Status.DISCONNECTED)),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The slug is what clients say; the addresses are what sealed secrets are bound to."""
        if obj is None:
            return self.readonly_fields
        bound = _ADDRESSES if obj.has_client or obj.connected_count else ("provider",)
        return (*self.readonly_fields, "slug", *bound)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj is not None else self.fieldsets[:2]

    @method_decorator(sensitive_post_parameters("client_secret"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """As everywhere; an error report leaves the secret out."""
        return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Host, form: Any, change: bool) -> None:
        saved = hosts.add_host(
            actor=actor_of(request),
            slug=obj.slug,
            provider=obj.provider,
            web_url=obj.web_url,
            api_url=obj.api_url,
            name=obj.name,
            client_id=obj.client_id,
            client_secret=form.take_client_secret(),
            oauth_scopes=form.cleaned_data["oauth_scopes"],
            allow_private_network=obj.allow_private_network,
            exactly=True,
        )
        obj.pk = saved.pk

    @admin.display(description=gettext_lazy("provider"), ordering="provider")
    def provider_title(self, host: Host) -> str:
        return dict(registry.choices()).get(host.provider, host.provider)

    @admin.display(description=gettext_lazy("state"), ordering="is_enabled")
    def state(self, host: Host) -> SafeString:
        return badge(_("enabled"), "ok") if host.is_enabled else badge(_("disabled"), "idle")

    @admin.display(description=gettext_lazy("OAuth"), boolean=True)
    def oauth(self, host: Any) -> bool:
        return bool(host.has_client)

    @admin.display(description=gettext_lazy("connected accounts"), ordering="connected_count")
    def connected(self, host: Any) -> int:
        return int(host.connected_count)

    def offered(self, found: Host) -> Iterable[str]:
        return ("disable",) if found.is_enabled else ("enable",)

    @admin.action(description=gettext_lazy("Enable the selected hosts"), permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[Host]) -> HttpResponse | None:
        return self._set(request, chosen, enabled=True)

    @admin.action(
        description=gettext_lazy("Disable the selected hosts: nothing is connected or lent there"),
        permissions=["change"],
    )
    def disable(self, request: HttpRequest, chosen: QuerySet[Host]) -> HttpResponse | None:
        return self._set(request, chosen, enabled=False)

    def _set(self, request: HttpRequest, chosen: QuerySet[Host], *, enabled: bool) -> HttpResponse | None:
        found = list(chosen)
        turned = [host for host in found if host.is_enabled != enabled]
        for host in turned:
            hosts.set_enabled(actor=actor_of(request), host=host, enabled=enabled)
        count = len(turned)
        text = (
            ngettext("%d host is enabled now.", "%d hosts are enabled now.", count)
            if enabled
            else ngettext("%d host is disabled now.", "%d hosts are disabled now.", count)
        )
        self.message_user(request, text % count, messages.SUCCESS)
        return self.back(request, found)
