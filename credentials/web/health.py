"""Whether the process lives, and whether it could do its work: for load balancers, without details."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from credentials.errors import ForgekeyError, KeyUnavailable
from credentials.services import database, vault
from credentials.services.database import Trouble
from credentials.services.sealed_rows import KeyWatch

logger = logging.getLogger("credentials.web.health")
_keys = KeyWatch()
_writes = database.WriteWatch()


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
    """The database takes writes, and the key ring opens what is stored. ``code`` is a trouble's or an error's;
    what exactly is missing stands in the log only.
    """
    try:
        if (found := _writes.trouble()) is not None:
            logger.error("not ready: %s", found.value)
            return _not_ready(found.value)
        vault.primary_key_id()
        vault.purpose_key(vault.AUDIT)
        if missing := _keys.missing():
            raise KeyUnavailable(
                f"Rows need keys that the key ring lacks: {', '.join(sorted(missing))}. Restore their entries; "
                "if the key file has them, restart this process."
            )
    except Error as error:
        # The driver's own text may name the database's user and address.
        logger.error("not ready: %s", type(error).__name__)
        return _not_ready((database.trouble_of(error) or Trouble.UNAVAILABLE).value)
    except ForgekeyError as error:
        logger.error("not ready: %s", error)
        return _not_ready(error.code)
    return JsonResponse({"status": "ok"})


def _not_ready(code: str) -> JsonResponse:
    return JsonResponse({"status": "unavailable", "code": code}, status=503)
