"""Every error as ``application/problem+json`` (RFC 9457), without anything the caller sent.

DRF's own texts are not used: some of them repeat the submitted value, which may be a pasted token.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from rest_framework import exceptions as drf

from credentials import errors
from credentials.api.bodies import verdict_body
from credentials.api.parsing import BodyTooLarge, FormMalformed
from credentials.services import database
from credentials.services.circumstances import request_id_of

MEDIA_TYPE = "application/problem+json"
NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}

logger = logging.getLogger("credentials.api")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How one kind of error is told.

    An empty ``code`` is the error's own, an empty ``detail`` its own text, an empty ``topic`` the code
    with hyphens. ``retry_after`` is in seconds.
    """

    status: HTTPStatus
    title: str
    code: str = ""
    detail: str = ""
    topic: str = ""
    field: str = ""
    retry_after: int = 0


_NOT_SIGNED_IN = Rule(
    status=HTTPStatus.UNAUTHORIZED,
    title="No caller is known by this key or session",
    code="not_authenticated",
)
_REFUSED = Rule(status=HTTPStatus.FORBIDDEN, title="The caller may not do this", code="permission_refused")
_NOT_THERE = Rule(status=HTTPStatus.NOT_FOUND, title="There is no such object", code="not_found")
_UNCLEAR = Rule(status=HTTPStatus.BAD_REQUEST, title="A field is missing or wrong", code="input_invalid")
_UNAVAILABLE = Rule(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    title="Not available at this moment",
    code="unavailable",
    detail="The database does not answer, or takes no writes. Nothing was lent or changed; try again.",
    retry_after=5,
)
_UNEXPECTED = Rule(
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    title="Something went wrong here",
    code="internal_error",
    detail="This was not meant to happen. An administrator finds it in the log by its request id.",
)


def _bad_request(code: str, title: str, detail: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Rule:
    return Rule(status=status, title=title, code=code, detail=detail, topic="input-invalid")


# The first rule whose class fits holds.
_RULES: tuple[tuple[type[Exception], Rule], ...] = (
    (errors.NotAuthenticated, _NOT_SIGNED_IN),
    (errors.PermissionRefused, _REFUSED),
    (errors.NotFound, _NOT_THERE),
    (errors.InputInvalid, _UNCLEAR),
    (
        errors.IdempotencyKeyReused,
        Rule(status=HTTPStatus.CONFLICT, title="This key belongs to another request"),
    ),
    (
        errors.ListingNotPossible,
        Rule(status=HTTPStatus.UNPROCESSABLE_ENTITY, title="This token cannot list repositories"),
    ),
    (errors.Conflict, Rule(status=HTTPStatus.CONFLICT, title="Another change came first")),
    (
        errors.CredentialRefused,
        Rule(status=HTTPStatus.UNPROCESSABLE_ENTITY, title="No credential can do this"),
    ),
    (
        errors.AddressError,
        Rule(status=HTTPStatus.BAD_REQUEST, title="This address cannot be used", field="repository_url"),
    ),
    (
        errors.AuditUnavailable,
        Rule(status=HTTPStatus.SERVICE_UNAVAILABLE, title="The audit trail cannot be written", retry_after=5),
    ),
    (
        errors.EnvelopeInvalid,
        Rule(
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
            title="A stored secret cannot be opened",
            detail="It was altered, or belongs elsewhere. Connect the account again, and tell an administrator.",
        ),
    ),
    (
        errors.CryptoError,
        Rule(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            title="An encryption key is missing",
            # The error's own text is the operator's: it names files.
            detail="What is stored is untouched. An administrator has to restore the key.",
            topic="key-unavailable",
            retry_after=60,
        ),
    ),
    (
        errors.TooManyRequests,
        Rule(status=HTTPStatus.TOO_MANY_REQUESTS, title="Too many requests", retry_after=60),
    ),
    (
        errors.UploadTooLarge,
        Rule(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, title="The file is too large", field="file"),
    ),
    (
        errors.QuotaExceeded,
        Rule(status=HTTPStatus.TOO_MANY_REQUESTS, title="What one person may use is used up", retry_after=60),
    ),
    (
        errors.StorageUnavailable,
        Rule(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            title="The storage takes nothing at this moment",
            retry_after=30,
        ),
    ),
    (
        errors.ImportProblem,
        Rule(status=HTTPStatus.UNPROCESSABLE_ENTITY, title="This cannot be imported"),
    ),
    (
        errors.ProviderRateLimited,
        Rule(status=HTTPStatus.SERVICE_UNAVAILABLE, title="The Git host asks us to wait", retry_after=60),
    ),
    (
        errors.RefreshUnavailable,
        Rule(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            title="The token cannot be renewed at this moment",
            retry_after=30,
        ),
    ),
    (
        errors.ProviderUnreachable,
        Rule(status=HTTPStatus.SERVICE_UNAVAILABLE, title="The Git host does not answer", retry_after=30),
    ),
    (
        errors.ProviderError,
        Rule(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            title="The Git host's answer settles nothing",
            topic="unknown",
            retry_after=30,
        ),
    ),
    (drf.ValidationError, _UNCLEAR),
    (drf.AuthenticationFailed, _NOT_SIGNED_IN),
    (drf.NotAuthenticated, _NOT_SIGNED_IN),
    (drf.PermissionDenied, _REFUSED),
    (PermissionDenied, _REFUSED),
    (drf.NotFound, _NOT_THERE),
    (Http404, _NOT_THERE),
    (drf.ParseError, _bad_request("malformed", "The body cannot be read", "The body is not valid JSON.")),
    (
        FormMalformed,
        _bad_request(
            "malformed", "The body cannot be read", "The body is no form that sends each field once."
        ),
    ),
    (
        RequestDataTooBig,
        _bad_request(
            "body_too_large",
            "The body is too large",
            "The fields beside a file have at most 1 MB.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
    ),
    (
        BodyTooLarge,
        _bad_request(
            "body_too_large",
            "The body is too large",
            "A request body has at most 64 kB.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
    ),
    (
        drf.UnsupportedMediaType,
        _bad_request(
            "unsupported_media_type",
            "The body is not JSON",
            "Send the body as application/json.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
    ),
    (
        drf.MethodNotAllowed,
        _bad_request(
            "method_not_allowed",
            "This address does not know this method",
            "The header Allow lists the methods it knows.",
            HTTPStatus.METHOD_NOT_ALLOWED,
        ),
    ),
    (
        drf.Throttled,
        Rule(
            status=HTTPStatus.TOO_MANY_REQUESTS,
            title="Too many requests",
            code="rate_limited",
            detail="Wait before the next request.",
            retry_after=60,
        ),
    ),
    (
        SuspiciousOperation,
        _bad_request("malformed", "The request cannot be read", "The request is not well-formed."),
    ),
    (
        UnreadablePostError,
        _bad_request("malformed", "The body cannot be read", "The connection ended before the body did."),
    ),
    (OperationalError, _UNAVAILABLE),
    (InterfaceError, _UNAVAILABLE),
)

# No wait of the caller's own makes room for everybody.
_FULL = Rule(
    status=HTTPStatus.INSUFFICIENT_STORAGE,
    title="What all people together may use is used up",
    detail="Nothing was kept. An administrator has to make room.",
)

_DETAILS: Mapping[str, str] = {
    _NOT_SIGNED_IN.code: "Send a service key as a bearer token, or sign in.",
    _REFUSED.code: "This is not allowed. A browser sends its CSRF token with every change.",
    _NOT_THERE.code: "There is no such object here.",
}

# What DRF's and Django's validators call a mistake, in words that repeat no value.
_MISTAKES: Mapping[str, str] = {
    "required": "This field is required.",
    "null": "This field may not be null.",
    "blank": "This field may not be empty.",
    "empty": "This field may not be empty.",
    "max_length": "This is too long.",
    "min_length": "This is too short.",
    "max_value": "This is too large.",
    "min_value": "This is too small.",
    "invalid_choice": "This is none of the values this field knows.",
    "unknown_field": "This call knows no such field.",
    "token_in_text": "This looks like a token, and this field is no place for one.",
    "not_in_future": "This is not in the future.",
}
_NOT_VALID = "This is not valid."


def problem_response(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """The answer to ``error``; DRF's exception handler, and called directly where DRF is not involved.

    ``context["request"]`` is the request.
    """
    rule = next((rule for kind, rule in _RULES if isinstance(error, kind)), _UNEXPECTED)
    if isinstance(error, DatabaseError) and database.trouble_of(error):
        rule = _UNAVAILABLE
    if isinstance(error, errors.QuotaExceeded) and error.whose == "everybody":
        rule = _FULL
    request_id = request_id_of(context["request"].META)
    if rule.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log(error, request_id=request_id)
    response = HttpResponse(
        json.dumps(_body(error, rule, request_id=request_id)), status=rule.status, content_type=MEDIA_TYPE
    )
    for name, value in _headers(error, rule).items():
        response[name] = value
    return response


def _body(error: Exception, rule: Rule, *, request_id: str) -> dict[str, Any]:
    own = error if isinstance(error, errors.ForgekeyError) else None
    code = rule.code or (own.code if own else _UNEXPECTED.code)
    body: dict[str, Any] = {
        "type": f"/help/{rule.topic or code.replace('_', '-')}/",
        "title": rule.title,
        "status": int(rule.status),
        "detail": rule.detail or (str(own) if own else _DETAILS.get(code, _NOT_VALID)),
        "code": code,
        "retryable": own.retryable if own else bool(rule.retry_after),
        "request_id": request_id,
    }
    if isinstance(error, errors.CredentialRefused):
        verdict = error.verdict
        body |= {
            "type": f"/help/{verdict.help_topic}/",
            "code": verdict.code.value,
            "title": str(verdict.title),
            "detail": str(verdict.summary),
            "verdict": verdict_body(verdict),
        }
    if mistakes := list(_mistakes(error, rule)):
        body |= {"field": mistakes[0]["field"], "errors": mistakes, "detail": mistakes[0]["detail"]}
    return body


def _mistakes(error: Exception, rule: Rule) -> Iterator[dict[str, str]]:
    """Which fields are wrong, and how."""
    if isinstance(error, errors.InputInvalid) and error.field:
        yield {"field": error.field, "detail": str(error)}
    elif isinstance(error, errors.AddressError | errors.UploadTooLarge):
        yield {"field": rule.field, "detail": str(error)}
    elif isinstance(error, drf.ValidationError):
        yield from _field_mistakes(error.get_codes(), field="")


def _field_mistakes(codes: Any, *, field: str) -> Iterator[dict[str, str]]:
    if isinstance(codes, dict):
        for name, inner in codes.items():
            yield from _field_mistakes(inner, field="" if name == "non_field_errors" else field or str(name))
    elif isinstance(codes, list):
        for inner in codes[:1]:
            yield from _field_mistakes(inner, field=field)
    else:
        yield {"field": field, "detail": _MISTAKES.get(str(codes), _NOT_VALID)}


def _headers(error: Exception, rule: Rule) -> dict[str, str]:
    headers = dict(NOT_STORED)
    if rule.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    wait: float = rule.retry_after
    if (
        isinstance(error, errors.ProviderRateLimited | errors.TooManyRequests | errors.RefreshUnavailable)
        and error.retry_after is not None
    ):
        wait = error.retry_after.total_seconds()
    elif isinstance(error, drf.Throttled):
        wait = getattr(error, "wait", None) or wait
    if wait:
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers


def _log(error: Exception, *, request_id: str) -> None:
    """Classes and places only: a message may repeat what was sent, or a row's values."""
    chain: list[str] = []
    places: list[str] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(type(current).__name__)
        frames = traceback.extract_tb(current.__traceback__)
        told = [frame for frame in frames[:-1] if "site-packages" not in frame.filename] + frames[-1:]
        places += [f"{frame.filename}:{frame.lineno}" for frame in told]
        current = current.__cause__ or current.__context__
    logger.error("%s in request %s at %s", " from ".join(chain), request_id, ", ".join(places))


_LONGEST_CHAIN = 5
