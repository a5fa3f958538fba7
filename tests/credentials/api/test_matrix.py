"""Every route and method, for every kind of caller, on everybody's objects: generated, and none left out.

What is expected follows from the contract's few rules, written down here once more and on their own;
``test_permissions.py`` has the same for fewer callers as a table to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from credentials.api.urls import urlpatterns
from credentials.models import Credential, Import, Lease, Library, Scope, ServiceClient
from credentials.services import clients
from tests import builders
from tests.credentials.api import shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("waiting")]

METHODS = ("OPTIONS", "HEAD", "GET", "PUT", "PATCH", "POST", "DELETE")
OWNERS = ("alice", "bob")
# An id that does not exist, and a lease of alice's credential that another client has.
OUT_OF_REACH = ("nobody", "another client")
NOWHERE = "00000000-0000-4000-8000-000000000000"
ANY = "any key"
READ, WRITE, LEND = Scope.CREDENTIALS_READ, Scope.CREDENTIALS_WRITE, Scope.CREDENTIALS_LEND
OFFBOARD = "v1/users/<str:user>/offboard/"
CREDENTIAL, LEASE = "v1/credentials/<uuid:credential_id>/", "v1/leases/<uuid:lease_id>/"
LOOK, BRING = Scope.IMPORTS_READ, Scope.IMPORTS_WRITE
IMPORTS, LIBRARY = "v1/imports/", "v1/libraries/<uuid:library_id>/"
IMPORT, SNAPSHOT = "v1/imports/<uuid:import_id>/", "v1/snapshots/<uuid:snapshot_id>/"

# Contract, section 3: what a key needs. Whatever is not here is no method of its route.
NEEDS = {
    ("GET", "v1/hosts/"): ANY,
    ("GET", "v1/credentials/"): READ,
    ("POST", "v1/credentials/"): WRITE,
    ("GET", CREDENTIAL): READ,
    ("PATCH", CREDENTIAL): WRITE,
    ("DELETE", CREDENTIAL): WRITE,
    ("POST", f"{CREDENTIAL}replace/"): WRITE,
    ("POST", f"{CREDENTIAL}verify/"): WRITE,
    ("GET", f"{CREDENTIAL}organizations/"): READ,
    ("POST", f"{CREDENTIAL}organizations/refresh/"): WRITE,
    ("GET", f"{CREDENTIAL}repositories/"): READ,
    ("POST", "v1/diagnoses/"): READ,
    ("POST", "v1/leases/"): LEND,
    ("GET", LEASE): LEND,
    ("DELETE", LEASE): LEND,
    ("POST", f"{LEASE}report/"): LEND,
    ("GET", IMPORTS): LOOK,
    ("POST", IMPORTS): BRING,
    ("GET", IMPORT): LOOK,
    ("POST", f"{IMPORT}cancel/"): BRING,
    ("POST", f"{IMPORT}retry/"): BRING,
    ("GET", "v1/libraries/"): LOOK,
    ("GET", LIBRARY): LOOK,
    ("PATCH", LIBRARY): BRING,
    ("DELETE", LIBRARY): BRING,
    ("POST", f"{LIBRARY}update/"): BRING,
    ("GET", f"{LIBRARY}snapshots/"): LOOK,
    ("GET", f"{LIBRARY}difference/"): LOOK,
    ("GET", SNAPSHOT): LOOK,
    ("GET", f"{SNAPSHOT}files/"): LOOK,
    ("GET", f"{SNAPSHOT}archive/"): LOOK,
    ("POST", OFFBOARD): Scope.USERS_WRITE,
    ("GET", "schema/"): ANY,
    ("GET", "docs/"): "staff",
}
# What only the host can answer, and here none does.
ASKING = {f"{CREDENTIAL}organizations/refresh/", f"{CREDENTIAL}repositories/"}
# Leases first, and what ends something last: an earlier call must not be why a later one is refused.
ROUTES = sorted(
    (str(pattern.pattern) for pattern in urlpatterns if isinstance(pattern, URLPattern) and pattern.name),
    key=lambda route: (route != "v1/leases/", route == OFFBOARD, route in {CREDENTIAL, LIBRARY}, route),
)
NOTHING_HERE = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """A caller. ``unknown`` to us, ``barred`` (from another network, or without the CSRF token), or neither."""

    name: str
    scopes: tuple[str, ...] | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    person: str = ""
    unknown: bool = False
    barred: bool = False

    @property
    def is_client(self) -> bool:
        return self.scopes is not None

    @property
    def sees_github(self) -> bool:
        return "gitlab" not in self.limits.get("hosts", ())


ALL = tuple(Scope.values)
PAST = timezone.now() - timedelta(seconds=1)
PRINCIPALS = (
    Principal(name="a stranger", unknown=True),
    Principal(name="a key nobody made", scopes=ALL, unknown=True),
    Principal(name="a revoked key", scopes=ALL, unknown=True),
    Principal(name="an expired key", scopes=ALL, limits={"expires_at": PAST}, unknown=True),
    Principal(name="a key elsewhere", scopes=ALL, limits={"allowed_networks": ["10.1.0.0/16"]}, barred=True),
    *(Principal(name=f"only {scope}", scopes=(scope,)) for scope in ALL),
    *(
        Principal(name=f"all but {scope}", scopes=tuple(other for other in ALL if other != scope))
        for scope in (READ, WRITE, LEND, LOOK, BRING)
    ),
    Principal(name="all scopes", scopes=ALL),
    Principal(name="all scopes at github", scopes=ALL, limits={"hosts": ["github"]}),
    Principal(name="all scopes at gitlab", scopes=ALL, limits={"hosts": ["gitlab"]}),
    Principal(name="a narrow key in alice's browser", scopes=(Scope.EVENTS_READ,), person="alice"),
    Principal(name="a revoked key in alice's browser", scopes=ALL, person="alice", unknown=True),
    Principal(name="alice", person="alice"),
    Principal(name="alice without the CSRF token", person="alice", barred=True),
    Principal(name="bob", person="bob"),
    Principal(name="stella, of the staff", person="stella"),
    Principal(name="the superuser", person="admin"),
    Principal(name="somebody deactivated", person="gone", unknown=True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    method: str
    route: str
    owner: str

    @property
    def need(self) -> str | None:
        return NEEDS.get(("GET" if self.method == "HEAD" else self.method, self.route))

    @property
    def has_object(self) -> bool:
        return "<" in self.route

    @property
    def writes(self) -> bool:
        return self.method not in {"OPTIONS", "HEAD", "GET"}

    @property
    def changes(self) -> bool:
        return self.writes and self.route != "v1/diagnoses/"

    def body(self) -> dict[str, str]:
        token = "ghp_" + self.owner[0] * 36
        return {
            ("POST", "v1/credentials/"): {"user": self.owner, "host": "github", "token": token},
            ("PATCH", CREDENTIAL): {"label": f"label of {self.owner}"},
            ("POST", f"{CREDENTIAL}replace/"): {"token": token},
            ("POST", "v1/leases/"): {"user": self.owner, "host": "github", "purpose": "import 42"},
            ("POST", "v1/diagnoses/"): {
                "user": self.owner,
                "repository_url": "http://127.0.0.1:9/acme/cases",
            },
            ("POST", f"{LEASE}report/"): {"outcome": "accepted"},
            ("POST", IMPORTS): {
                "user": self.owner,
                "library": f"label of {self.owner}",
                "repository_url": shelf.REPOSITORY,
            },
            ("PATCH", LIBRARY): {"name": f"label of {self.owner}"},
        }.get((self.method, self.route), {})


def cells() -> Iterator[Cell]:
    for route in ROUTES:
        for method in METHODS:
            first = Cell(method=method, route=route, owner="alice")
            yield first
            if first.has_object or first.body():
                yield Cell(method=method, route=route, owner="bob")
            for owner in OUT_OF_REACH if first.has_object else ():
                yield Cell(method=method, route=route, owner=owner)


def expected(who: Principal, cell: Cell) -> int:
    """The status, 200 for any that says yes."""
    if cell.route == "docs/":
        return _expected_of_the_page(who, cell)
    by_session = who.person and not cell.route.startswith(("v1/leases/", "v1/users/"))
    if who.unknown or not (who.is_client or by_session):
        return 401
    if who.barred and (who.is_client or cell.writes):
        return 403
    if cell.need is None:
        return 404 if cell.route == NOTHING_HERE and cell.method != "OPTIONS" else 405
    if who.is_client and cell.need != ANY and cell.need not in (who.scopes or ()):
        return 403
    return _expected_of_the_allowed(who, cell)


def _expected_of_the_page(who: Principal, cell: Cell) -> int:
    """The page for staff looks at no key."""
    if who.person in {"", "gone"}:
        return 401
    if who.person not in {"stella", "admin"}:
        return 403
    return 200 if cell.need else 405


def _expected_of_the_allowed(who: Principal, cell: Cell) -> int:
    if cell.route == OFFBOARD and who.limits.get("hosts"):
        return 403
    within = who.sees_github if who.is_client else cell.owner == who.person
    if cell.has_object:
        if not within or cell.owner in OUT_OF_REACH:
            return 404
        if (cell.method, cell.route) == ("DELETE", LIBRARY):
            return 409  # an import of it waits, as it was asked for above
        return 503 if cell.route in ASKING else 200
    refusals = {
        ("POST", "v1/credentials/"): 403,
        ("POST", "v1/leases/"): 422,
        ("POST", "v1/diagnoses/"): 403,
        ("POST", IMPORTS): 403,
    }
    return 200 if within else refusals.get((cell.method, cell.route), 200)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A credential of alice's and of bob's, and for each a lease of this caller's."""

    browser: Client
    headers: dict[str, str]
    ids: dict[str, dict[str, str]]

    def send(self, cell: Cell) -> Any:
        path = cell.route or "v1/nowhere/"
        for name, value in self.ids[cell.owner].items():
            path = path.replace(name, value)
        return self.browser.generic(
            cell.method,
            f"/api/{path}",
            data=json.dumps(cell.body()).encode(),
            content_type="application/json",
            headers=self.headers,
        )


def scene_of(who: Principal, people: dict[str, User]) -> Scene:
    """Everything there, and ``who`` at the door."""
    host = builders.host()
    builders.host("gitlab")
    headers, client = {}, builders.client("another")[0]
    mine = client
    if who.is_client:
        mine, key = builders.client("this one", scopes=who.scopes or (), **who.limits)
        headers["Authorization"] = f"Bearer {key.reveal()}"
        if "revoked" in who.name:
            clients.revoke(actor=builders.SYSTEM, client=mine, now=timezone.now())
        if "nobody made" in who.name:
            headers["Authorization"] = f"Bearer {clients._new_key()[1].reveal()}"
    browser = Client(enforce_csrf_checks=who.barred, raise_request_exception=False)
    if who.person:
        browser.force_login(people[who.person])
    if who.person == "gone":
        User.objects.filter(username="gone").update(is_active=False)
    names = (
        *("<uuid:credential_id>", "<uuid:lease_id>", "<str:user>"),
        *("<uuid:import_id>", "<uuid:library_id>", "<uuid:snapshot_id>"),
    )
    ids = {owner: dict.fromkeys(names, NOWHERE) for owner in OUT_OF_REACH}
    for owner in OWNERS:
        credential = builders.credential(
            people[owner], host, token="ghp_" + owner[0] * 36, label=f"label of {owner}"
        )
        lease = borrowed(credential, mine)
        library = shelf.library(people[owner], f"label of {owner}")
        snapshot, _newer = shelf.snapshot(library), shelf.snapshot(library)
        job = shelf.job(library)
        made = (credential.pk, lease.pk, owner, job.pk, library.pk, snapshot.pk)
        ids[owner] = dict(zip(names, map(str, made), strict=True))
    ids["another client"]["<uuid:lease_id>"] = str(
        borrowed(credential, client).pk if mine != client else NOWHERE
    )
    return Scene(browser=browser, headers=headers, ids=ids)


def borrowed(credential: Credential, client: ServiceClient) -> Lease:
    moment = timezone.now()
    return Lease.objects.create(
        client=client,
        credential=credential,
        purpose="import 41",
        chosen_because="only_one",
        created_at=moment,
        expires_at=moment + timedelta(hours=1),
    )


def rows() -> dict[tuple[str, Any], Any]:
    """Every credential, lease, import and library as stored, by its owner and id."""
    return (
        {
            (row["owner__username"], row["id"]): row
            for row in Credential.objects.values("owner__username", *fields_of(Credential))
        }
        | {
            (row["credential__owner__username"], row["id"]): row
            for row in Lease.objects.values("credential__owner__username", *fields_of(Lease))
        }
        | {
            (row["library__owner__username"], row["id"]): row
            for row in Import.objects.values("library__owner__username", *fields_of(Import))
        }
        | {
            (row["owner__username"], row["id"]): row
            for row in Library.objects.values("owner__username", *fields_of(Library))
        }
    )


def fields_of(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@pytest.mark.parametrize("who", PRINCIPALS, ids=lambda who: who.name)
def test_every_route_and_method_answers_this_caller_as_the_contract_says(
    who: Principal, alice: User, bob: User, admin: User
) -> None:
    people = {user.username: user for user in (alice, bob, admin, builders.user("gone"))}
    people["stella"] = builders.user("stella", is_staff=True)
    scene, before = scene_of(who, people), rows()
    wrong, may_change = {}, set()

    for cell in cells():
        answer, right = scene.send(cell), expected(who, cell)
        got = 200 if answer.status_code in {200, 201, 202, 204} else answer.status_code
        if got != right:
            wrong[cell] = (got, right)
        if right == 200 and cell.changes:
            may_change.add(cell.owner)
        archive = got == 200 and cell.route.endswith("archive/")
        assert answer["Cache-Control"] == ("private, no-cache" if archive else "no-store"), cell
        if got >= 400:
            assert b"label of" not in answer.content, cell

    assert wrong == {}
    after = rows()
    changed = {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == may_change


def test_the_matrix_leaves_nothing_out() -> None:
    assert {route for _method, route in NEEDS} | {NOTHING_HERE} == set(ROUTES)
    assert len(ROUTES) == len([*urlpatterns])
    assert {scope for scope in NEEDS.values() if scope in Scope.values} == {
        READ,
        WRITE,
        LEND,
        LOOK,
        BRING,
        Scope.USERS_WRITE,
    }
    assert len(PRINCIPALS) * len([*cells()]) > 3000
