"""The addresses of the API."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from credentials.api import credentials, hosts, leases, problems

_CREDENTIAL = "v1/credentials/<uuid:credential_id>/"

urlpatterns = [
    path("v1/hosts/", hosts.Hosts.as_view()),
    path("v1/credentials/", credentials.Credentials.as_view()),
    path(_CREDENTIAL, credentials.OneCredential.as_view()),
    path(f"{_CREDENTIAL}replace/", credentials.Replace.as_view()),
    path(f"{_CREDENTIAL}verify/", credentials.Verify.as_view()),
    path(f"{_CREDENTIAL}organizations/", credentials.Organizations.as_view()),
    path("v1/leases/", leases.Leases.as_view()),
    path("v1/leases/<uuid:lease_id>/", leases.OneLease.as_view()),
    path("v1/leases/<uuid:lease_id>/report/", leases.Report.as_view()),
    path("schema/", SpectacularAPIView.as_view()),
    re_path(r"", login_not_required(problems.not_found)),
]
