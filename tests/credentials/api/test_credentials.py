"""Credentials over HTTP: manual entry, metadata, and whose is whose."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern

from credentials.api.urls import urlpatterns
from credentials.models import Credential, Scope
from tests import builders
from tests.credentials.api.conftest import Call
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def browser_of(user: User, *, csrf: bool = False) -> Client:
    browser = Client(enforce_csrf_checks=csrf)
    browser.force_login(user)
    return browser


def test_a_pasted_token_is_verified_and_its_metadata_answered(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    builders.sandbox_host(sandbox, "github")
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    _, key = builders.client()

    response = call(key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": token})

    assert response.status_code == 201
    body = response.json()
    assert (body["status"], body["kind"], body["account"]["name"]) == (
        "valid",
        "personal_token",
        "octo-alice",
    )
    assert body["scopes"] == ["repo"]
    assert body["verdict"]["code"] == "ok"
    assert token not in response.content.decode()


def test_a_refused_token_is_a_422_and_nothing_is_stored(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    builders.sandbox_host(sandbox, "github")
    _, key = builders.client()
    token = "ghp_" + "q" * 36

    response = call(key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": token})

    assert response.status_code == 422
    assert response.json()["verdict"]["code"] == "token_mistyped"
    assert token not in response.content.decode()
    assert not Credential.objects.exists()


def test_an_unreachable_host_stores_the_token_unverified(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()

    response = call(
        key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": "ghp_" + "q" * 36}
    )

    assert response.status_code == 201
    assert response.json()["status"] == "unverified"


def test_people_see_and_touch_only_their_own(alice: User, charlie: User) -> None:
    credential = builders.credential(alice, builders.host())
    path = f"/api/v1/credentials/{credential.pk}/"

    assert browser_of(alice).get(path).status_code == 200
    stranger = browser_of(charlie)
    assert stranger.get("/api/v1/credentials/").json()["results"] == []
    for method, address in (
        ("get", path),
        ("patch", path),
        ("delete", path),
        ("post", f"{path}verify/"),
        ("post", f"{path}replace/"),
        ("get", f"{path}organizations/"),
    ):
        response = getattr(stranger, method)(address, {"label": "x"}, content_type="application/json")
        assert response.status_code == 404, (method, address)


def test_a_person_cannot_store_a_token_for_somebody_else(alice: User, charlie: User) -> None:
    builders.host()

    response = browser_of(charlie).post(
        "/api/v1/credentials/",
        {"user": "alice", "host": "github", "token": "ghp_x"},
        content_type="application/json",
    )

    assert response.status_code == 403


def test_a_session_without_the_csrf_token_changes_nothing(alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    response = browser_of(alice, csrf=True).delete(f"/api/v1/credentials/{credential.pk}/")

    assert response.status_code == 403
    assert Credential.objects.get().is_connected


def test_a_client_confined_to_a_host_sees_and_stores_nothing_at_another(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    builders.host("gitlab")
    _, key = builders.client(hosts=["gitlab"])

    assert call(key, "GET", "/credentials/").json()["results"] == []
    assert [host["slug"] for host in call(key, "GET", "/hosts/").json()] == ["gitlab"]
    stored = call(key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": "ghp_x"})
    assert stored.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/credentials/", Scope.CREDENTIALS_READ),
        ("POST", "/credentials/", Scope.CREDENTIALS_WRITE),
        ("GET", "/credentials/{id}/", Scope.CREDENTIALS_READ),
        ("PATCH", "/credentials/{id}/", Scope.CREDENTIALS_WRITE),
        ("DELETE", "/credentials/{id}/", Scope.CREDENTIALS_WRITE),
        ("POST", "/credentials/{id}/verify/", Scope.CREDENTIALS_WRITE),
        ("POST", "/credentials/{id}/replace/", Scope.CREDENTIALS_WRITE),
        ("GET", "/credentials/{id}/organizations/", Scope.CREDENTIALS_READ),
    ],
)
def test_every_call_needs_its_scope(alice: User, call: Call, method: str, path: str, scope: Scope) -> None:
    credential = builders.credential(alice, builders.host())
    _, without = builders.client("without", scopes=[other for other in Scope.values if other != scope])

    response = call(without, method, path.format(id=credential.pk), {})

    assert response.status_code == 403
    assert scope.value in response.json()["detail"]


def test_disconnecting_answers_with_a_receipt(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()

    receipt = call(key, "DELETE", f"/credentials/{credential.pk}/")

    assert receipt.status_code == 200
    assert receipt.json()["revocation"] == "manual"
    assert receipt.json()["manual_url"]


def test_every_address_of_the_api_is_closed_to_strangers(call: Call) -> None:
    some_id = "00000000-0000-4000-8000-000000000000"
    addresses = [
        str(pattern.pattern).replace("<uuid:credential_id>", some_id).replace("<uuid:lease_id>", some_id)
        for pattern in urlpatterns
        if isinstance(pattern, URLPattern) and str(pattern.pattern)
    ]
    assert len(addresses) >= 10
    for address in addresses:
        for method in ("get", "post", "patch", "delete"):
            response = getattr(Client(), method)(f"/api/{address}")
            assert response.status_code in {401, 403, 405}, (method, address)
            assert response["Content-Type"] == "application/problem+json"


def test_an_address_that_is_none_and_a_wrong_method_are_problems_too(call: Call) -> None:
    _, key = builders.client()
    for response, status in (
        (call(key, "GET", "/nothing/"), 404),
        (call(key, "PUT", "/hosts/"), 405),
    ):
        assert response.status_code == status
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("field", ["user", "host", "token", "email", "label", "username", "expires_at"])
@pytest.mark.parametrize("value", ["ghp_canary" * 500, ["ghp_canary"], {"ghp_canary": 1}])
def test_a_token_in_a_wrong_field_is_never_echoed_nor_logged(
    alice: User, call: Call, capsys: Any, field: str, value: Any
) -> None:
    builders.host()
    _, key = builders.client()

    body = {"user": "alice", "host": "github", "token": "x", field: value}
    response = call(key, "POST", "/credentials/", body)

    assert response.status_code in {400, 404, 422}
    assert b"ghp_canary" not in response.content
    assert "ghp_canary" not in "".join(capsys.readouterr())
