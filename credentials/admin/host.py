"""Hosts: added and changed through the service; a client secret goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from credentials.admin.read_only import actor_of
from credentials.crypto.secret import Secret
from credentials.errors import ForgekeyError
from credentials.models import Host
from credentials.providers import registry
from credentials.services import hosts


class HostForm(forms.ModelForm[Host]):
    """A host; the client secret is write-only."""

    provider = forms.ChoiceField(choices=registry.choices, label=_("Provider"))
    web_url = forms.URLField(assume_scheme="https", label=_("Web address"))
    api_url = forms.URLField(
        required=False,
        assume_scheme="https",
        label=_("API address"),
        help_text=_("Empty: where this provider keeps it."),
    )
    client_secret = forms.CharField(
        required=False,
        strip=True,
        label=_("OAuth client secret"),
        help_text=_("Never shown again. Empty keeps what is stored."),
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
    )

    class Meta:
        model = Host
        fields = (
            "slug",
            "provider",
            "name",
            "web_url",
            "api_url",
            "allow_private_network",
            "client_id",
            "client_secret",
            "oauth_scopes",
        )

    def clean(self) -> dict[str, Any]:
        """Ask the service now, so that what it refuses is an error of the form and nothing half-saved."""
        data = super().clean() or {}
        if self.errors:
            return data
        secret = data.pop("client_secret", "")
        try:
            self.saved = hosts.add_host(
                actor=self.actor,
                slug=data.get("slug", ""),
                provider=data.get("provider", ""),
                name=data.get("name", ""),
                web_url=data.get("web_url", ""),
                api_url=data.get("api_url", ""),
                client_id=data.get("client_id", ""),
                client_secret=Secret(secret) if secret else None,
                oauth_scopes=data.get("oauth_scopes") or (),
                allow_private_network=bool(data.get("allow_private_network")),
            )
        except ForgekeyError as error:
            raise forms.ValidationError(str(error)) from error
        return data

    def _post_clean(self) -> None:
        """The service has checked and saved; Django's own model validation would look at the old row."""

    actor: Any = None
    saved: Host | None = None


@admin.register(Host)
class HostAdmin(admin.ModelAdmin[Host]):
    """Register hosts, open and close them. A host is never deleted: the trail names it."""

    form = HostForm
    list_display = ("name", "slug", "provider", "web_url", "offers_oauth", "is_enabled")
    list_filter = ("provider", "is_enabled")
    search_fields = ("name", "slug", "web_url")
    actions = ("enable", "disable")
    readonly_fields = ("is_enabled", "created_at", "updated_at")

    @admin.display(boolean=True, description=_("OAuth"))
    def offers_oauth(self, host: Host) -> bool:
        return host.offers_oauth

    def get_readonly_fields(self, request: HttpRequest, obj: Host | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        slug = obj.slug if obj else None

        class BoundForm(form):  # type: ignore[misc,valid-type]  # made for this request
            actor = actor_of(request)

            def clean(self) -> dict[str, Any]:
                if slug is not None:
                    self.cleaned_data["slug"] = slug
                return dict(super().clean())

        return BoundForm

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """The service has saved it."""
        return form.saved

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """As above."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """A host has no related rows to save."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=_("Open the selected hosts"), permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[Host]) -> None:
        self._set(request, chosen, enabled=True)

    @admin.action(description=_("Close the selected hosts: nothing is lent there"), permissions=["change"])
    def disable(self, request: HttpRequest, chosen: QuerySet[Host]) -> None:
        self._set(request, chosen, enabled=False)

    def _set(self, request: HttpRequest, chosen: QuerySet[Host], *, enabled: bool) -> None:
        for host in chosen:
            hosts.set_enabled(actor=actor_of(request), host=host, enabled=enabled)
        self.message_user(request, _("Done."), messages.SUCCESS)
