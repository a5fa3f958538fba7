"""What the OpenAPI description needs beside the views: the two ways in, the errors, closed bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from credentials.api.outputs import ProblemShape

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShape"}}}
_ERRORS: Mapping[str, str] = {
    "4XX": "The request cannot be carried out as it is; `code` says why.",
    "5XX": "Not the caller's fault; where `retryable` is true, the same request may succeed later.",
}

REFUSED = OpenApiResponse(
    ProblemShape, description="No credential can do this; `verdict` says why and what to do."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    type={"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"},
    location=OpenApiParameter.HEADER,
    description=(
        "A value of the caller's own choice. For a day, the same request with the same key creates nothing further; "
        "another request with it is a conflict."
    ),
)


class ServiceKey(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular ships no types
    """How a service client authenticates."""

    target_class = "credentials.api.authentication.ServiceClientAuthentication"
    name = "serviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "fk_<public id>_<secret>",
            "description": "The key of a service client. What it may do depends on its scopes.",
        }


class BrowserSession(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as above
    """How a signed-in person authenticates."""

    target_class = "credentials.api.authentication.BrowserSessionAuthentication"
    name = "browserSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in person's session; changes need the CSRF token too.",
        }


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A drf-spectacular hook: every operation tells its errors, and a body takes no unknown field."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("InputRequest") and schema.get("type") == "object":
            schema["additionalProperties"] = False
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, description in _ERRORS.items():
                operation["responses"][status] = {"description": description, "content": _PROBLEM}
            if "422" in operation["responses"]:
                operation["responses"]["422"]["content"] = _PROBLEM
    return result
