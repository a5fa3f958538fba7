"""``/hosts/``: where accounts can be connected, and how."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.api.bodies import host_body
from credentials.api.outputs import HostShape
from credentials.api.permissions import KnownCaller
from credentials.api.views import ApiView, answer
from credentials.models import Host


class Hosts(ApiView):
    """The hosts that are set up here."""

    permission_classes = (KnownCaller,)

    @extend_schema(operation_id="hosts_list", responses=HostShape(many=True))
    def get(self, request: Request) -> Response:
        found = Host.objects.filter(is_enabled=True)
        if self.client is not None and self.client.hosts:
            found = found.filter(slug__in=self.client.hosts)
        return answer([host_body(host) for host in found])
