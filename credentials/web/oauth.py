"""Connecting by OAuth: start, come back, confirm."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.socialaccount.internal import statekit
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credentials.crypto.secret import Secret
from credentials.errors import (
    Conflict,
    NotFound,
    ProviderError,
    TokenNotAccepted,
    TokenRejected,
)
from credentials.models import Credential, Host, PendingConnection
from credentials.services import hosts, oauth
from credentials.services import pending as pendings
from credentials.services.circumstances import actor_of_user
from credentials.verdicts import Verdict
from credentials.web import queries, words
from credentials.web.oauth_provider import HostAdapter, HostProvider
from credentials.web.reauthentication import recent_authentication_required
from credentials.web.verdicts import shown


@never_cache
@login_required
@require_POST
@recent_authentication_required
def start_connect(request: HttpRequest, slug: str, credential: Credential | None = None) -> HttpResponse:
    """Send the person to the host's consent page. The state is bound to session, person and host."""
    host = _oauth_host(slug)
    provider = HostProvider(request, host)
    bound = {"user": str(request.user.pk), "reconnects": str(credential.pk) if credential else ""}
    response: HttpResponse = provider.redirect(request, process=AuthProcess.CONNECT, data=bound)
    return response


@never_cache
@login_required
@require_POST
def reconnect(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Start the flow that renews one credential."""
    credential = queries.own_credential(request.user, credential_id)
    return start_connect(request, slug=credential.host.slug, credential=credential)


def _oauth_host(slug: str) -> Host:
    host = hosts.get(slug)
    if not host.offers_oauth:
        raise NotFound("This host offers no OAuth button; paste a token instead.")
    return host


@never_cache
@login_required
@require_GET
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """The host sends the person back here, with a code or with an error.

    Nothing is linked yet: what came is sealed, and a page names both accounts.
    """
    host = _oauth_host(slug)
    state = statekit.unstash_state(request, state_id=request.GET.get("state", ""), provider_id=host.slug)
    bound = (state or {}).get("data") or {}
    if state is None or bound.get("user") != str(request.user.pk):
        # Another session, another person, another host, a second time, or after ten minutes.
        return _failed(
            request,
            host,
            title=_("This link does not belong to what you started"),
            text=_("It was opened in another browser or session, twice, or too late. Nothing was connected."),
            status=403,
        )
    if "code" not in request.GET:
        return _not_granted(request, host)
    reconnects = _reconnects(request, bound)
    try:
        pending = _receive(request, host, state=state, reconnects=reconnects)
    except TokenNotAccepted as error:
        return _failed(request, host, verdict=error.verdict)
    except TokenRejected:
        return _failed(
            request,
            host,
            title=_("%(host)s refused the answer") % {"host": host.name},
            text=_("The code it gave was used already or is too old. Nothing was connected."),
        )
    except ProviderError as error:
        return _failed(
            request,
            host,
            title=_("%(host)s could not be asked") % {"host": host.name},
            text=_("The connection could not be finished, and nothing was stored. Please try again."),
            status=503 if error.retryable else 502,
        )
    return redirect("connect_confirm", pending_id=pending.pk)


def _receive(
    request: HttpRequest, host: Host, *, state: dict[str, Any], reconnects: Credential | None
) -> PendingConnection:
    actor = actor_of_user(request.META, request.user)
    provider = HostProvider(request, host)
    redirect_uri = HostAdapter(request, host).get_callback_url(request, provider.app)
    grant = oauth.exchange(
        actor=actor,
        host=host,
        code=Secret(request.GET["code"]),
        code_verifier=Secret(state["pkce_code_verifier"]),
        redirect_uri=redirect_uri,
    )
    return pendings.receive_grant(
        actor=actor,
        user=request.user,
        host=host,
        grant=grant,
        reconnects=reconnects,
        redirect_uri=redirect_uri,
    )


def _reconnects(request: HttpRequest, bound: dict[str, str]) -> Credential | None:
    if not bound.get("reconnects"):
        return None
    return queries.own_credential(request.user, UUID(bound["reconnects"]))


def _not_granted(request: HttpRequest, host: Host) -> HttpResponse:
    if request.GET.get("error") == "access_denied":
        messages.info(request, _("Nothing was connected: you said no at %(host)s.") % {"host": host.name})
        return redirect("connections")
    names = {"host": host.name}
    # RFC 6749 section 4.1.2.1: these two say that the host itself is out of order.
    if request.GET.get("error") in {"temporarily_unavailable", "server_error"}:
        return _failed(
            request,
            host,
            title=_("%(host)s is out of order") % names,
            text=_("It says so itself. Nothing was connected; please try again later."),
            status=503,
        )
    return _failed(
        request,
        host,
        title=_("%(host)s did not grant access") % names,
        text=_("It gave a reason that only an administrator can mend. Nothing was connected."),
        status=502,
    )


def _failed(
    request: HttpRequest,
    host: Host,
    *,
    verdict: Verdict | None = None,
    title: str = "",
    text: str = "",
    status: int = 422,
) -> HttpResponse:
    context = {
        "host": host,
        "shown": shown(verdict) if verdict else None,
        "title": verdict.title if verdict else title,
        "text": verdict.summary if verdict else text,
    }
    return render(request, "credentials/connect_error.html", context, status=status)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@recent_authentication_required
def confirm(request: HttpRequest, pending_id: UUID) -> HttpResponse:
    """Name both accounts, and link them only when the person says so."""
    pending = pendings.get(user=request.user, pending_id=pending_id, now=timezone.now())
    if request.method == "GET":
        closed = [
            (name, words.access_badge(state)) for name, state in pending.facts.get("closed_organizations", ())
        ]
        context = {"pending": pending, "host": pending.host, "facts": pending.facts, "closed": closed}
        return render(request, "credentials/confirm.html", context)
    actor = actor_of_user(request.META, request.user)
    if request.POST.get("action") != "confirm":
        pendings.cancel(actor=actor, pending=pending, now=timezone.now())
        messages.info(request, _("Nothing was connected."))
        return redirect("connections")
    try:
        done = pendings.confirm(actor=actor, pending=pending)
    except TokenNotAccepted as error:
        return _failed(request, pending.host, verdict=error.verdict)
    except Conflict as error:
        return _failed(request, pending.host, title=_("Nothing was changed"), text=str(error), status=409)
    messages.success(
        request,
        _("%(host)s is connected.") % {"host": pending.host.name}
        if done.created
        else _("%(host)s is connected again.") % {"host": pending.host.name},
    )
    return redirect("credential", credential_id=done.credential.pk)
