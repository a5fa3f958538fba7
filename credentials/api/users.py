"""``/users/``: what a product's backend does with a person, besides lending for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.authentication import ServiceClientAuthentication
from credentials.api.bodies import offboarding_body
from credentials.api.inputs import OffboardInput
from credentials.api.outputs import OffboardingShape
from credentials.api.permissions import Need
from credentials.api.schema import IDEMPOTENCY_KEY
from credentials.api.views import ApiView, answer
from credentials.errors import PermissionRefused
from credentials.models import Scope
from credentials.services import idempotency, offboarding
from credentials.services.offboarding import Offboarding

# What an idempotency record remembers of a person, whatever their primary key is.
_PEOPLE = UUID("6f0c9d1e-3d36-4d0a-9a3e-0f7f7d6c2b51")


class Offboard(ApiView):
    """Take a person out of service."""

    authentication_classes = (ServiceClientAuthentication,)
    needs = {"POST": Need(scope=Scope.USERS_WRITE)}

    @extend_schema(
        operation_id="users_offboard",
        summary="Offboard a person: nothing is lent any more, and every token is handed over or revoked",
        description=(
            "The person is made inactive and signed out, and every credential of theirs is quarantined, before "
            "anything else happens. Those in `hand_over` then become another active person's; the others are "
            "disconnected and revoked at their hosts, or with `revoke: false` stay quarantined. The answer tells "
            "what became of each, which clients borrowed them in the last 90 days, and which organizations nobody "
            "opens any more. "
            "A second call does what is left to do and tells how things stand. A key that is limited to "
            "hosts is refused, and so is the offboarding of a superuser, which is done in the administration."
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=OffboardInput,
        responses={200: OffboardingShape},
    )
    def post(self, request: Request, user: str) -> Response:
        if self.caller.hosts:
            raise PermissionRefused("This service key is limited to hosts; offboarding concerns all of them.")
        key = idempotency.checked_key(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
        wanted = self.read(OffboardInput).validated_data
        person = queries.person(user)
        if person.is_superuser:
            raise PermissionRefused("A superuser is offboarded in the administration.")
        if not key:
            return answer(offboarding_body(self._offboard(person, wanted)))
        made: Offboarding = idempotency.once(
            caller=self.caller.id,
            key=key,
            digest=idempotency.digest_of(method="POST", path=request.path, body=request.data),
            make=lambda: self._offboard(person, wanted),
            id_of=lambda _made: uuid5(_PEOPLE, str(person.pk)),
            again=lambda _known: offboarding.standing(user=person),
        )
        return answer(offboarding_body(made))

    def _offboard(self, person: Any, wanted: dict[str, Any]) -> Offboarding:
        return offboarding.offboard(
            actor=self.caller.actor,
            user=person,
            hand_over={one["credential"]: offboarding.new_owner(one["to"]) for one in wanted["hand_over"]},
            revoke=wanted["revoke"],
            reason=wanted["reason"],
        )
