"""Asks people to prove themselves again before an account is linked, replaced or disconnected.

A page that was opened in time may be sent for half an hour: making a token at the host takes its time.
allauth's own decorator keeps an interrupted POST, fields included, in the session: a pasted token would
lie there in clear. Here an interrupted POST is forgotten, and the page says so afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

P = ParamSpec("P")

# How long a page may be sent that was opened after a recent sign-in.
OPEN_FOR = timedelta(minutes=30)
_OPENED = "credentials_page_opened"

# Addresses that only take a POST, and the page on which their button is.
_PAGE_OF = {"credential_reconnect": "credential"}


def authenticated_recently(request: HttpRequest, *, now: datetime) -> bool:
    """Whether the person signed in, or proved themselves again, within ACCOUNT_REAUTHENTICATION_TIMEOUT."""
    if not request.user.is_authenticated:
        return False
    times = [
        record["at"]
        for record in get_authentication_records(request, request.user)
        if isinstance(record.get("at"), int | float)
    ]
    if not times:
        return False
    age = now - datetime.fromtimestamp(max(times), tz=UTC)
    return age < timedelta(seconds=app_settings.REAUTHENTICATION_TIMEOUT)


def recent_authentication_required(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Let a view run only after a recent sign-in; else send the person to prove themselves and back.

    What a POST carried is not kept anywhere.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        now = timezone.now()
        if authenticated_recently(request, now=now):
            if request.method == "GET":
                request.session[_OPENED] = {"path": request.path, "at": now.timestamp()}
            return view(request, *args, **kwargs)
        if request.method == "POST" and _opened_in_time(request, now=now):
            return view(request, *args, **kwargs)
        return _ask_again(request)

    return guarded


def _opened_in_time(request: HttpRequest, *, now: datetime) -> bool:
    """Whether this session opened this very page, after a recent sign-in, within OPEN_FOR."""
    opened = request.session.get(_OPENED)
    if not request.user.is_authenticated or not opened or opened["path"] != request.path:
        return False
    return now - datetime.fromtimestamp(opened["at"], tz=UTC) < OPEN_FOR


def _ask_again(request: HttpRequest) -> HttpResponse:
    back = {"next": _page_of(request)}
    if get_reauthentication_flows(request.user):
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode(back)}")
    # Somebody without a password or a second factor here signs in elsewhere, and can only do so anew.
    messages.info(request, _("Please sign out and in again; then you can continue."))
    sign_in = f"{reverse('account_login')}?{urlencode(back)}"
    return redirect(f"{reverse('account_logout')}?{urlencode({'next': sign_in})}")


def _page_of(request: HttpRequest) -> str:
    if request.method != "POST":
        return request.get_full_path()
    match = request.resolver_match
    page = request.path
    if match is not None and match.url_name in _PAGE_OF:
        page = reverse(_PAGE_OF[match.url_name], kwargs=match.kwargs)
    return f"{page}?again=1"
