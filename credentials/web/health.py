"""Whether the process lives, and whether it could do its work: for load balancers, without details."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credentials.errors import ForgekeyError
from credentials.services import vault

logger = logging.getLogger("credentials.web.health")


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
    """The database answers, and the key ring opens what every lease needs: the audit key.

    What exactly is missing stands in the log only.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        vault.primary_key_id()
        vault.purpose_key(vault.AUDIT)
    except (DatabaseError, ForgekeyError) as error:
        # The driver's own text may name the database's user and address; ours says what to do.
        logger.error("not ready: %s", error if isinstance(error, ForgekeyError) else type(error).__name__)
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})
