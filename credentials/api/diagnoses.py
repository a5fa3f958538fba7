"""``/diagnoses/``: why can this repository not be read, and what is the next step?"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.bodies import verdict_body
from credentials.api.inputs import DiagnosisInput
from credentials.api.outputs import DiagnosisShape
from credentials.api.views import READ, ApiView, answer
from credentials.services import diagnose


class Diagnoses(ApiView):
    """One repository for one person, asked of its host now."""

    needs = {"POST": READ}

    @extend_schema(
        operation_id="diagnoses_create",
        summary="Why a repository can or cannot be read",
        description=(
            "Asks the host with the user's own credentials, the likeliest first, and answers with the first thing "
            "that stands in the way. Nothing is lent. An outage and a host that nobody set up are verdicts too, no "
            "errors. A signed-in person may leave `user` out."
        ),
        request=DiagnosisInput,
        responses={200: DiagnosisShape},
    )
    def post(self, request: Request) -> Response:
        wanted = self.read(DiagnosisInput).validated_data
        caller, repository_url = self.caller, wanted["repository_url"]
        user = queries.owner(caller, wanted["user"])
        queries.require_host_of(caller, repository_url)
        found = diagnose.diagnose(actor=caller.actor, user=user, repository_url=repository_url)
        return answer({"verdict": verdict_body(found.verdict)})
