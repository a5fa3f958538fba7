"""Logs as JSON lines: path without query, request id, user id; nothing a person typed, and no secret."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse

# Shapes of secrets that must not reach a log even by mistake: providers' tokens, our keys, URL logins.
SECRET_SHAPES = re.compile(
    r"gh[pousr]_[A-Za-z0-9._-]{20,}|github_pat_\w{20,}|gl[a-z]{2,6}-[\w.-]{16,}|AT[AC]TT3[\w=-]{16,}|ATBB\w{16,}"
    r"|BBDC-[\w+/@-]{20,}|fk_\w{8,}_[\w-]{20,}|(?<=://)[^/\s@]+(?=@)|(?<=[?&]code=)[^&\s]+"
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"
)
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


def redact(text: str) -> str:
    """``text`` with everything that has the shape of a secret replaced by ``[redacted]``."""
    return SECRET_SHAPES.sub("[redacted]", text)


def redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: redacts every text of an event, tracebacks included."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event


_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_structlog() -> None:
    """Send structlog's events through the standard library's loggers."""
    structlog.configure(
        processors=[*_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _PROCESSORS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Tracebacks without local variables: a local may hold a secret.
                structlog.processors.format_exc_info,
                redact_event,
                structlog.processors.JSONRenderer(),
            ],
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Django's own handlers would mail settings and form fields to administrators.
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.server": {"handlers": [], "level": "CRITICAL", "propagate": False},
        # Request lines with query strings: the callback's address carries a code.
        "_granian": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "urllib3": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}

access = structlog.stdlib.get_logger("forgekey.access")


class RequestMiddleware:
    """Gives every request an id, answers with it, and writes one access line without the query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.match(given) else uuid.uuid4().hex
        request.META["forgekey.request_id"] = request_id
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            if access.isEnabledFor(logging.INFO):
                access.info(
                    "request",
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    ms=round((time.monotonic() - started) * 1000, 1),
                )
        return response
