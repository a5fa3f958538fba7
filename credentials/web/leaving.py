"""Leads people to another site after a button was pressed here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

P = ParamSpec("P")


def leaving(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Turn a view's redirect to another site into a page that goes there by itself.

    Chromium holds every redirect that answers a form to the policy ``form-action 'self'``, single sign-on
    pages behind the host's own included, and stops there without a word to the person. Listing all those
    sites is impossible, and opening the policy would open it for injected forms, too.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if not isinstance(response, HttpResponseRedirectBase):
            return response
        if url_has_allowed_host_and_scheme(response.url, allowed_hosts={request.get_host()}):
            return response
        page = render(request, "credentials/leaving.html", {"address": response.url})
        page["Cache-Control"] = "no-store"
        return page

    return wrapped
