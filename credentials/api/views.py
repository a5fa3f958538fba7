"""What every view shares: who may come in, JSON in and out, and answers that no cache keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credentials.api.authentication import Caller, caller_of
from credentials.api.inputs import Input
from credentials.api.permissions import Allowed, Need
from credentials.api.problems import NOT_STORED
from credentials.errors import NotFound
from credentials.models import Scope

LEND = Need(scope=Scope.CREDENTIALS_LEND)
READ = Need(scope=Scope.CREDENTIALS_READ, people=True)
WRITE = Need(scope=Scope.CREDENTIALS_WRITE, people=True)
IMPORTS_READ = Need(scope=Scope.IMPORTS_READ, people=True)
IMPORTS_WRITE = Need(scope=Scope.IMPORTS_WRITE, people=True)
ANYONE = Need(scope=None, people=True)


class JsonAlways(BaseContentNegotiation):
    """Whatever ``Accept`` says, the answer is JSON: a browser that is led here gets no page."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        wanted = str(request.content_type).partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class NotStored(APIView):
    """Lets no answer be stored on its way."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in NOT_STORED.items():
            final[name] = value
        return final


class ApiView(NotStored, GenericAPIView[Any]):
    """Denies what ``needs`` does not allow."""

    needs: ClassVar[Mapping[str, Need]] = {}
    permission_classes = (Allowed,)
    content_negotiation_class = JsonAlways
    filter_backends: Sequence[Any] = ()
    http_method_names = ["get", "head", "post", "patch", "delete"]

    @property
    def caller(self) -> Caller:
        return caller_of(self.request)

    def read(self, kind: type[Input]) -> Any:
        """The request's body, checked as ``kind`` declares it; raises DRF's ValidationError."""
        reading = kind(data=self.request.data)
        reading.is_valid(raise_exception=True)
        return reading

    def read_query(self, kind: type[Input]) -> Any:
        """What stands behind the question mark, checked as ``kind`` declares it; other names are passed over."""
        given = self.request.query_params
        reading = kind(data={name: given[name] for name in kind().get_fields() if name in given})
        reading.is_valid(raise_exception=True)
        return reading.validated_data


class NothingHere(ApiView):
    """Every address under ``/api/`` that leads nowhere. A stranger does not learn which ones do."""

    schema = None
    needs: ClassVar[Mapping[str, Need]] = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), ANYONE)
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotFound("There is nothing at this address.")

    post = put = patch = delete = get


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(body, status=status)
