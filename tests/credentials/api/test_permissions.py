"""Who may do what: every address against every kind of caller, and nobody where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from credentials.api.urls import urlpatterns
from credentials.api.views import ApiView
from credentials.crypto.secret import Secret
from credentials.models import ImportState, Scope, ServiceClient
from credentials.services import clients
from tests import builders
from tests.credentials.api import shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("waiting")]

NOBODY_KNOWS = "00000000-0000-4000-8000-000000000000"
REPOSITORY = "http://127.0.0.1:9/acme/cases"
TOKEN = {"token": "ghp_" + "b" * 36}
FOR_ALICE = {"user": "alice", "host": "github", **TOKEN}
WHY = {"user": "alice", "repository_url": REPOSITORY}
IMPORT = {"user": "alice", "library": "cases", "repository_url": REPOSITORY}
JOB, LIBRARY, SNAPSHOT = "/imports/{job}/", "/libraries/{library}/", "/snapshots/{snapshot}/"
LEASE = {"user": "alice", "repository_url": REPOSITORY, "purpose": "import 42"}

CALLERS = (
    "anonymous",
    "revoked key",
    "key without the scope",
    "key of another host",
    "key",
    "owner",
    "other user",
    "staff",
    "superuser",
)
CREDENTIAL, MINE = "/credentials/{credential}/", (401, 401, 403, 404, 200, 200, 404, 404, 404)
# Only the host can answer, and here none does.
ASKING = (401, 401, 403, 404, 503, 503, 404, 404, 404)
BORROWED = (401, 401, 403, 404, 200, 401, 401, 401, 401)

# Method, address, body, and the status for each of CALLERS.
TABLE: tuple[tuple[str, str, Any, tuple[int, ...]], ...] = (
    ("GET", "/v1/hosts/", None, (401, 401, 200, 200, 200, 200, 200, 200, 200)),
    ("GET", "/v1/credentials/", None, (401, 401, 403, 200, 200, 200, 200, 200, 200)),
    ("POST", "/v1/credentials/", FOR_ALICE, (401, 401, 403, 403, 201, 201, 403, 403, 403)),
    ("GET", f"/v1{CREDENTIAL}", None, MINE),
    ("PATCH", f"/v1{CREDENTIAL}", {"label": "work"}, MINE),
    ("DELETE", f"/v1{CREDENTIAL}", None, MINE),
    ("POST", f"/v1{CREDENTIAL}replace/", TOKEN, MINE),
    ("POST", f"/v1{CREDENTIAL}verify/", None, MINE),
    ("GET", f"/v1{CREDENTIAL}organizations/", None, MINE),
    ("POST", f"/v1{CREDENTIAL}organizations/refresh/", None, ASKING),
    ("GET", f"/v1{CREDENTIAL}repositories/", None, ASKING),
    ("POST", "/v1/diagnoses/", WHY, (401, 401, 403, 403, 200, 200, 403, 403, 403)),
    ("POST", "/v1/leases/", LEASE, (401, 401, 403, 422, 201, 401, 401, 401, 401)),
    ("POST", "/v1/leases/", {**LEASE, "dry_run": True}, (401, 401, 403, 422, 200, 401, 401, 401, 401)),
    ("GET", "/v1/leases/{lease}/", None, BORROWED),
    ("DELETE", "/v1/leases/{lease}/", None, BORROWED),
    ("POST", "/v1/leases/{lease}/report/", {"outcome": "accepted"}, BORROWED),
    ("POST", "/v1/users/{user}/offboard/", {}, (401, 401, 403, 403, 200, 401, 401, 401, 401)),
    ("GET", "/schema/", None, (401, 401, 200, 200, 200, 200, 200, 200, 200)),
    ("GET", "/docs/", None, (401, 401, 401, 401, 401, 403, 403, 200, 200)),
    ("GET", "/v1/imports/", None, (401, 401, 403, 200, 200, 200, 200, 200, 200)),
    ("POST", "/v1/imports/", IMPORT, (401, 401, 403, 403, 202, 202, 403, 403, 403)),
    ("GET", f"/v1{JOB}", None, MINE),
    ("POST", "/v1/imports/{waiting}/cancel/", None, MINE),
    ("POST", f"/v1{JOB}cancel/", None, (401, 401, 403, 404, 409, 409, 404, 404, 404)),
    ("POST", f"/v1{JOB}retry/", None, (401, 401, 403, 404, 202, 202, 404, 404, 404)),
    ("GET", "/v1/libraries/", None, (401, 401, 403, 200, 200, 200, 200, 200, 200)),
    ("GET", f"/v1{LIBRARY}", None, MINE),
    ("PATCH", f"/v1{LIBRARY}", {"name": "regression"}, MINE),
    ("DELETE", f"/v1{LIBRARY}", None, (401, 401, 403, 404, 204, 204, 404, 404, 404)),
    ("POST", f"/v1{LIBRARY}update/", None, (401, 401, 403, 404, 202, 202, 404, 404, 404)),
    ("GET", f"/v1{LIBRARY}snapshots/", None, MINE),
    ("GET", f"/v1{LIBRARY}difference/?from=1", None, MINE),
    ("GET", f"/v1{SNAPSHOT}", None, MINE),
    ("GET", f"/v1{SNAPSHOT}files/", None, MINE),
    ("GET", f"/v1{SNAPSHOT}archive/", None, MINE),
    ("GET", "/v1/nowhere/", None, (401, 401, 404, 404, 404, 404, 404, 404, 404)),
    ("PUT", "/v1/hosts/", None, (401, 401, 405, 405, 405, 405, 405, 405, 405)),
    ("OPTIONS", f"/v1{CREDENTIAL}", None, (401, 401, 405, 405, 405, 405, 405, 405, 405)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One credential of alice's, one lease of it, and everybody who may come along."""

    credential: str
    lease: str
    shelf: dict[str, str]
    keys: dict[str, Secret | None]
    people: dict[str, User]

    def send(self, caller: str, method: str, address: str, body: Any) -> Any:
        browser = Client(raise_request_exception=False)
        headers = {}
        if key := self.keys.get(caller):
            headers["Authorization"] = f"Bearer {key.reveal()}"
        if caller in self.people:
            browser.force_login(self.people[caller])
        names = {"credential": self.credential, "lease": self.lease, "user": "alice", **self.shelf}
        path = "/api" + address.format(**names)
        if body is None:
            return browser.generic(method, path, headers=headers)
        return getattr(browser, method.lower())(path, body, content_type="application/json", headers=headers)


@pytest.fixture
def scene(alice: User, bob: User, admin: User) -> Scene:
    credential = builders.credential(alice, builders.host())
    builders.host("gitlab")
    revoked, revoked_key = builders.client("revoked")
    clients.revoke(actor=builders.SYSTEM, client=revoked, now=timezone.now())
    _, key = builders.client()
    made = Scene(
        credential=str(credential.pk),
        lease=NOBODY_KNOWS,
        shelf=_shelf_of(alice),
        keys={
            "key": key,
            "revoked key": revoked_key,
            "key of another host": builders.client("elsewhere", hosts=["gitlab"])[1],
            "key without the scope": builders.client("narrow", scopes=[Scope.EVENTS_READ])[1],
        },
        people={
            "owner": alice,
            "other user": bob,
            "staff": builders.user("stella", is_staff=True),
            "superuser": admin,
        },
    )
    lease = made.send("key", "POST", "/v1/leases/", LEASE).json()["id"]
    return replace(made, lease=lease)


def _shelf_of(owner: User) -> dict[str, str]:
    """A library of the one host, its snapshot, an import that failed, and one of another library that waits."""
    library = shelf.library(owner)
    failed = shelf.job(library, state=ImportState.FAILED)
    return {
        "library": str(library.pk),
        "snapshot": str(shelf.snapshot(library).pk),
        "job": str(failed.pk),
        "waiting": str(shelf.job(shelf.library(owner, "other")).pk),
    }


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    ("method", "address", "body", "expected"),
    TABLE,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_caller_gets_what_the_table_says(
    scene: Scene, caller: str, method: str, address: str, body: Any, expected: tuple[int, ...]
) -> None:
    response = scene.send(caller, method, address, body)

    assert response.status_code == expected[CALLERS.index(caller)], response.content
    if response.streaming:  # the archive: for whoever may ask again
        assert response["Cache-Control"] == "private, no-cache"
        return
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    if response.status_code == 401:
        assert response["WWW-Authenticate"] == "Bearer"


def test_the_table_leaves_no_address_out() -> None:
    told = {
        address.partition("?")[0].format(
            credential="<uuid:credential_id>",
            lease="<uuid:lease_id>",
            user="<str:user>",
            job="<uuid:import_id>",
            waiting="<uuid:import_id>",
            library="<uuid:library_id>",
            snapshot="<uuid:snapshot_id>",
        )
        for _method, address, _body, _expected in TABLE
    }
    routes = {f"/{pattern.pattern}" for pattern in urlpatterns if isinstance(pattern, URLPattern)}
    assert routes - told == {"/"}  # leads nowhere; the table's own address for that is no route


def test_a_client_sees_only_the_hosts_it_may_use(scene: Scene, alice: User) -> None:
    def slugs(caller: str) -> list[str]:
        return [host["slug"] for host in scene.send(caller, "GET", "/v1/hosts/", None).json()]

    assert slugs("key") == ["github", "gitlab"]
    assert slugs("key of another host") == ["gitlab"]


def test_a_lease_is_out_of_sight_once_its_client_may_not_use_the_host(scene: Scene) -> None:
    ServiceClient.objects.filter(name="backend").update(hosts=["gitlab"])

    assert scene.send("key", "GET", "/v1/leases/{lease}/", None).status_code == 404


def test_a_key_that_is_wrong_is_refused_even_with_a_good_session(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)

    for wrong in ("Bearer fk_nonsense", "Bearer", "Basic YWxpY2U6YWxpY2UtZGVtbw==", ""):
        assert browser.get("/api/v1/hosts/", headers={"Authorization": wrong}).status_code == 401, wrong


def test_a_key_is_bound_to_its_networks(alice: User) -> None:
    builders.host()
    _, key = builders.client(allowed_networks=["10.1.0.0/16"])
    headers = {"Authorization": f"Bearer {key.reveal()}"}

    assert Client(REMOTE_ADDR="10.1.2.3").get("/api/v1/hosts/", headers=headers).status_code == 200
    assert Client(REMOTE_ADDR="10.2.0.1").get("/api/v1/hosts/", headers=headers).status_code == 403


def test_a_view_that_says_nothing_lets_nobody_in(admin: User) -> None:
    class Silent(APIView):
        def get(self, request: Request) -> Response:
            return Response("in")

    class NeedsNothing(ApiView):
        def get(self, request: Request) -> Response:
            return Response("in")

    request = APIRequestFactory().get("/")
    request.user = admin
    assert Silent.as_view()(request).status_code == 403
    assert NeedsNothing.as_view()(request).status_code == 405
    assert Silent.as_view()(APIRequestFactory().get("/")).status_code == 401
