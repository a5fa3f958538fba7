"""A caller of the API, as a program is one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from credentials.crypto.secret import Secret

Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """``call(key, "POST", "/leases/", {...})``; without a key, anonymously."""

    def send(key: Secret | None, method: str, path: str, body: object = None, **headers: str) -> Any:
        if key is not None:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        return Client(raise_request_exception=False).generic(
            method,
            f"/api/v1{path}",
            data=b"" if body is None else _json(body),
            content_type="application/json",
            headers=headers,
        )

    return send


@pytest.fixture
def written_log() -> Iterator[StringIO]:
    """What a deployment's log would hold: every logger, written by the configured formatter."""
    (console,) = [
        handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler
    ]
    copy = logging.StreamHandler(StringIO())
    copy.setFormatter(console.formatter)
    loggers = [logging.getLogger(name) for name in (None, *logging.getLogger().manager.loggerDict)]
    ends = [logger for logger in loggers if logger.parent is None or not logger.propagate]
    for logger in ends:
        logger.addHandler(copy)
    yield copy.stream
    for logger in ends:
        logger.removeHandler(copy)


def _json(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def waiting(settings: Any) -> None:
    """What is put into a queue stays there, as where no worker runs."""
    settings.TASKS = {
        "default": {
            "BACKEND": "django_tasks.backends.dummy.DummyBackend",
            "QUEUES": ["default", "imports"],
        }
    }
