"""The OpenAPI description, and a page for staff to read it on."""

from __future__ import annotations

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.decorators import method_decorator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from credentials.api.authentication import BrowserSessionAuthentication, ServiceClientAuthentication
from credentials.api.permissions import Allowed, StaffOnly
from credentials.api.views import ANYONE, NotStored


class SchemaView(NotStored, SpectacularAPIView):
    """OpenAPI 3.1, as YAML or JSON, for every caller we know."""

    needs = {"GET": ANYONE}
    authentication_classes = (ServiceClientAuthentication, BrowserSessionAuthentication)
    permission_classes = (Allowed,)
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The words that people see of a state stand in it, and those are translated: it is the same for all."""
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)


# Swagger's page writes styles into itself; no other page may.
@method_decorator(csp_replace({"style-src": [SELF, UNSAFE_INLINE]}), name="dispatch")
class DocumentationView(NotStored, SpectacularSwaggerSplitView):
    """Swagger's page over the description, from our own static files."""

    authentication_classes = (BrowserSessionAuthentication,)
    permission_classes = (StaffOnly,)
    # DRF's answer to OPTIONS has no page to be rendered in.
    http_method_names = ["get", "head"]
    url_name = "api-schema"
