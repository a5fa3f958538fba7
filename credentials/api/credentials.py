"""``/credentials/``: metadata, manual entry, verification, disconnecting. Never a secret."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.bodies import credential_body, verdict_body
from credentials.api.filters import CredentialFilter
from credentials.api.inputs import ConnectInput, EntryInput, LabelInput
from credentials.api.outputs import (
    ConnectedShape,
    CreatedShape,
    CredentialShape,
    ReceiptShape,
)
from credentials.api.pagination import CreatedCursorPagination
from credentials.api.schema import IDEMPOTENCY_KEY, REFUSED
from credentials.api.views import READ, WRITE, ApiView, answer
from credentials.errors import Conflict, NotFound
from credentials.models import Credential
from credentials.services import connect, disconnect, idempotency, verify
from credentials.verdicts import Verdict


class CredentialsView(ApiView):
    """What the views of credentials share."""

    pagination_class: Any = None

    def open_credential(self, credential_id: UUID) -> Credential:
        """A credential that is connected, at a host that is open; raises NotFound, Conflict."""
        found = queries.credential(self.caller, credential_id)
        if not found.is_connected:
            raise Conflict("This credential was disconnected. Connect the account again instead.")
        if not found.host.is_enabled:
            raise NotFound("This host is switched off.")
        return found

    def told(self, credential_id: UUID, verdict: Verdict | None = None) -> dict[str, Any]:
        """The credential as it stands now, and what a look at its host has said."""
        body = credential_body(queries.told_credential(self.caller, credential_id))
        return body if verdict is None else {**body, "verdict": verdict_body(verdict)}


class Credentials(CredentialsView):
    """List what the caller may see; store a pasted token."""

    needs = {"GET": READ, "POST": WRITE}
    pagination_class = CreatedCursorPagination
    filter_backends = (DjangoFilterBackend,)
    filterset_class = CredentialFilter

    def get_queryset(self) -> QuerySet[Credential]:
        if getattr(self, "swagger_fake_view", False):
            return Credential.objects.none()
        return queries.told_credentials(self.caller)

    @extend_schema(
        operation_id="credentials_list",
        summary="Credentials, newest first",
        description="Disconnected ones are told only with `status=disconnected`.",
        responses=CredentialShape(many=True),
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response([credential_body(credential) for credential in page])

    @extend_schema(
        operation_id="credentials_create",
        summary="Connect an account by a token made by hand",
        description=(
            "The token is verified first. One that is mistyped, of a wrong kind or refused is not stored. "
            "Where the host cannot be asked, it is stored with the status `unverified`. The same token once "
            "more brings its credential up to date. A signed-in person may leave `user` out."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=ConnectInput,
        responses={201: CreatedShape, 422: REFUSED},
    )
    def post(self, request: Request) -> Response:
        key = idempotency.checked_key(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
        wanted = self.read(ConnectInput)
        caller, data = self.caller, wanted.validated_data
        host = queries.host(caller, data["host"])
        owner = queries.owner(caller, data["user"])

        def make() -> tuple[UUID, Verdict | None]:
            done = connect.connect_token(actor=caller.actor, owner=owner, host=host, entry=wanted.entry())
            return done.credential.pk, done.verdict

        made, verdict = (
            idempotency.once(
                caller=caller.id,
                key=key,
                digest=idempotency.digest_of(method="POST", path=request.path, body=request.data),
                make=make,
                id_of=lambda done: done[0],
                again=lambda known: (known, None),
            )
            if key
            else make()
        )
        return answer(self.told(made, verdict), 201)


class OneCredential(CredentialsView):
    """One credential: see it, rename it, disconnect it."""

    needs = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}

    @extend_schema(
        operation_id="credentials_retrieve",
        summary="What is known of a credential",
        responses=CredentialShape,
    )
    def get(self, request: Request, credential_id: UUID) -> Response:
        return answer(self.told(credential_id))

    @extend_schema(
        operation_id="credentials_rename",
        summary="Give a credential another label",
        request=LabelInput,
        responses=CredentialShape,
    )
    def patch(self, request: Request, credential_id: UUID) -> Response:
        credential = queries.credential(self.caller, credential_id)
        label = self.read(LabelInput).validated_data["label"]
        connect.rename(actor=self.caller.actor, credential=credential, label=label)
        return answer(self.told(credential_id))

    @extend_schema(
        operation_id="credentials_disconnect",
        summary="Disconnect: destroy the secret here, revoke it at the host",
        description=(
            "From this moment nothing is lent, whatever the host answers. The receipt says what became of "
            "the token there: `revoked` means that the host was seen to refuse it. With `pending` the host "
            "is asked again, for up to seven days; with `manual` its owner revokes it at `manual_url`. "
            "Asking once more tells the receipt as it stands."
        ),
        responses={200: ReceiptShape},
    )
    def delete(self, request: Request, credential_id: UUID) -> Response:
        credential = queries.credential(self.caller, credential_id)
        receipt = disconnect.disconnect(actor=self.caller.actor, credential=credential)
        body = {"revocation": receipt.outcome.value}
        if receipt.manual_url:
            body["manual_url"] = receipt.manual_url
        return answer(body)


class Replace(CredentialsView):
    """Put another token into a credential; id, label and history stay."""

    needs = {"POST": WRITE}

    @extend_schema(
        operation_id="credentials_replace",
        summary="Put another token into a credential",
        description=(
            "Its id, label and history stay. A token that is refused, or belongs to another account, "
            "changes nothing."
        ),
        request=EntryInput,
        responses={200: ConnectedShape, 422: REFUSED},
    )
    def post(self, request: Request, credential_id: UUID) -> Response:
        credential = self.open_credential(credential_id)
        entry = self.read(EntryInput).entry()
        done = connect.replace_token(actor=self.caller.actor, credential=credential, entry=entry)
        return answer(self.told(credential_id, done.verdict))


class Verify(CredentialsView):
    """Ask the host about a credential now."""

    needs = {"POST": WRITE}

    @extend_schema(
        operation_id="credentials_verify",
        summary="Ask the host about a credential now",
        description="An outage or a spent quota changes nothing of what was known; the verdict then says so.",
        request=None,
        responses={200: ConnectedShape},
    )
    def post(self, request: Request, credential_id: UUID) -> Response:
        credential = self.open_credential(credential_id)
        found = verify.verify(
            actor=self.caller.actor,
            credential=credential,
            purpose="verification on demand",
            by_hand=self.caller.client is None,
        )
        return answer(self.told(credential_id, found))
