"""Turns the errors a page may meet into a calm page with the right status."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from credentials.errors import (
    AuditUnavailable,
    Conflict,
    CryptoError,
    ForgekeyError,
    NotFound,
    StorageUnavailable,
    TooManyRequests,
)
from credentials.verdicts import Text

# The text of a missing key is the operator's: it names files and commands.
_KEY_MISSING = gettext_lazy(
    "An encryption key is missing here. What is stored is untouched; an administrator has to restore the key."
)
_NOT_RECORDED = gettext_lazy(
    "Nothing was opened or changed. Try again; if it lasts, an administrator has to look."
)
_NOT_STORED = gettext_lazy(
    "The place where libraries are kept took nothing. Try again; if it lasts, an administrator has to look."
)
_STATUS: tuple[tuple[type[ForgekeyError], int, Text], ...] = (
    (AuditUnavailable, 503, _NOT_RECORDED),
    (CryptoError, 503, _KEY_MISSING),
    (Conflict, 409, ""),
    (StorageUnavailable, 503, _NOT_STORED),
    (TooManyRequests, 429, ""),
)


class ErrorPageMiddleware:
    """Somebody else's object is not there; a missing key or a full disk is said plainly."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for an error a view let through; anything else stays Django's."""
        if isinstance(exception, NotFound):
            raise Http404(str(exception)) from exception
        for kind, status, text in _STATUS:
            if isinstance(exception, kind):
                context = {"text": text or str(exception), "retryable": exception.retryable}
                return render(request, "credentials/error.html", context, status=status)
        return None
