"""Takes a call with a service key straight to its view, past everything that serves browsers.

Sessions, CSRF, sign-in, messages and their like cost a lease more than finding the credential does, and none
of them has a say where a key is sent: the view authenticates it, and denies what it does not allow.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import ResolverMatch, resolve
from django.utils import translation

from credentials.api.views import ApiView

_PATH = "/api/v1/"
# What the skipped layers would add that still means something to a machine's answer.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


class ServiceKeyMiddleware:
    """Stands before the browser's layers. Whatever is unusual takes the long way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "HTTP_AUTHORIZATION" not in request.META or not request.path_info.startswith(_PATH):
            return self.get_response(request)
        try:
            request.get_host()
        except DisallowedHost:
            return self.get_response(request)
        match = resolve(request.path_info)
        if not _authenticates_itself(match):
            return self.get_response(request)
        request.resolver_match = match
        translation.activate(_language_of(request))
        return _completed(match.func(request, *match.args, **match.kwargs))


def _authenticates_itself(match: ResolverMatch) -> bool:
    view = getattr(match.func, "view_class", None) or getattr(match.func, "cls", None)
    return isinstance(view, type) and issubclass(view, ApiView)


def _language_of(request: HttpRequest) -> str:
    """What a verdict's texts are written in; most machines do not ask for any language."""
    if "HTTP_ACCEPT_LANGUAGE" in request.META:
        return translation.get_language_from_request(request)
    return settings.LANGUAGE_CODE


def _completed(response: HttpResponseBase) -> HttpResponseBase:
    """What Django's handler and the skipped layers do to every answer."""
    if isinstance(response, SimpleTemplateResponse):
        response = response.render()
    if isinstance(response, HttpResponse) and "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    for name, value in _HEADERS.items():
        response[name] = value
    return response
