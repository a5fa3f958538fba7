"""``/imports/``: bring a library's content by Git or by ZIP, watch it, stop it, try it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials import uploads
from credentials.api import import_queries, queries
from credentials.api.filters import ImportFilter
from credentials.api.import_bodies import import_body
from credentials.api.import_inputs import GitImportInput, ZipImportInput
from credentials.api.import_outputs import ImportShape
from credentials.api.pagination import CreatedCursorPagination
from credentials.api.parsing import SmallJSONParser, UploadParser
from credentials.api.schema import IDEMPOTENCY_KEY
from credentials.api.views import IMPORTS_READ, IMPORTS_WRITE, ApiView, answer
from credentials.models import Import
from credentials.services import idempotency
from credentials.services.imports import canceling, requests, retrying


def accepted(job: Import) -> Response:
    """202: a worker carries it out; ``Location`` is where to look."""
    response = answer(import_body(job), 202)
    response["Location"] = reverse("api-import", args=[job.pk])
    return response


class Imports(ApiView):
    """List what the caller may see; ask for an import."""

    needs = {"GET": IMPORTS_READ, "POST": IMPORTS_WRITE}
    parser_classes = (SmallJSONParser, UploadParser)
    pagination_class = CreatedCursorPagination
    filter_backends = (DjangoFilterBackend,)
    filterset_class = ImportFilter

    def get_queryset(self) -> QuerySet[Import]:
        if getattr(self, "swagger_fake_view", False):
            return Import.objects.none()
        return import_queries.imports(self.caller)

    @extend_schema(
        operation_id="imports_list", summary="Imports, newest first", responses=ImportShape(many=True)
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response([import_body(job) for job in page])

    @extend_schema(
        operation_id="imports_create",
        summary="Import a library by Git or by ZIP",
        description=(
            "JSON for a repository, `multipart/form-data` for a ZIP file. `library` is the id of one of the user's "
            "libraries, or a name; a library that is not there yet is made. The answer comes at once, and a worker "
            "does the rest: ask at `Location` until `state` is `succeeded`, `failed` or `canceled`, or wait for the "
            "webhook `import.finished`. A signed-in person may leave `user` out."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request={"application/json": GitImportInput, "multipart/form-data": ZipImportInput},
        responses={202: ImportShape},
    )
    def post(self, request: Request) -> Response:
        key = idempotency.checked_key(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
        body, make = self._zip(request) if _is_form(request) else self._git(request)
        if not key:
            return accepted(make())
        made: Import = idempotency.once(
            caller=self.caller.id,
            key=key,
            digest=idempotency.digest_of(method="POST", path=request.path, body=body),
            make=make,
            id_of=lambda job: job.pk,
            again=lambda known: import_queries.one_import(self.caller, known),
        )
        return accepted(made)

    def _git(self, request: Request) -> tuple[Any, Callable[[], Import]]:
        """What the request says, and what carries it out."""
        wanted = self.read(GitImportInput).validated_data
        import_queries.require_host_of(self.caller, wanted["repository_url"])
        return request.data, lambda: requests.request_git(
            actor=self.caller.actor,
            owner=queries.owner(self.caller, wanted["user"]),
            library=wanted["library"],
            repository_url=wanted["repository_url"],
            ref=wanted["ref"],
            subdirectory=wanted["subdirectory"],
            reference=wanted["reference"],
            now=timezone.now(),
        )

    def _zip(self, request: Request) -> tuple[Any, Callable[[], Import]]:
        """As above; of the file, its bytes are what it says."""
        said: dict[str, Any] = dict(request.data)
        said.pop("csrfmiddlewaretoken", None)
        upload = uploads.received(request._request)
        reading = ZipImportInput(data={**said, uploads.FIELD: upload})
        reading.is_valid(raise_exception=True)
        wanted = reading.validated_data
        return {**said, uploads.FIELD: upload.sha256}, lambda: requests.request_zip(
            actor=self.caller.actor,
            owner=queries.owner(self.caller, wanted["user"]),
            library=wanted["library"],
            upload=upload,
            file_name=upload.name or uploads.NAMELESS,
            subdirectory=wanted["subdirectory"],
            unwrap=wanted["unwrap"],
            reference=wanted["reference"],
            now=timezone.now(),
        )


def _is_form(request: Request) -> bool:
    return str(request.content_type).partition(";")[0].strip().lower() == UploadParser.media_type


class OneImport(ApiView):
    """How far an import is."""

    needs = {"GET": IMPORTS_READ}

    @extend_schema(
        operation_id="imports_retrieve",
        summary="How far an import is, and how it ended",
        description=(
            "A failed import says why: in `verdict` where a credential is the matter, in `error` otherwise. Nothing of "
            "it is kept."
        ),
        responses=ImportShape,
    )
    def get(self, request: Request, import_id: UUID) -> Response:
        return answer(import_body(import_queries.one_import(self.caller, import_id)))


class Cancel(ApiView):
    """Stop an import."""

    needs = {"POST": IMPORTS_WRITE}

    @extend_schema(
        operation_id="imports_cancel",
        summary="Stop an import",
        description=(
            "One that waits is canceled at once. One that runs ends within seconds; until then its state is `running` "
            "and `cancel_requested` is true. One that has ended is a conflict."
        ),
        request=None,
        responses={200: ImportShape},
    )
    def post(self, request: Request, import_id: UUID) -> Response:
        job = import_queries.one_import(self.caller, import_id)
        canceling.cancel(actor=self.caller.actor, job=job, now=timezone.now())
        return answer(import_body(import_queries.one_import(self.caller, import_id)))


class Retry(ApiView):
    """Try an import again."""

    needs = {"POST": IMPORTS_WRITE}

    @extend_schema(
        operation_id="imports_retry",
        summary="Try an import again that failed or was canceled",
        description="The same import is put back into the queue. One that waits, runs or succeeded is a conflict.",
        request=None,
        responses={202: ImportShape},
    )
    def post(self, request: Request, import_id: UUID) -> Response:
        job = import_queries.one_import(self.caller, import_id)
        retrying.retry(actor=self.caller.actor, job=job, now=timezone.now())
        return accepted(import_queries.one_import(self.caller, import_id))
