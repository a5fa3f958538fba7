"""The addresses of the pages."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.i18n import set_language

from credentials.web import (
    calendar,
    connections,
    credential,
    diagnose,
    health,
    help,
    imports,
    libraries,
    notices,
    oauth,
    organizations,
    repositories,
    revocations,
    tokens,
)

_CREDENTIAL = "credentials/<uuid:credential_id>/"
_IMPORT = "imports/<uuid:import_id>/"
_LIBRARY = "libraries/<uuid:library_id>/"
_ORGANIZATION = f"{_CREDENTIAL}organizations/<uuid:organization_id>/"

urlpatterns = [
    path("", connections.connections, name="connections"),
    path("connect/", connections.choose, name="connect_choose"),
    path("connect/confirm/<uuid:pending_id>/", oauth.confirm, name="connect_confirm"),
    path("connect/<slug:slug>/", connections.connect, name="connect"),
    path("connect/<slug:slug>/callback/", oauth.callback, name="connect_callback"),
    path("connect/<slug:slug>/token/", tokens.token, name="token"),
    path(_CREDENTIAL, credential.credential, name="credential"),
    path(f"{_CREDENTIAL}test/", credential.test, name="credential_test"),
    path(f"{_CREDENTIAL}replace/", tokens.replace, name="credential_replace"),
    path(f"{_CREDENTIAL}rename/", credential.rename, name="credential_rename"),
    path(f"{_CREDENTIAL}reconnect/", connections.reconnect, name="credential_reconnect"),
    path(f"{_CREDENTIAL}disconnect/", credential.ask_and_disconnect, name="credential_disconnect"),
    path(f"{_CREDENTIAL}receipt/", credential.receipt, name="credential_receipt"),
    path(f"{_CREDENTIAL}organizations/refresh/", organizations.refresh, name="organizations_refresh"),
    path(f"{_ORGANIZATION}request/", organizations.request_access, name="organization_request"),
    path(f"{_ORGANIZATION}denied/", organizations.denied, name="organization_denied"),
    path(f"{_CREDENTIAL}repositories/", repositories.repositories, name="repositories"),
    path(f"{_CREDENTIAL}expiry/", calendar.expiry, name="credential_expiry"),
    path("calendar/", calendar.calendar, name="calendar"),
    path("diagnose/", diagnose.diagnose, name="diagnose"),
    path("import/", imports.start, name="import_start"),
    path("import/look/", imports.look, name="import_look"),
    path("import/git/", imports.by_git, name="import_git"),
    path("import/zip/", imports.by_zip, name="import_zip"),
    path(_IMPORT, imports.one, name="import"),
    path(f"{_IMPORT}cancel/", imports.cancel, name="import_cancel"),
    path(f"{_IMPORT}retry/", imports.retry, name="import_retry"),
    path("libraries/", libraries.libraries, name="libraries"),
    path(_LIBRARY, libraries.library, name="library"),
    path(f"{_LIBRARY}update/", libraries.update, name="library_update"),
    path(f"{_LIBRARY}rename/", libraries.rename, name="library_rename"),
    path(f"{_LIBRARY}remove/", libraries.remove, name="library_remove"),
    path(f"{_LIBRARY}compare/", libraries.compare, name="library_compare"),
    path(f"{_LIBRARY}<int:number>/", libraries.snapshot, name="snapshot"),
    path(f"{_LIBRARY}<int:number>/archive/", libraries.archive, name="snapshot_archive"),
    path("notices/<uuid:notice_id>/read/", notices.read, name="notice_read"),
    path("revocations/<uuid:revocation_id>/done/", revocations.done, name="revocation_done"),
    path("help/", help.index, name="help_index"),
    path("help/imports/", help.imports, name="help_imports"),
    path("help/<slug:topic>/", help.topic, name="help"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
