"""Manual entry: a pasted token becomes a credential, or the new secret of one."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from credentials.errors import Conflict, InputInvalid, TokenNotAccepted
from credentials.forms import TokenForm
from credentials.models import Credential, Host, Status
from credentials.providers.facts import TokenGuide
from credentials.services import connect, hosts
from credentials.services.circumstances import actor_of_user
from credentials.services.connect import Connected, ManualEntry
from credentials.verdicts import Verdict
from credentials.web import cards, queries
from credentials.web.reauthentication import recent_authentication_required
from credentials.web.verdicts import shown


@sensitive_post_parameters("token")
@never_cache
@require_http_methods(["GET", "POST"])
@recent_authentication_required
def token(request: HttpRequest, slug: str) -> HttpResponse:
    """The form with the guide beside it; a token that is accepted becomes a credential."""
    host = hosts.get(slug)

    def store(entry: ManualEntry) -> Connected:
        return connect.connect_token(
            actor=actor_of_user(request.META, request.user), owner=request.user, host=host, entry=entry
        )

    return _manual_entry(request, host=host, replaces=None, store=store)


@sensitive_post_parameters("token")
@never_cache
@require_http_methods(["GET", "POST"])
@recent_authentication_required
def replace(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """The same form, for a new token in an existing credential."""
    credential = queries.own_credential(request.user, credential_id)
    if not cards.credential_card(credential, now=timezone.now()).can_replace:
        messages.info(request, _("This connection is renewed at the host: choose “Reconnect”."))
        return redirect("credential", credential_id=credential.pk)

    def store(entry: ManualEntry) -> Connected:
        return connect.replace_token(
            actor=actor_of_user(request.META, request.user), credential=credential, entry=entry
        )

    return _manual_entry(request, host=credential.host, replaces=credential, store=store)


def _manual_entry(
    request: HttpRequest,
    *,
    host: Host,
    replaces: Credential | None,
    store: Callable[[ManualEntry], Connected],
) -> HttpResponse:
    guide = hosts.provider_of(host).guide()
    form = _form(request, guide, replaces)
    verdict: Verdict | None = None
    if request.method == "POST" and form.is_valid():
        try:
            done = store(form.entry())
        except TokenNotAccepted as error:
            verdict = error.verdict
        except (Conflict, InputInvalid) as error:
            form.add_error(None, str(error))
        else:
            _say(request, done, replaced=not done.created)
            return redirect("credential", credential_id=done.credential.pk)
    context = {
        "host": host,
        "guide": guide,
        "form": form,
        "replaces": replaces,
        "shown": shown(verdict, here=request.path, anchor="id_token") if verdict else None,
        "provider_title": hosts.provider_of(host).title,
    }
    return render(request, "credentials/token.html", context)


def _form(request: HttpRequest, guide: TokenGuide, replaces: Credential | None) -> TokenForm:
    known = {"email": replaces.email, "username": replaces.username} if replaces else {}
    return TokenForm(
        request.POST if request.method == "POST" else None,
        guide=guide,
        today=timezone.now().date(),
        with_label=replaces is None,
        initial=known,
    )


def _say(request: HttpRequest, done: Connected, *, replaced: bool) -> None:
    host = {"host": done.credential.host.name}
    if done.credential.status == Status.UNVERIFIED:
        messages.warning(
            request,
            _(
                "The token was stored, but %(host)s could not be asked about it. "
                "It counts as not checked yet; test it later."
            )
            % host,
        )
    elif replaced:
        messages.success(request, _("The new token for %(host)s is in place.") % host)
    else:
        messages.success(request, _("%(host)s is connected.") % host)
