"""``/snapshots/``: one version of a library, its files, and its archive."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import import_queries
from credentials.api.archives import CACHED, archive_response, etag, is_known
from credentials.api.import_bodies import entry_body, snapshot_details
from credentials.api.import_inputs import FilesQuery
from credentials.api.import_outputs import FilePageShape, SnapshotDetailsShape
from credentials.api.views import IMPORTS_READ, ApiView, answer
from credentials.errors import InputInvalid
from credentials.services.libraries import snapshots
from credentials.sources.snapshot import Entry

_RANGE = OpenApiParameter(
    name="Range",
    location=OpenApiParameter.HEADER,
    description="One range of bytes, to go on with a download that broke off.",
)
_IF_NONE_MATCH = OpenApiParameter(
    name="If-None-Match", location=OpenApiParameter.HEADER, description="An `ETag` that is known already."
)


class OneSnapshot(ApiView):
    """One version of a library."""

    needs = {"GET": IMPORTS_READ}

    @extend_schema(
        operation_id="snapshots_retrieve",
        summary="What a snapshot holds, where it came from, and what was left out",
        responses=SnapshotDetailsShape,
    )
    def get(self, request: Request, snapshot_id: UUID) -> Response:
        return answer(snapshot_details(import_queries.one_snapshot(self.caller, snapshot_id)))


class Files(ApiView):
    """The manifest of a snapshot."""

    needs = {"GET": IMPORTS_READ}
    pagination_class = None

    @extend_schema(
        operation_id="snapshots_files",
        summary="The files of a snapshot, in the order of the bytes of their paths",
        description="The lines of all pages, written as docs/imports.md says, have the snapshot's `digest`.",
        parameters=[FilesQuery],
        responses=FilePageShape,
    )
    def get(self, request: Request, snapshot_id: UUID) -> Response:
        wanted = self.read_query(FilesQuery)
        after = _decoded(wanted["cursor"])
        snapshot = import_queries.one_snapshot(self.caller, snapshot_id)
        page = _page(
            snapshots.manifest_of(snapshot).entries,
            prefix=wanted["prefix"],
            after=after,
            most=wanted["limit"] + 1,
        )
        told, more = page[: wanted["limit"]], len(page) > wanted["limit"]
        kept = {name: wanted[name] for name in ("prefix", "limit") if name in request.query_params}
        cursor = urlencode({**kept, "cursor": _encoded(told[-1].path)}) if more else ""
        return answer(
            {
                "next": f"{request.build_absolute_uri(request.path)}?{cursor}" if more else None,
                "previous": None,
                "results": [entry_body(entry) for entry in told],
            }
        )


def _page(entries: Sequence[Entry], *, prefix: str, after: bytes, most: int) -> list[Entry]:
    """The next entries after a path; ``entries`` are sorted by the bytes of theirs."""
    begin = bisect_right(entries, after, key=lambda entry: entry.path.encode())
    wanted = (entry for entry in islice(entries, begin, None) if entry.path.startswith(prefix))
    return list(islice(wanted, most))


def _encoded(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> bytes:
    """The path a cursor stands for, empty for the beginning; raises InputInvalid for none of ours."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InputInvalid("This cursor came from no page of this list.", field="cursor") from None


class Archive(ApiView):
    """The files of a snapshot as one ZIP."""

    needs = {"GET": IMPORTS_READ}

    @extend_schema(
        operation_id="snapshots_archive",
        summary="The files of a snapshot as a ZIP",
        description=(
            "Byte-identical for the same tree, so that the `ETag` is made of its digest. One range of bytes may be "
            "asked for."
        ),
        parameters=[_RANGE, _IF_NONE_MATCH],
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            (206, "application/zip"): OpenApiTypes.BINARY,
            304: None,
            416: None,
        },
    )
    def get(self, request: Request, snapshot_id: UUID) -> HttpResponseBase:
        snapshot = import_queries.one_snapshot(self.caller, snapshot_id)
        if is_known(request.META, snapshot):
            response: HttpResponseBase = HttpResponse(status=304)
        else:
            response = archive_response(
                request.META,
                snapshot,
                opening=lambda: snapshots.open_archive(actor=self.caller.actor, snapshot=snapshot),
                with_body=request.method != "HEAD",
            )
        response["ETag"] = etag(snapshot)
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """What is somebody's own may lie in their cache, but is asked for each time: a library may be removed."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code in CACHED:
            final["Cache-Control"] = "private, no-cache"
            del final["Pragma"]
        return final
