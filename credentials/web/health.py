"""Whether the process lives, and whether it could do its work: for load balancers, without details."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credentials.errors import ForgekeyError, KeyUnavailable
from credentials.services import vault
from credentials.services.sealed_rows import KeyWatch

logger = logging.getLogger("credentials.web.health")
_keys = KeyWatch()


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
    """The database answers, and the key ring opens what is stored. ``code`` is an error's; what exactly is
    missing stands in the log only.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        vault.primary_key_id()
        vault.purpose_key(vault.AUDIT)
        if missing := _keys.missing():
            raise KeyUnavailable(
                f"Rows need keys that the key ring lacks: {', '.join(sorted(missing))}. Restore their entries; "
                "if the key file has them, restart this process."
            )
    except DatabaseError as error:
        # The driver's own text may name the database's user and address.
        logger.error("not ready: %s", type(error).__name__)
        return _not_ready("database_unavailable")
    except ForgekeyError as error:
        logger.error("not ready: %s", error)
        return _not_ready(error.code)
    return JsonResponse({"status": "ok"})


def _not_ready(code: str) -> JsonResponse:
    return JsonResponse({"status": "unavailable", "code": code}, status=503)
