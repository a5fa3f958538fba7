"""Every error as ``application/problem+json`` (RFC 9457), and never a word of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from credentials import errors
from credentials.services.circumstances import request_id_of
from credentials.verdicts import Verdict

log = structlog.stdlib.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 5

# The first class that fits decides.
_STATUS: tuple[tuple[type[errors.ForgekeyError], int, str], ...] = (
    (errors.NotAuthenticated, 401, "Not authenticated"),
    (errors.PermissionRefused, 403, "Not allowed"),
    (errors.NotFound, 404, "Not found"),
    (errors.InputInvalid, 400, "Something in the request is wrong"),
    (errors.AddressError, 400, "The address is wrong"),
    (errors.Conflict, 409, "Another change came first"),
    (errors.CredentialRefused, 422, "No credential can do this"),
    (errors.ProviderRateLimited, 503, "The Git host asks to wait"),
    (errors.ProviderError, 503, "The Git host cannot be asked"),
    (errors.CryptoError, 503, "The key ring is not available"),
    (errors.AuditUnavailable, 503, "The audit trail cannot be written"),
)


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the contract writes it."""
    return {
        "code": verdict.code.value,
        "severity": verdict.severity.value,
        "who_can_fix": verdict.who_can_fix.value,
        "summary": str(verdict.summary),
        "checked": [
            {"step": check.step, "result": check.result, "at": timestamp(check.at)}
            for check in verdict.checked
        ],
        "steps": [{"text": str(step.text), "url": step.url or None} for step in verdict.steps],
        "host": verdict.host or None,
        "organization": verdict.organization or None,
        "credential": verdict.credential or None,
        "message_to_owner": str(verdict.message_to_owner) or None,
        "offer_zip": verdict.offer_zip,
    }


def problem(
    *, status: int, code: str, title: str, detail: str, retryable: bool, request_id: str, **more: Any
) -> dict[str, Any]:
    """The members of a problem; ``type`` is the address of its help entry."""
    return {
        "type": f"/help/{code.replace('_', '-')}/",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "request_id": request_id,
        **more,
    }


def problem_response(exception: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler. What it does not know is a 500 without details, and a line in the log."""
    request_id = request_id_of(context["request"].META)
    body, headers = _translate(exception, request_id)
    response = Response(body, status=body["status"], content_type=CONTENT_TYPE, headers=headers)
    response.data = body
    return response


def _translate(exception: Exception, request_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    if isinstance(exception, errors.ForgekeyError):
        return _from_ours(exception, request_id)
    if isinstance(exception, Http404):
        exception = exceptions.NotFound()
    if isinstance(exception, PermissionDenied):
        exception = exceptions.PermissionDenied()
    if isinstance(exception, exceptions.APIException):
        return _from_framework(exception, request_id)
    log.error("unexpected error", kind=type(exception).__name__, exc_info=exception)
    body = problem(
        status=500,
        code="internal_error",
        title="Something went wrong here",
        detail="It is in the log under this request id.",
        retryable=True,
        request_id=request_id,
    )
    return body, {}


def _from_ours(exception: errors.ForgekeyError, request_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(exception, kind)), (500, "Error")
    )
    more: dict[str, Any] = {}
    detail, code = str(exception), exception.code
    if isinstance(exception, errors.CredentialRefused):
        more["verdict"] = verdict_body(exception.verdict)
        title, detail = str(exception.verdict.title), str(exception.verdict.summary)
        code = exception.verdict.code.value
    if isinstance(exception, errors.InputInvalid) and exception.field:
        more["field"] = exception.field
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004  # Unauthorized
    if status == 503:  # noqa: PLR2004  # Service Unavailable
        headers["Retry-After"] = str(_retry_after(exception))
    body = problem(
        status=status,
        code=code,
        title=title,
        detail=detail,
        retryable=exception.retryable,
        request_id=request_id,
        **more,
    )
    return body, headers


def _retry_after(exception: errors.ForgekeyError) -> int:
    wait = getattr(exception, "retry_after", None)
    return max(1, int(wait.total_seconds())) if wait else RETRY_SECONDS


# DRF's own texts repeat what was sent; these do not.
_FRAMEWORK: tuple[tuple[type[exceptions.APIException], str, str, str], ...] = (
    (exceptions.ParseError, "json_invalid", "Not JSON", "The body is not the JSON this call expects."),
    (
        exceptions.NotAuthenticated,
        "not_authenticated",
        "Not authenticated",
        "Send a service key, or sign in.",
    ),
    (exceptions.AuthenticationFailed, "not_authenticated", "Not authenticated", "Sign in again."),
    (exceptions.PermissionDenied, "permission_refused", "Not allowed", "This caller may not do this."),
    (exceptions.NotFound, "not_found", "Not found", "There is nothing here."),
    (exceptions.MethodNotAllowed, "method_not_allowed", "Not this method", "See the Allow header."),
    (
        exceptions.UnsupportedMediaType,
        "json_expected",
        "JSON expected",
        "Send Content-Type: application/json.",
    ),
    (exceptions.NotAcceptable, "json_only", "JSON only", "This API answers in JSON."),
)


def _from_framework(
    exception: exceptions.APIException, request_id: str
) -> tuple[dict[str, Any], dict[str, str]]:
    more: dict[str, Any] = {}
    code, title, detail = "request_error", "The request is wrong", "See the documentation of this call."
    if isinstance(exception, exceptions.ValidationError):
        fields = sorted(exception.detail) if isinstance(exception.detail, dict) else []
        code, title = "input_invalid", "Something in the request is wrong"
        detail = f"Wrong or missing: {', '.join(fields)}." if fields else "The body is not an object."
        more = {"field": fields[0]} if fields else {}
    for kind, known, heading, text in _FRAMEWORK:
        if isinstance(exception, kind):
            code, title, detail = known, heading, text
            break
    headers = {"WWW-Authenticate": "Bearer"} if exception.status_code == 401 else {}  # noqa: PLR2004
    body = problem(
        status=exception.status_code,
        code=code,
        title=title,
        detail=detail,
        retryable=False,
        request_id=request_id,
        **more,
    )
    return body, headers


def not_found(request: HttpRequest, **_: Any) -> HttpResponse:
    """The answer for an address under ``/api/`` that is none."""
    body = problem(
        status=404,
        code="not_found",
        title="Not found",
        detail="There is no such call.",
        retryable=False,
        request_id=request_id_of(request.META),
    )
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE)
