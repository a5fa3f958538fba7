"""Reads what a borrower asks for, straight from the request: this is the path that is measured.

:class:`credentials.api.inputs.LeaseInput` declares the same fields for the schema; a test holds the
two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from credentials.api.parsing import read_json
from credentials.errors import InputInvalid
from credentials.providers.free_text import has_token
from credentials.services.lend import LeaseRequest

_FIELDS = frozenset(
    {
        "user",
        "repository_url",
        "host",
        "credential",
        "purpose",
        "reference",
        "min_valid_seconds",
        "dry_run",
    }
)


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The request's JSON object; raises UnsupportedMediaType, BodyTooLarge, ParseError, InputInvalid."""
    if request.content_type != "application/json" and request.META.get("CONTENT_LENGTH") not in {
        None,
        "",
        "0",
    }:
        raise UnsupportedMediaType("")
    body = read_json(request)
    if not isinstance(body, dict):
        raise ParseError
    if not body.keys() <= _FIELDS:
        raise InputInvalid("This call knows no such field.")
    return body


def read_request(body: Mapping[str, Any]) -> LeaseRequest:
    """The lease that is asked for; raises InputInvalid, which names the field and repeats no value."""
    return LeaseRequest(
        user=_text(body, "user", 254, required=True),
        purpose=_words(body, "purpose", required=True),
        repository_url=_text(body, "repository_url", 2048),
        host=_text(body, "host", 50),
        credential=_uuid(body, "credential"),
        reference=_words(body, "reference"),
        min_valid_seconds=_number(body, "min_valid_seconds", 300),
    )


def is_dry_run(body: Mapping[str, Any]) -> bool:
    """Whether only a preview is asked for."""
    given = body.get("dry_run", False)
    if not isinstance(given, bool):
        raise InputInvalid("true or false.", field="dry_run")
    return given


def _text(body: Mapping[str, Any], name: str, limit: int, *, required: bool = False) -> str:
    given = body.get(name, "")
    if not isinstance(given, str):
        raise InputInvalid("A text is expected here.", field=name)
    if required and not given.strip():
        raise InputInvalid("This field is required.", field=name)
    if len(given) > limit:
        raise InputInvalid(f"At most {limit} characters.", field=name)
    return given


def _words(body: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    given = _text(body, name, 200, required=required)
    if has_token(given):
        raise InputInvalid("This looks like a token, and this field is no place for one.", field=name)
    return given


def _uuid(body: Mapping[str, Any], name: str) -> UUID | None:
    if name not in body:
        return None
    try:
        return UUID(body[name])
    except (ValueError, TypeError, AttributeError):
        raise InputInvalid("A UUID is expected here.", field=name) from None


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    given = body.get(name, default)
    if not isinstance(given, int) or isinstance(given, bool):
        raise InputInvalid("A whole number is expected here.", field=name)
    return given
