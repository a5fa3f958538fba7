"""Pages of a list: ``{next, previous, results}``, by cursors that stay right while rows come and go."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from credentials.errors import InputInvalid


class CreatedCursorPagination(CursorPagination):
    """Newest first."""

    ordering = "-created_at"
    cursor_query_description = "Leads to another page; it comes from `next` or `previous`."

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """A page of rows.

        Raises InputInvalid where the cursor is none of ours: DRF lets a position that is no date, or no
        text a database takes, through to the database.
        """
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValidationError, ValueError):
            raise InputInvalid("This cursor came from no page of this list.", field="cursor") from None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """As DRF's, with the keywords of OpenAPI 3.1."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": dict(link), "results": schema},
        }
