"""``/hosts/``: where accounts can be connected, and how."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api import queries
from credentials.api.bodies import host_body
from credentials.api.outputs import HostShape
from credentials.api.views import ANYONE, ApiView, answer


class Hosts(ApiView):
    """The hosts that are set up here."""

    needs = {"GET": ANYONE}
    pagination_class = None

    @extend_schema(
        operation_id="hosts_list",
        summary="Hosts people can connect accounts at",
        responses=HostShape(many=True),
    )
    def get(self, request: Request) -> Response:
        return answer([host_body(host) for host in queries.hosts_of(self.caller)])
