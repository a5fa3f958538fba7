"""Credentials: what is known of them, and who used them. Never a secret, an envelope or a fingerprint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, When
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials.admin.calendar import EndsFilter, calendar_page
from credentials.admin.display import (
    access_badge,
    listing,
    moment,
    page_link,
    revocation_badge,
    status_badge,
)
from credentials.admin.filters import HostFilter, KindFilter
from credentials.admin.guarded import Question, actor_of
from credentials.admin.quarantine import QuarantineActions, offered_for
from credentials.admin.read_only import ReadOnlyAdmin, ReadOnlyRows
from credentials.errors import ForgekeyError
from credentials.models import Credential, Lease, OrganizationAccess, Revocation, Status
from credentials.models.credential import IS_PAIRED
from credentials.providers import facts
from credentials.providers.facts import RevocationResult
from credentials.providers.tokens import Kind
from credentials.services import disconnect, verify

# Each asks the host while the page waits.
MOST_AT_ONCE = 20
PURPOSE = "check by an administrator"
# Credential.ends_at, to order by.
_ENDS_AT = Case(When(is_paired=True, then=F("refresh_ends_at")), default=F("expires_at"))


class OrganizationInline(ReadOnlyRows):
    """What each organization answers through the credential."""

    model = OrganizationAccess
    fields = ("organization", "answer", "evidence", "mend", "since", "checked_at")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("state"))
    def answer(self, access: OrganizationAccess) -> SafeString:
        return access_badge(access.state)

    @admin.display(description=gettext_lazy("where to mend it"))
    def mend(self, access: OrganizationAccess) -> str:
        return page_link(access.mend_url)


class RevocationInline(ReadOnlyRows):
    """The receipts of the tokens that were in the credential."""

    model = Revocation
    fields = ("reason", "answer", "evidence", "page", "requested_at", "finished_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        return found.defer("access_envelope", "refresh_envelope")

    @admin.display(description=gettext_lazy("state"))
    def answer(self, revocation: Revocation) -> SafeString:
        return revocation_badge(revocation)

    @admin.display(description=gettext_lazy("where to do it by hand"))
    def page(self, revocation: Revocation) -> str:
        return page_link(revocation.manual_url)


@admin.register(Credential)
class CredentialAdmin(QuarantineActions, ReadOnlyAdmin):
    """Who connected which account where, and in what state it is.

    ``change`` permission lets staff have a credential checked, quarantined and released, ``delete``
    permission disconnect it.
    """

    subject_kind = "credential"
    list_display = (
        "account",
        "owner",
        "host",
        "kind_title",
        "state",
        "ends",
        "last_verified_at",
        "last_used",
    )
    list_filter = ("status", HostFilter, KindFilter, EndsFilter)
    search_fields = ("owner__username", "account_name", "label")
    search_help_text = gettext_lazy("The owner, the account at the host, or the label.")
    inlines = (OrganizationInline, RevocationInline)
    actions = ("check_now", "quarantine", "release", "disconnect")
    page_actions = {
        "check_now": gettext_lazy("Check now"),
        "quarantine": gettext_lazy("Quarantine"),
        "release": gettext_lazy("Release"),
        "disconnect": gettext_lazy("Disconnect"),
    }
    fields = (
        "owner",
        "host",
        "account",
        "account_id",
        "kind_title",
        "label",
        "email",
        "username",
        "state",
        "status_detail",
        "quarantine_reason",
        "granted",
        "missing",
        "oauth_client_id",
        "ends",
        "last_verified_at",
        "last_used",
        "created_at",
        "disconnected_at",
    )
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        def ends(request: HttpRequest) -> HttpResponse:
            return calendar_page(self, request)

        page = self.admin_site.admin_view(ends)
        return [path("calendar/", page, name="credentials_credential_calendar"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Every credential, without what is sealed: no page has a use for it, so none loads it."""
        latest = Lease.objects.filter(credential=OuterRef("pk")).order_by("-created_at")
        every: QuerySet[Credential] = super().get_queryset(request)
        return (
            every.select_related("owner", "host")
            .defer(
                "access_envelope",
                "refresh_envelope",
                "fingerprint",
                "host__client_secret_envelope",
                "owner__password",
            )
            .annotate(last_used_at=Subquery(latest.values("created_at")[:1]), is_paired=IS_PAIRED)
        )

    @admin.display(description=gettext_lazy("account"), ordering="account_name")
    def account(self, credential: Credential) -> str:
        if credential.account_name:
            return credential.account_name
        return f"#{credential.account_id}" if credential.account_id else _("unknown")

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_title(self, credential: Credential) -> str:
        return str(Kind(credential.kind).title)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, credential: Credential) -> SafeString:
        return status_badge(credential.status)

    @admin.display(description=gettext_lazy("expires"), ordering=_ENDS_AT)
    def ends(self, credential: Credential) -> str:
        """When its owner has to act: the end of the access token is no news where another follows."""
        if credential.ends_at is None and credential.is_renewable:
            return _("renewed by itself")
        return moment(credential.ends_at)

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def last_used(self, credential: Any) -> str:
        return moment(credential.last_used_at)

    @admin.display(description=gettext_lazy("scopes"))
    def granted(self, credential: Credential) -> str:
        return listing(credential.scopes, unknown=_("the host does not tell"))

    @admin.display(description=gettext_lazy("missing scopes"))
    def missing(self, credential: Credential) -> str:
        return listing(credential.missing_scopes, nothing=_("none"))

    def offered(self, found: Credential) -> Iterable[str]:
        if not found.is_connected:
            return ()
        in_use = ("check_now",) if found.status != Status.QUARANTINED else ()
        return (*in_use, *offered_for(found), "disconnect")

    def has_check_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "change")

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, "delete")

    @admin.action(description=gettext_lazy("Check the selected credentials now"), permissions=["check"])
    def check_now(self, request: HttpRequest, chosen: QuerySet[Credential]) -> HttpResponse | None:
        """Ask the host about each, one by one, and say what it answered."""
        for credential in self._few(request, chosen):
            if not credential.is_connected or not credential.host.is_enabled:
                text, level = _("not checked: it is disconnected, or its host is closed."), messages.WARNING
            else:
                text, level = _check(request, credential)
            self.message_user(request, f"{_named(credential)}: {text}", level)
        return self.back(request, chosen)

    @admin.action(description=gettext_lazy("Disconnect the selected credentials"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, chosen: QuerySet[Credential]) -> HttpResponse | None:
        """After a confirmation: destroy the secrets here and ask the hosts to revoke them."""
        few = self._few(request, chosen)
        if not few:
            return None
        if not self.confirmed(request):
            return self.ask(request, chosen, _DISCONNECT)
        for credential in few:
            result = disconnect.disconnect(actor=actor_of(request), credential=credential)
            clean = result.outcome is not facts.Revocation.MANUAL
            level = messages.SUCCESS if clean else messages.WARNING
            self.message_user(request, f"{_named(credential)}: {_receipt(result)}", level)
        return self.back(request, chosen)

    def _few(self, request: HttpRequest, chosen: QuerySet[Credential]) -> list[Credential]:
        """The chosen credentials, or none and a word about it where they are too many for one request."""
        found = list(chosen[: MOST_AT_ONCE + 1])
        if len(found) > MOST_AT_ONCE:
            text = _("At most %d credentials can be done at once. Please choose fewer.")
            self.message_user(request, text % MOST_AT_ONCE, messages.ERROR)
            return []
        return found


_DISCONNECT = Question(
    action="disconnect",
    title=gettext_lazy("Disconnect credentials?"),
    text=gettext_lazy(
        "The secrets are destroyed here, nothing is lent from them any more, and each host is asked to "
        "revoke its token. Their owners have to connect again. This cannot be undone."
    ),
    button=gettext_lazy("Disconnect"),
)


def _named(credential: Credential) -> str:
    words = {"owner": credential.owner.get_username(), "host": credential.host.name}
    return _("The credential of %(owner)s at %(host)s") % words


def _check(request: HttpRequest, credential: Credential) -> tuple[str, int]:
    """What the host says of the credential, and how a message about it should look."""
    try:
        found = verify.verify(actor=actor_of(request), credential=credential, purpose=PURPOSE, by_hand=True)
    except ForgekeyError as error:
        return _("not checked: %s") % error, messages.ERROR
    text = _("%(title)s. %(summary)s") % {"title": found.title, "summary": found.summary}
    return text, messages.SUCCESS if found.ok else messages.WARNING


def _receipt(result: RevocationResult) -> str:
    match result.outcome:
        case facts.Revocation.REVOKED:
            return _("disconnected, and revoked at the host.")
        case facts.Revocation.ALREADY_INVALID:
            return _("disconnected; the token was not valid any more.")
        case facts.Revocation.PENDING:
            return _("disconnected; the host has not confirmed the revocation yet, and is asked again.")
    if not result.manual_url:
        return _("disconnected. The host could not be asked to revoke the token.")
    return _("disconnected. The host could not be asked to revoke the token; its owner does that at %s") % (
        result.manual_url
    )
