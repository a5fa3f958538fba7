"""Whether the process lives, and whether it could do its work: for load balancers, without details."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credentials.errors import ForgekeyError
from credentials.services import vault


@login_not_required
@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers, and the key ring can be read. What exactly is missing stands in the log only."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        vault.primary_key_id()
    except (DatabaseError, ForgekeyError):
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})
