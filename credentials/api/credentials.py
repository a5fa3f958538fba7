"""``/credentials/``: metadata, manual entry, verification, disconnecting. Never a secret."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api.bodies import credential_body
from credentials.api.inputs import ConnectInput, EntryInput, LabelInput
from credentials.api.outputs import (
    ConnectedShape,
    CredentialShape,
    OrganizationAccessShape,
    ProblemShape,
    ReceiptShape,
)
from credentials.api.pagination import CreatedCursorPagination
from credentials.api.permissions import ScopeOrOwner
from credentials.api.problems import timestamp, verdict_body
from credentials.api.views import ApiView, answer
from credentials.errors import NotFound
from credentials.models import Credential, IdempotencyRecord, Scope
from credentials.models.organization import AccessState
from credentials.services import clients, connect, disconnect, hosts, idempotency, verify
from credentials.services.connect import Connected

_READ, _WRITE = Scope.CREDENTIALS_READ, Scope.CREDENTIALS_WRITE
_FILTERS = ("user", "host", "provider", "status")
_LOOKUPS = {
    "user": "owner__username",
    "host": "host__slug",
    "provider": "host__provider",
    "status": "status",
}


def _connected_body(done: Connected) -> dict[str, Any]:
    return {**credential_body(done.credential), "verdict": verdict_body(done.verdict)}


class Credentials(ApiView):
    """List what the caller may see; store a pasted token."""

    permission_classes = (ScopeOrOwner,)
    scopes: ClassVar = {"get": _READ, "post": _WRITE}

    @extend_schema(
        operation_id="credentials_list",
        parameters=[OpenApiParameter(name, str) for name in (*_FILTERS, "cursor")],
        responses=CredentialShape(many=True),
    )
    def get(self, request: Request) -> Response:
        found = self.visible()
        for name in _FILTERS:
            if value := request.query_params.get(name):
                found = found.filter(**{_LOOKUPS[name]: value})
        pages = CreatedCursorPagination()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([credential_body(credential) for credential in page])

    @extend_schema(
        operation_id="credentials_create",
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        request=ConnectInput,
        responses={201: ConnectedShape, 422: ProblemShape},
    )
    def post(self, request: Request) -> Response:
        body = ConnectInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        owner, host = self.subject_user(data["user"]), hosts.get(data["host"])
        if self.client is not None:
            clients.require_host(self.client, host.slug)
        record = idempotency.begin(
            caller=f"{self.actor.kind}:{self.actor.id}",
            key=request.headers.get("Idempotency-Key", ""),
            request=request.body,
        )
        if record is not None and record.object_id is not None:
            return self._again(record)
        with idempotency.forgotten_on_failure(record):
            done = connect.connect_token(actor=self.actor, owner=owner, host=host, entry=body.entry())
        idempotency.finish(record, object_id=done.credential.pk)
        return answer(_connected_body(done), 201)

    def _again(self, record: IdempotencyRecord) -> Response:
        if record.object_id is None:
            raise NotFound("There is no such credential.")
        credential = self.one_visible(record.object_id)
        return answer(credential_body(credential), 201)


class OneCredential(ApiView):
    """One credential: see it, rename it, disconnect it."""

    permission_classes = (ScopeOrOwner,)
    scopes: ClassVar = {"get": _READ, "patch": _WRITE, "delete": _WRITE}

    @extend_schema(operation_id="credentials_retrieve", responses=CredentialShape)
    def get(self, request: Request, credential_id: UUID) -> Response:
        return answer(credential_body(self.one_visible(credential_id)))

    @extend_schema(operation_id="credentials_rename", request=LabelInput, responses=CredentialShape)
    def patch(self, request: Request, credential_id: UUID) -> Response:
        credential = self.one_visible(credential_id)
        body = LabelInput(data=request.data)
        body.is_valid(raise_exception=True)
        connect.rename(actor=self.actor, credential=credential, label=body.validated_data["label"])
        return answer(credential_body(credential))

    @extend_schema(operation_id="credentials_disconnect", responses=ReceiptShape)
    def delete(self, request: Request, credential_id: UUID) -> Response:
        receipt = disconnect.disconnect(actor=self.actor, credential=self.one_visible(credential_id))
        body = {"revocation": receipt.outcome.value}
        if receipt.manual_url:
            body["manual_url"] = receipt.manual_url
        return answer(body)


class Replace(ApiView):
    """Put another token into a credential; id, label and history stay."""

    permission_classes = (ScopeOrOwner,)
    scopes: ClassVar = {"post": _WRITE}

    @extend_schema(
        operation_id="credentials_replace",
        request=EntryInput,
        responses={200: ConnectedShape, 422: ProblemShape},
    )
    def post(self, request: Request, credential_id: UUID) -> Response:
        credential = self.one_visible(credential_id)
        body = EntryInput(data=request.data)
        body.is_valid(raise_exception=True)
        done = connect.replace_token(actor=self.actor, credential=credential, entry=body.entry())
        return answer(_connected_body(done))


class Verify(ApiView):
    """Ask the host about a credential now."""

    permission_classes = (ScopeOrOwner,)
    scopes: ClassVar = {"post": _WRITE}

    @extend_schema(operation_id="credentials_verify", request=None, responses=ConnectedShape)
    def post(self, request: Request, credential_id: UUID) -> Response:
        credential = self.one_visible(credential_id)
        found = verify.verify(actor=self.actor, credential=credential, purpose="verification on demand")
        return answer({**credential_body(credential), "verdict": verdict_body(found)})


class Organizations(ApiView):
    """What each organization answers through one credential."""

    permission_classes = (ScopeOrOwner,)
    scopes: ClassVar = {"get": _READ}

    @extend_schema(operation_id="credentials_organizations", responses=OrganizationAccessShape(many=True))
    def get(self, request: Request, credential_id: UUID) -> Response:
        credential = self.one_visible(credential_id)
        return answer([_organization_body(credential, access) for access in credential.organizations.all()])


def _organization_body(credential: Credential, access: Any) -> dict[str, Any]:
    mend = access.mend_url or None
    return {
        "organization": {"host": credential.host.slug, "key": access.key, "name": access.name},
        "state": access.state,
        "evidence": access.evidence,
        "checked_at": timestamp(access.checked_at),
        "links": {
            "request": mend if access.state == AccessState.NOT_APPROVED else None,
            "approve": mend if access.state == AccessState.REQUESTED else None,
            "sso": mend if access.state == AccessState.SSO_REQUIRED else None,
        },
    }
