"""``/credentials/{id}/organizations/``: what each organization answers through one credential."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.bodies import organization_body
from credentials.api.credentials import CredentialsView
from credentials.api.inputs import OrganizationsQuery
from credentials.api.outputs import OrganizationAccessShape
from credentials.api.views import READ, WRITE, answer
from credentials.errors import Conflict, ProviderUnreachable
from credentials.models import AccessState, Credential
from credentials.services import holds, organizations


class BoardView(CredentialsView):
    """What the views of organizations share."""

    def board(self, credential_id: UUID, *, outsiders: bool) -> list[dict[str, Any]]:
        """The organizations of a credential, those it is an outsider of only where they are asked for: their
        names came from addresses that anybody may have asked about."""
        credential = queries.told_credential(self.caller, credential_id)
        rows = credential.organizations.select_related("organization")
        if not outsiders:
            rows = rows.exclude(state=AccessState.NO_MEMBERSHIP)
        return [organization_body(credential, access) for access in rows]


class Organizations(BoardView):
    """The board as it stands."""

    needs = {"GET": READ}

    @extend_schema(
        operation_id="credentials_organizations",
        summary="Organizations as one credential sees them",
        description=(
            "As they answered last; nothing is asked. `links` are the pages at the host that help in this state. "
            "Those that the account is no member of are told only with `all=true`."
        ),
        parameters=[OrganizationsQuery],
        responses=OrganizationAccessShape(many=True),
    )
    def get(self, request: Request, credential_id: UUID) -> Response:
        outsiders = self.read_query(OrganizationsQuery)["all"]
        return answer(self.board(credential_id, outsiders=outsiders))


class Refresh(BoardView):
    """Ask every organization anew."""

    needs = {"POST": WRITE}

    @extend_schema(
        operation_id="credentials_organizations_refresh",
        summary="Ask every organization anew",
        description=(
            "Answers the board as it is afterwards. What did not answer keeps its state and its `checked_at`. While "
            "the credential rests, or cannot be used, it is a conflict, and nothing is asked."
        ),
        parameters=[OrganizationsQuery],
        request=None,
        responses=OrganizationAccessShape(many=True),
    )
    def post(self, request: Request, credential_id: UUID) -> Response:
        outsiders = self.read_query(OrganizationsQuery)["all"]
        credential = self.open_credential(credential_id)
        by_hand = self.caller.client is None
        asked = organizations.refresh(actor=self.caller.actor, credential=credential, by_hand=by_hand)
        if not asked:
            raise _why_not(credential, by_hand=by_hand)
        return answer(self.board(credential_id, outsiders=outsiders))


def _why_not(credential: Credential, *, by_hand: bool) -> Exception:
    if not credential.is_lendable:
        return Conflict("This credential cannot be used as it is. Verify, replace or reconnect it first.")
    if holds.is_held(credential, now=timezone.now(), by_hand=by_hand):
        return Conflict(
            "The host refused this credential, or asks to wait. It rests for a while; ask again later."
        )
    return ProviderUnreachable("The host does not answer. What was known of the organizations stands.")
