"""Connected accounts, and the choice of a host and a way to connect."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from credentials.services import hosts, oauth
from credentials.web import cards, notices, queries, revocations, words
from credentials.web.leaving import leaving
from credentials.web.oauth import reconnect as start_reconnect
from credentials.web.oauth import start_connect


@never_cache
@require_safe
def connections(request: HttpRequest) -> HttpResponse:
    """A card per host with what the person connected there."""
    shown = cards.host_cards(queries.open_hosts(), queries.own_credentials(request.user), now=timezone.now())
    context = {
        "notices": notices.unread(request.user),
        "reminders": revocations.reminders(request.user),
        "connected": [card for card in shown if card.credentials],
        "others": [card for card in shown if not card.credentials],
    }
    return render(request, "credentials/connections.html", context)


@never_cache
@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """The hosts one may connect an account at."""
    shown = cards.host_cards(queries.open_hosts(), [], now=timezone.now())
    return render(request, "credentials/connect_choose.html", {"cards": shown})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: both ways to connect at one host, side by side. POST: the OAuth way starts."""
    if request.method == "POST":
        return leaving(start_connect)(request, slug=slug)
    host = hosts.get(slug)
    if not host.offers_oauth:
        return redirect("token", slug=slug)
    provider = hosts.provider_of(host)
    context = {
        "host": host,
        "provider_title": provider.title,
        "guide": provider.guide(),
        "oauth_scopes": words.scope_words(provider, oauth.scopes_of(host)),
    }
    return render(request, "credentials/connect.html", context)


reconnect = never_cache(leaving(start_reconnect))
