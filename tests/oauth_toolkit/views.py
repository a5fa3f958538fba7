"""What GitLab answers about a token, with the toolkit to judge it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauth2_provider.views import RevokeTokenView, TokenView

from tests.oauth_toolkit.counting import TALLY


@method_decorator(csrf_exempt, name="dispatch")
class CountedTokenView(TokenView):  # type: ignore[misc]  # the toolkit has no types
    """The toolkit's token endpoint."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().post(request, *args, **kwargs)
        TALLY.add("token_calls")
        done = "refreshes" if request.POST.get("grant_type") == "refresh_token" else "exchanges"
        TALLY.add(done if answer.status_code == 200 else "refusals")
        return answer


@method_decorator(csrf_exempt, name="dispatch")
class CountedRevokeView(RevokeTokenView):  # type: ignore[misc]  # as above
    """The toolkit's revocation endpoint, with GitLab's body."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().post(request, *args, **kwargs)
        TALLY.add("revocations")
        return answer if answer.content else JsonResponse({}, status=answer.status_code)


def _token(request: HttpRequest, scopes: Sequence[str]) -> Any:
    valid, judged = get_oauthlib_core().verify_request(request, scopes=list(scopes))
    return judged.access_token if valid else None


def _unauthorized() -> JsonResponse:
    return JsonResponse({"error": "invalid_token", "error_description": "Token is expired."}, status=401)


def user(request: HttpRequest) -> HttpResponse:
    """``GET /api/v4/user``."""
    token = _token(request, ["read_user"])
    if token is None:
        return _unauthorized()
    return JsonResponse({"id": token.user.pk, "username": token.user.get_username(), "state": "active"})


def token_info(request: HttpRequest) -> HttpResponse:
    """``GET /oauth/token/info``."""
    token = _token(request, [])
    if token is None:
        return _unauthorized()
    left = round((token.expires - timezone.now()).total_seconds())
    facts = {
        "resource_owner_id": token.user.pk,
        "scope": token.scope.split(),
        "expires_in": left,
        "application": {"uid": token.application.client_id},
        "created_at": int(token.created.timestamp()),
    }
    return HttpResponse(json.dumps(facts), content_type="application/json")
