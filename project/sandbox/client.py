"""A small client of the control JSON, for the command line and the tests: standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30
FIRST_ERROR = 400


class SandboxError(Exception):
    """The sandbox is not there, or refuses; the text says which and why."""


def control(web_url: str, method: str, path: str, data: object = None) -> dict[str, Any]:
    """Call `/_sandbox/<path>` of the host at `web_url` with JSON. Raises SandboxError."""
    address = urlsplit(web_url).netloc
    connection = HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        body = None if data is None else json.dumps(data).encode()
        target = f"/_sandbox/{path.lstrip('/')}"
        connection.request(method, target, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise SandboxError(f"No sandbox answers at {address}: {error}") from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise SandboxError(f"What answers at {address} is no sandbox.")
    if response.status >= FIRST_ERROR:
        raise SandboxError(str(answer.get("error", response.status)))
    return answer


def mint(
    web_url: str,
    *,
    account: str,
    kind: str,
    scopes: Sequence[str] = (),
    expires_in: float | None = None,
    organizations: Sequence[str] = (),
    resource: str | None = None,
) -> dict[str, Any]:
    """Make a token at one host: `token`, and the `username` and `email` to show with it.

    `expires_in` is in seconds; None means what is usual for the kind. Raises SandboxError.
    """
    facts = {
        "account": account,
        "kind": kind,
        "scopes": list(scopes),
        "expires_in": expires_in,
        "organizations": list(organizations),
        "resource": resource,
    }
    return control(web_url, "POST", "tokens", facts)
