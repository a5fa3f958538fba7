"""A caller of the API, as a program is one."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def _json(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
