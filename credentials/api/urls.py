"""The addresses of the API. What is not listed leads to a problem, not to a page."""

from __future__ import annotations

from django.urls import path, re_path

from credentials.api import (
    credentials,
    diagnoses,
    documentation,
    hosts,
    imports,
    leases,
    libraries,
    organizations,
    repositories,
    snapshots,
    users,
    views,
)
from credentials.uploads import takes_upload

_CREDENTIAL = "v1/credentials/<uuid:credential_id>/"
_LEASE = "v1/leases/<uuid:lease_id>/"
_IMPORT = "v1/imports/<uuid:import_id>/"
_LIBRARY = "v1/libraries/<uuid:library_id>/"
_SNAPSHOT = "v1/snapshots/<uuid:snapshot_id>/"

urlpatterns = [
    path("v1/hosts/", hosts.Hosts.as_view(), name="api-hosts"),
    path("v1/credentials/", credentials.Credentials.as_view(), name="api-credentials"),
    path(_CREDENTIAL, credentials.OneCredential.as_view(), name="api-credential"),
    path(f"{_CREDENTIAL}replace/", credentials.Replace.as_view(), name="api-credential-replace"),
    path(f"{_CREDENTIAL}verify/", credentials.Verify.as_view(), name="api-credential-verify"),
    path(
        f"{_CREDENTIAL}organizations/",
        organizations.Organizations.as_view(),
        name="api-credential-organizations",
    ),
    path(
        f"{_CREDENTIAL}organizations/refresh/",
        organizations.Refresh.as_view(),
        name="api-credential-organizations-refresh",
    ),
    path(
        f"{_CREDENTIAL}repositories/",
        repositories.Repositories.as_view(),
        name="api-credential-repositories",
    ),
    path("v1/diagnoses/", diagnoses.Diagnoses.as_view(), name="api-diagnoses"),
    path("v1/leases/", leases.Leases.as_view(), name="api-leases"),
    path(_LEASE, leases.OneLease.as_view(), name="api-lease"),
    path(f"{_LEASE}report/", leases.Report.as_view(), name="api-lease-report"),
    path("v1/imports/", takes_upload(imports.Imports.as_view()), name="api-imports"),
    path(_IMPORT, imports.OneImport.as_view(), name="api-import"),
    path(f"{_IMPORT}cancel/", imports.Cancel.as_view(), name="api-import-cancel"),
    path(f"{_IMPORT}retry/", imports.Retry.as_view(), name="api-import-retry"),
    path("v1/libraries/", libraries.Libraries.as_view(), name="api-libraries"),
    path(_LIBRARY, libraries.OneLibrary.as_view(), name="api-library"),
    path(f"{_LIBRARY}update/", libraries.Update.as_view(), name="api-library-update"),
    path(f"{_LIBRARY}snapshots/", libraries.Snapshots.as_view(), name="api-library-snapshots"),
    path(f"{_LIBRARY}difference/", libraries.Compared.as_view(), name="api-library-difference"),
    path(_SNAPSHOT, snapshots.OneSnapshot.as_view(), name="api-snapshot"),
    path(f"{_SNAPSHOT}files/", snapshots.Files.as_view(), name="api-snapshot-files"),
    path(f"{_SNAPSHOT}archive/", snapshots.Archive.as_view(), name="api-snapshot-archive"),
    path("v1/users/<str:user>/offboard/", users.Offboard.as_view(), name="api-user-offboard"),
    path("schema/", documentation.SchemaView.as_view(), name="api-schema"),
    path("docs/", documentation.DocumentationView.as_view(), name="api-docs"),
    re_path(r"", views.NothingHere.as_view(), name="api-nothing-here"),
]
