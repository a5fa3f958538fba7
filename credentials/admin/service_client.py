"""Service clients: a key is shown once, on the page that answers its making, and nowhere else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from credentials.admin.read_only import actor_of
from credentials.crypto.secret import Secret
from credentials.errors import ForgekeyError
from credentials.models import Host, Scope, ServiceClient
from credentials.services import clients


class ServiceClientForm(forms.ModelForm[ServiceClient]):
    """A new client: what it is called, what it may do, where, from where and until when."""

    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple)
    hosts = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None: every host.")
    )
    networks = forms.CharField(
        required=False, widget=forms.Textarea, help_text=_("CIDR blocks, one a line. None: from anywhere.")
    )

    class Meta:
        model = ServiceClient
        fields = ("name", "scopes", "hosts", "networks", "expires_at")

    actor: Any = None
    made: tuple[ServiceClient, Secret] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["hosts"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = [(host.slug, host.name) for host in Host.objects.all()]

    def clean(self) -> dict[str, Any]:
        """Make the client now, so that what the service refuses is an error of the form."""
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            self.made = clients.create(
                actor=self.actor,
                name=data["name"],
                scopes=data["scopes"],
                hosts=data["hosts"],
                allowed_networks=data["networks"].split(),
                expires_at=data["expires_at"],
            )
        except ForgekeyError as error:
            raise forms.ValidationError(str(error)) from error
        return data

    def _post_clean(self) -> None:
        """The service has checked and saved; Django's own model validation would look at the old row."""


@admin.register(ServiceClient)
class ServiceClientAdmin(admin.ModelAdmin[ServiceClient]):
    """Make, renew and revoke. A client is never deleted: leases and the trail name it."""

    form = ServiceClientForm
    list_display = ("name", "public_id", "scope_list", "expires_at", "revoked_at", "created_at")
    search_fields = ("name", "public_id")
    actions = ("renew_key", "revoke")

    @admin.display(description=_("scopes"))
    def scope_list(self, client: ServiceClient) -> str:
        return ", ".join(client.scopes)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list's actions need it; the form itself is never for changing."""
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("name", "scopes", "hosts", "networks", "expires_at")
        return (
            "name",
            "public_id",
            "scopes",
            "hosts",
            "allowed_networks",
            "expires_at",
            "revoked_at",
            "created_at",
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            kwargs["form"] = forms.ModelForm
            return super().get_form(request, obj, change, **kwargs)
        form = super().get_form(request, obj, change, **kwargs)
        setattr(form, "actor", actor_of(request))  # noqa: B010  # the class was made for this request
        return form

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """The service has saved it."""
        return form.made[0]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """As above; the key waits for the answer to this very request."""
        request.META["forgekey.new_key"] = form.made[1]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """A client has no related rows to save."""

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show(request, obj, request.META.pop("forgekey.new_key"))

    def _show(self, request: HttpRequest, client: ServiceClient, key: Secret) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Key of %s") % client.name,
            "client": client,
            "key": key.reveal(),
            "opts": self.model._meta,
        }
        response = TemplateResponse(request, "admin/credentials/service_key.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(
        description=_("Renew the key of the selected client; the old one ends now"), permissions=["change"]
    )
    def renew_key(self, request: HttpRequest, chosen: QuerySet[ServiceClient]) -> HttpResponse | None:
        client = chosen.first()
        if client is None or chosen.count() != 1:
            self.message_user(request, _("Select exactly one client."))
            return None
        if client.revoked_at is not None:
            raise PermissionDenied
        return self._show(request, client, clients.renew_key(actor=actor_of(request), client=client))

    @admin.action(description=_("Revoke the selected clients"), permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ServiceClient]) -> None:
        for client in chosen:
            clients.revoke(actor=actor_of(request), client=client, now=timezone.now())
        self.message_user(request, _("Revoked."))
