"""``/leases/``: borrow a credential for one repository. The only answer that carries a secret."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.authentication import ServiceClientAuthentication, client_caller
from credentials.api.bodies import lease_body, lent_body
from credentials.api.inputs import LeaseInput, ReportInput
from credentials.api.lease_request import is_dry_run, read_body, read_request
from credentials.api.outputs import LeaseShape, LentShape, PreviewShape
from credentials.api.permissions import authorize
from credentials.api.problems import NOT_STORED, problem_response
from credentials.api.schema import IDEMPOTENCY_KEY, REFUSED
from credentials.api.views import LEND, ApiView, answer
from credentials.errors import NotAuthenticated
from credentials.models import Outcome
from credentials.services import clients, idempotency, leases, lend
from credentials.services.circumstances import address_of, request_id_of
from credentials.services.clients import PresentedKey
from credentials.services.lend import LeaseRequest, LentCredential


class LeasesView(ApiView):
    """Only service clients borrow; a browser's session counts for nothing here."""

    authentication_classes = (ServiceClientAuthentication,)


class Leases(LeasesView):
    """Borrowing.

    The one path that is called all day: it goes past DRF's own rounds, and the statement that finds the
    credential also authenticates the key.
    """

    needs = {"POST": LEND}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        try:
            return self.post(request)
        except Exception as error:
            return problem_response(error, {"request": request})

    @extend_schema(
        operation_id="leases_create",
        summary="Borrow a credential for one repository",
        description=(
            "Exactly one of `repository_url`, `host` and `credential`. The purpose is kept in the audit trail. With "
            "`dry_run` the answer says what would be lent and why, without user name and password, and nothing is "
            "lent. With an `Idempotency-Key`, the same request once more gets the same lease."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=LeaseInput,
        responses={200: PreviewShape, 201: LentShape, 422: REFUSED},
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        presented = clients.presented_in(request.META)
        if presented is None:
            raise NotAuthenticated("Send a service key as a bearer token.")
        body = read_body(request)
        wanted = read_request(body)
        if is_dry_run(body):
            return _answer(_preview(presented, wanted, request), status=200)
        key = idempotency.checked_key(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
        lent = _once(presented, wanted, request, body, key) if key else _lend(presented, wanted, request)
        return _answer(lent, status=201)


def _preview(presented: PresentedKey, wanted: LeaseRequest, request: HttpRequest) -> LentCredential:
    meta = request.META
    return lend.preview(
        key=presented, request=wanted, address=address_of(meta), request_id=request_id_of(meta)
    )


def _lend(presented: PresentedKey, wanted: LeaseRequest, request: HttpRequest) -> LentCredential:
    meta = request.META
    return lend.lend(key=presented, request=wanted, address=address_of(meta), request_id=request_id_of(meta))


def _once(
    presented: PresentedKey, wanted: LeaseRequest, request: HttpRequest, body: dict[str, Any], key: str
) -> LentCredential:
    """Lend once per key. The caller is authenticated first: a stranger must not use up a client's keys."""
    caller = client_caller(presented, request.META)
    authorize(caller, LEND)
    client, actor = caller.client, caller.actor
    assert client is not None  # client_caller knows no other callers

    def again(lease_id: UUID) -> LentCredential:
        return leases.reopen(
            client=client, lease_id=lease_id, address=actor.address, request_id=actor.request_id
        )

    def id_of(lent: LentCredential) -> UUID:
        assert lent.lease_id is not None  # only a preview has none
        return lent.lease_id

    return idempotency.once(
        caller=caller.id,
        key=key,
        digest=idempotency.digest_of(method="POST", path=request.path, body=body),
        make=lambda: _lend(presented, wanted, request),
        id_of=id_of,
        again=again,
    )


def _answer(lent: LentCredential, *, status: int) -> HttpResponse:
    body = lent_body(lent)
    if lent.password is not None:
        body["password"] = lent.password.reveal()
    return HttpResponse(
        json.dumps(body), status=status, content_type="application/json", headers=dict(NOT_STORED)
    )


class OneLease(LeasesView):
    """A lease's metadata; its end."""

    needs = {"GET": LEND, "DELETE": LEND}

    @extend_schema(
        operation_id="leases_retrieve", summary="A lease, without what was lent", responses=LeaseShape
    )
    def get(self, request: Request, lease_id: UUID) -> Response:
        return answer(lease_body(queries.lease(self.caller, lease_id)))

    @extend_schema(
        operation_id="leases_end",
        summary="End a lease before its time",
        description="Ending it twice changes nothing.",
        responses={200: LeaseShape},
    )
    def delete(self, request: Request, lease_id: UUID) -> Response:
        found = queries.lease(self.caller, lease_id)
        return answer(lease_body(leases.end(actor=self.caller.actor, lease=found, now=timezone.now())))


class Report(LeasesView):
    """Say whether the host took the credential; a rejection has it verified in the background."""

    needs = {"POST": LEND}

    @extend_schema(
        operation_id="leases_report",
        summary="Say whether the host accepted what was lent",
        description="The first rejection puts a verification of the credential into the queue.",
        request=ReportInput,
        responses={200: LeaseShape},
    )
    def post(self, request: Request, lease_id: UUID) -> Response:
        found = queries.lease(self.caller, lease_id)
        said = self.read(ReportInput).validated_data
        reported = leases.report(
            actor=self.caller.actor,
            lease=found,
            outcome=Outcome(said["outcome"]),
            detail=said["detail"],
            now=timezone.now(),
        )
        return answer(lease_body(reported))
