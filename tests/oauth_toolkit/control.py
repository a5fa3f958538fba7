"""The page for tests at /_control/: grants made by hand, tokens that end at will, faults, and figures."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

from project.sandbox.journal import Fault, Faults
from project.sandbox.switches import changed
from tests.oauth_toolkit.counting import TALLY, grants_by_account
from tests.oauth_toolkit.lifetimes import ACCESS, USUAL_SECONDS

PREFIX = "/_control/"
CONNECTION = "tests.connection"
FAULT_FIELDS = ("path_prefix", "times", "latency_ms", "answer_latency_ms", "status", "body", "html", "lost")
FAULTS = Faults()


class FaultMiddleware:
    """Faults as the sandbox has them, outside of the request's transaction."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        fault = None if request.path.startswith(PREFIX) else FAULTS.take(request.path)
        if fault is None:
            return self.get_response(request)
        time.sleep(fault.latency_ms / 1000)
        answer = _instead(fault) if fault.answers else self.get_response(request)
        time.sleep(fault.answer_latency_ms / 1000)
        if fault.lost:
            with suppress(OSError):
                request.META[CONNECTION].shutdown(socket.SHUT_RDWR)
        return answer


def _instead(fault: Fault) -> HttpResponse:
    spoiled = fault.response()
    assert isinstance(spoiled.body, bytes)
    return HttpResponse(spoiled.body, status=spoiled.status, content_type=spoiled.header("Content-Type"))


@csrf_exempt
def control(request: HttpRequest, what: str) -> HttpResponse:
    fields: dict[str, Any] = json.loads(request.body) if request.body else {}
    answer = {
        ("POST", "codes"): _codes,
        ("POST", "expire"): _expire,
        ("POST", "settings"): _settings,
        ("POST", "faults"): _fault,
        ("POST", "reset"): _reset,
        ("GET", "facts"): _facts,
    }[request.method or "", what]
    return JsonResponse(answer(fields))


def _codes(fields: dict[str, Any]) -> dict[str, Any]:
    """Authorization codes, as if these people had just pressed Allow."""
    application = Application.objects.get()
    made = {}
    for account in fields["accounts"]:
        person, _ = User.objects.get_or_create(username=account)
        grant = Grant.objects.create(
            user=person,
            code=secrets.token_urlsafe(30),
            application=application,
            expires=timezone.now() + timedelta(minutes=10),
            redirect_uri=application.redirect_uris.split()[0],
            scope=fields.get("scope", "read_user read_repository"),
        )
        made[account] = grant.code
    return {"codes": made, "redirect_uri": application.redirect_uris.split()[0]}


def _expire(fields: dict[str, Any]) -> dict[str, Any]:
    """End access tokens now: of some accounts, or of all."""
    tokens = AccessToken.objects.filter(expires__gt=timezone.now())
    if "accounts" in fields:
        tokens = tokens.filter(user__username__in=fields["accounts"])
    return {"expired": tokens.update(expires=timezone.now() - timedelta(seconds=1))}


def _settings(fields: dict[str, Any]) -> dict[str, Any]:
    """``access_seconds``: how long access tokens made from now on live."""
    ACCESS.seconds = int(fields["access_seconds"])
    return {}


def _fault(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.pop("clear", False):
        FAULTS.clear()
    if fields:
        FAULTS.add(changed(Fault(), fields, FAULT_FIELDS))
    return {"faults": FAULTS.all()}


def _reset(fields: dict[str, Any]) -> dict[str, Any]:
    AccessToken.objects.all().delete()
    RefreshToken.objects.all().delete()
    Grant.objects.all().delete()
    User.objects.all().delete()
    FAULTS.clear()
    TALLY.clear()
    return _settings({"access_seconds": USUAL_SECONDS})


def _facts(fields: dict[str, Any]) -> dict[str, Any]:
    grants = grants_by_account()
    return {"tally": TALLY.facts(), "grants": grants, "live": sum(grants.values())}
