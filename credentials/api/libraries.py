"""``/libraries/``: a person's libraries, their snapshots, and what changed between two of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import import_queries
from credentials.api.filters import LibraryFilter
from credentials.api.import_bodies import difference_body, library_body, snapshot_body
from credentials.api.import_inputs import DifferenceQuery, LibraryInput
from credentials.api.import_outputs import DifferenceShape, ImportShape, LibraryShape, SnapshotShape
from credentials.api.imports import accepted
from credentials.api.pagination import CreatedCursorPagination
from credentials.api.views import IMPORTS_READ, IMPORTS_WRITE, ApiView, answer
from credentials.errors import InputInvalid, NotFound
from credentials.models import Library, Snapshot, Source
from credentials.services import clients
from credentials.services.imports import requests
from credentials.services.libraries import libraries, snapshots


class Libraries(ApiView):
    """The libraries a caller may see."""

    needs = {"GET": IMPORTS_READ}
    pagination_class = CreatedCursorPagination
    filter_backends = (DjangoFilterBackend,)
    filterset_class = LibraryFilter

    def get_queryset(self) -> QuerySet[Library]:
        if getattr(self, "swagger_fake_view", False):
            return Library.objects.none()
        return import_queries.libraries(self.caller)

    @extend_schema(
        operation_id="libraries_list",
        summary="Libraries, newest first",
        description=(
            "A key that is limited to hosts sees what came from those, or by ZIP, and a library as if it held nothing "
            "else."
        ),
        responses=LibraryShape(many=True),
    )
    def get(self, request: Request) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        latest = import_queries.snapshots(self.caller).in_bulk([one.latest_id for one in page])
        return self.get_paginated_response([library_body(one, latest.get(one.latest_id)) for one in page])


class OneLibrary(ApiView):
    """One library: see it, rename it, remove it."""

    needs = {"GET": IMPORTS_READ, "PATCH": IMPORTS_WRITE, "DELETE": IMPORTS_WRITE}

    def told(self, library_id: UUID) -> Response:
        """The library as it stands now."""
        found: Any = import_queries.one_library(self.caller, library_id)
        latest = import_queries.snapshots(self.caller).filter(pk=found.latest_id).first()
        return answer(library_body(found, latest))

    @extend_schema(
        operation_id="libraries_retrieve", summary="A library and its newest snapshot", responses=LibraryShape
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        return self.told(library_id)

    @extend_schema(
        operation_id="libraries_rename",
        summary="Give a library another name",
        request=LibraryInput,
        responses=LibraryShape,
    )
    def patch(self, request: Request, library_id: UUID) -> Response:
        library = import_queries.one_library(self.caller, library_id)
        name = self.read(LibraryInput).validated_data["name"]
        try:
            libraries.rename(actor=self.caller.actor, library=library, name=name)
        except InputInvalid as error:
            raise InputInvalid(str(error), field="name") from None
        return self.told(library_id)

    @extend_schema(
        operation_id="libraries_remove",
        summary="Remove a library with all its snapshots and imports",
        description=(
            "It cannot be brought back. While an import of it waits or runs, it is a conflict. A key that is limited "
            "to hosts is refused where the library holds what came from others."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, library_id: UUID) -> Response:
        library = import_queries.one_library(self.caller, library_id)
        import_queries.require_whole(self.caller, library)
        libraries.remove(actor=self.caller.actor, library=library)
        return Response(status=204)


class Update(ApiView):
    """Bring a library up to date."""

    needs = {"POST": IMPORTS_WRITE}

    @extend_schema(
        operation_id="libraries_update",
        summary="Import the library's last Git source again",
        description=(
            "The repository, branch or tag, and folder of its newest snapshot that came by Git. Where nothing has "
            "changed, the import succeeds with `is_unchanged`, and there is no new snapshot."
        ),
        request=None,
        responses={202: ImportShape},
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = import_queries.one_library(self.caller, library_id)
        last = Snapshot.objects.filter(library=library, source=Source.GIT).order_by("-number").first()
        if last is not None and self.caller.client is not None:
            clients.require_host(self.caller.client, last.host)
        return accepted(requests.update(actor=self.caller.actor, library=library, now=timezone.now()))


class Snapshots(ApiView):
    """The versions of one library."""

    needs = {"GET": IMPORTS_READ}
    pagination_class = CreatedCursorPagination

    @extend_schema(
        operation_id="libraries_snapshots",
        summary="Snapshots of a library, newest first",
        responses=SnapshotShape(many=True),
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        library = import_queries.one_library(self.caller, library_id)
        page = self.paginate_queryset(import_queries.snapshots(self.caller).filter(library=library)) or []
        return self.get_paginated_response([snapshot_body(snapshot) for snapshot in page])


class Compared(ApiView):
    """What changed between two snapshots."""

    needs = {"GET": IMPORTS_READ}

    @extend_schema(
        operation_id="libraries_difference",
        summary="What changed between two snapshots of a library",
        description=(
            "A file that only got another name is `moved`. At most 1,000 files of each sort are listed; `totals` tells "
            "how many there are, and where that is more, `is_complete` is false."
        ),
        parameters=[DifferenceQuery],
        responses=DifferenceShape,
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        library = import_queries.one_library(self.caller, library_id)
        wanted = self.read_query(DifferenceQuery)
        inside = import_queries.snapshots(self.caller).filter(library=library).order_by("-number")
        after = _chosen(inside, wanted["to"], field="to")
        older = inside if wanted["from"] else inside.filter(number__lt=after.number)
        before = _chosen(older, wanted["from"], field="from")
        return answer(difference_body(before, after, snapshots.difference_of(before, after)))


def _chosen(rows: QuerySet[Snapshot], said: str, *, field: str) -> Snapshot:
    """The snapshot of this number or id, the newest where nothing is said; raises NotFound, InputInvalid."""
    if said.isascii() and said.isdecimal():
        rows = rows.filter(number=min(int(said), _LARGEST))
    elif said:
        try:
            rows = rows.filter(pk=UUID(said))
        except ValueError:
            raise InputInvalid("Name a snapshot by its number or its id.", field=field) from None
    found = rows.first()
    if found is None:
        raise NotFound("This library has no such snapshot.")
    return found


# What the database keeps as a number.
_LARGEST = 2**31 - 1
