"""Paste an address, read what stands in the way, and do the next step."""

from __future__ import annotations

import re
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from credentials.errors import AddressInvalid
from credentials.forms import AddressForm
from credentials.providers.repository_url import MAXIMUM_LENGTH, parse
from credentials.providers.tokens import UNKNOWN, recognize
from credentials.services import diagnose as service
from credentials.services.circumstances import actor_of_user
from credentials.services.diagnose import Diagnosis
from credentials.verdicts import Verdict
from credentials.web import cards, queries
from credentials.web.board import request_address
from credentials.web.verdicts import ShownVerdict, shown

_FIELD = "repository_url"


@sensitive_post_parameters(_FIELD)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def diagnose(request: HttpRequest) -> HttpResponse:
    """GET: the form, filled in from the address. POST: the verdict, with the form for another try."""
    if request.method != "POST":
        typed = request.GET.get(_FIELD, "")
        again = shown_again(typed)
        if again != typed:
            # What must not be shown is not left in the browser's history and the language switch either.
            return redirect(f"{request.path}?{urlencode({_FIELD: again})}")
        form = AddressForm(initial={_FIELD: again})
        return render(request, "credentials/diagnose.html", {"form": form})
    form = AddressForm(request.POST)
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        try:
            found = service.diagnose(
                actor=actor_of_user(request.META, request.user),
                user=request.user,
                repository_url=form.cleaned_data[_FIELD],
            )
        except AddressInvalid as error:
            form.add_error(_FIELD, str(error))
        else:
            context |= _result(request, found)
    form.data = {_FIELD: shown_again(request.POST.get(_FIELD, ""))}
    context["address"] = form.data[_FIELD]
    return render(request, "credentials/diagnose.html", context)


def _result(request: HttpRequest, found: Diagnosis) -> dict[str, object]:
    title = cards.title_of(found.credential) if found.credential else ""
    return {"found": found, "shown": shown_verdict(request, found.verdict), "title": title}


def shown_verdict(request: HttpRequest, verdict: Verdict) -> ShownVerdict:
    access = None
    if verdict.credential and verdict.organization:
        access = queries.access_by_key(request.user, UUID(verdict.credential), verdict.organization)
    return shown(verdict, request_url=request_address(access) if access else "")


def shown_again(typed: str) -> str:
    """What the field shows of what was typed: the canonical address, or as much as cannot hold a secret."""
    text = typed[: MAXIMUM_LENGTH + 1]
    try:
        return parse(text).text
    except AddressInvalid:
        pass
    text = re.split(r"[?#]", text.strip(), maxsplit=1)[0]
    text = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", text)
    words = re.split(r"[^A-Za-z0-9_.=-]+", text)
    if "@" in text or any(recognize(word) is not UNKNOWN for word in words):
        return ""
    return text
