"""``/leases/``: borrow a credential for one repository. The only answer that carries a secret."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api.authentication import PresentedKeyAuthentication, ServiceClientAuthentication
from credentials.api.bodies import lease_body, lent_body
from credentials.api.inputs import LeaseInput, ReportInput
from credentials.api.outputs import LeaseShape, LentShape, PreviewShape, ProblemShape
from credentials.api.permissions import LendingClient
from credentials.api.views import ApiView, answer
from credentials.errors import NotAuthenticated
from credentials.models import Lease, Outcome
from credentials.services import clients, idempotency, leases, lend
from credentials.services.circumstances import address_of, request_id_of
from credentials.services.clients import PresentedKey
from credentials.services.lend import LeaseRequest, LentCredential
from credentials.services.queue import verify_later


def _lent(lent: LentCredential, status: int) -> Response:
    body = lent_body(lent)
    if lent.password is not None:
        body["password"] = lent.password.reveal()
    return answer(body, status)


class Leases(ApiView):
    """Borrow. The key is checked by the statement that finds the credential."""

    authentication_classes = (PresentedKeyAuthentication,)
    permission_classes = (LendingClient,)

    @extend_schema(
        operation_id="leases_create",
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        request=LeaseInput,
        responses={200: PreviewShape, 201: LentShape, 422: ProblemShape, 503: ProblemShape},
    )
    def post(self, request: Request) -> Response:
        key = request.auth
        if not isinstance(key, PresentedKey):
            raise NotAuthenticated("Only a service key can borrow a credential.")
        body = LeaseInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        dry_run = data.pop("dry_run")
        where: dict[str, Any] = {
            "address": address_of(request.META),
            "request_id": request_id_of(request.META),
        }
        wanted = LeaseRequest(**data)
        if dry_run:
            return _lent(lend.preview(key=key, request=wanted, **where), 200)
        repeated = request.headers.get("Idempotency-Key", "")
        if repeated:
            return self._once(key, wanted, repeated, where)
        return _lent(lend.lend(key=key, request=wanted, **where), 201)

    def _once(
        self, key: PresentedKey, wanted: LeaseRequest, repeated: str, where: dict[str, Any]
    ) -> Response:
        client = clients.authenticate(key, address=where["address"], now=timezone.now())
        record = idempotency.begin(caller=f"client:{client.pk}", key=repeated, request=self.request.body)
        if record is not None and record.object_id is not None:
            return _lent(leases.reopen(client=client, lease_id=record.object_id, **where), 201)
        with idempotency.forgotten_on_failure(record):
            lent = lend.lend(key=key, request=wanted, **where)
        idempotency.finish(record, object_id=lent.lease_id)
        return _lent(lent, 201)


class _OwnLease(ApiView):
    authentication_classes = (ServiceClientAuthentication,)
    permission_classes = (LendingClient,)

    def lease(self, lease_id: UUID) -> Lease:
        if self.client is None:
            raise NotAuthenticated("Only a service key can see leases.")
        return leases.get(client=self.client, lease_id=lease_id)


class OneLease(_OwnLease):
    """A lease's metadata; its end."""

    @extend_schema(operation_id="leases_retrieve", responses=LeaseShape)
    def get(self, request: Request, lease_id: UUID) -> Response:
        return answer(lease_body(self.lease(lease_id)))

    @extend_schema(operation_id="leases_end", responses=LeaseShape)
    def delete(self, request: Request, lease_id: UUID) -> Response:
        ended = leases.end(actor=self.actor, lease=self.lease(lease_id), now=timezone.now())
        return answer(lease_body(ended))


class Report(_OwnLease):
    """Say whether the host took the credential; a rejection has it verified in the background."""

    @extend_schema(operation_id="leases_report", request=ReportInput, responses=LeaseShape)
    def post(self, request: Request, lease_id: UUID) -> Response:
        lease = self.lease(lease_id)
        body = ReportInput(data=request.data)
        body.is_valid(raise_exception=True)
        outcome = Outcome(body.validated_data["outcome"])
        lease = leases.report(
            actor=self.actor,
            lease=lease,
            outcome=outcome,
            detail=body.validated_data["detail"],
            now=timezone.now(),
        )
        if outcome is Outcome.REJECTED:
            verify_later(lease.credential_id)
        return answer(lease_body(lease))
