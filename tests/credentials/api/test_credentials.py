"""Credentials over HTTP: manual entry, metadata, and whose is whose."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern

from credentials.api.urls import urlpatterns
from credentials.models import AuditEvent, Credential, Scope, Status
from credentials.services import hosts
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
        ("post", f"{path}organizations/refresh/"),
        ("get", f"{path}repositories/"),
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
        ("POST", "/credentials/{id}/organizations/refresh/", Scope.CREDENTIALS_WRITE),
        ("GET", "/credentials/{id}/repositories/", Scope.CREDENTIALS_READ),
        ("POST", "/diagnoses/", Scope.CREDENTIALS_READ),
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
    assert receipt.json()["revocation"] == "pending", "the host does not answer; it is asked again"
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


def test_a_replaced_token_keeps_id_and_label_and_another_accounts_token_changes_nothing(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    builders.sandbox_host(sandbox, "github")
    first = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    second = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"]).token
    foreign = sandbox.mint("github", "octo-bob", "personal_token", ["repo"]).token
    _, key = builders.client()
    made = call(
        key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": first, "label": "work"}
    ).json()

    replaced = call(key, "POST", f"/credentials/{made['id']}/replace/", {"token": second})
    refused = call(key, "POST", f"/credentials/{made['id']}/replace/", {"token": foreign})

    assert replaced.status_code == 200
    assert (replaced.json()["id"], replaced.json()["label"]) == (made["id"], "work")
    assert set(replaced.json()["scopes"]) == {"repo", "read:org"}
    assert (refused.status_code, refused.json()["verdict"]["code"]) == (422, "wrong_account")
    assert foreign not in refused.content.decode()


def test_verifying_tells_what_was_found_and_organizations_what_they_answer(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"]).token
    credential = builders.credential(alice, host, token=token, status=Status.UNVERIFIED)
    _, key = builders.client()

    verified = call(key, "POST", f"/credentials/{credential.pk}/verify/").json()
    organizations = call(key, "GET", f"/credentials/{credential.pk}/organizations/").json()

    assert (verified["status"], verified["verdict"]["code"]) == ("valid", "ok")
    assert verified["verdict"]["checked"][0]["at"].endswith("Z")
    assert organizations
    assert organizations[0]["organization"]["host"] == "github"
    assert set(organizations[0]["links"]) == {"request", "approve", "sso"}


def test_a_credential_can_be_renamed_and_cleared_of_its_label(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()

    for label in ("work", ""):
        answer = call(key, "PATCH", f"/credentials/{credential.pk}/", {"label": label})
        assert (answer.status_code, answer.json()["label"]) == (200, label)


def test_what_was_disconnected_takes_no_new_token_and_tells_its_receipt_again(
    alice: User, call: Call
) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    address = f"/credentials/{credential.pk}/"
    receipt = call(key, "DELETE", address).json()

    assert receipt == {"revocation": "pending", "manual_url": "http://127.0.0.1:9/settings/tokens"}
    assert call(key, "DELETE", address).json() == receipt
    assert call(key, "POST", f"{address}verify/").status_code == 409
    assert call(key, "POST", f"{address}replace/", {"token": "ghp_x"}).status_code == 409


def test_nothing_is_asked_of_a_host_that_is_switched_off(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    hosts.set_enabled(actor=builders.SYSTEM, host=credential.host, enabled=False)
    _, key = builders.client()

    assert call(key, "GET", "/hosts/").json() == []
    assert call(key, "POST", f"/credentials/{credential.pk}/verify/").status_code == 404
    stored = call(key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": "ghp_x"})
    assert stored.status_code == 404


def test_the_same_idempotency_key_stores_a_token_once(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()
    body = {"user": "alice", "host": "github", "token": "ghp_" + "q" * 36}
    headers = {"Idempotency-Key": "job-7"}

    first = call(key, "POST", "/credentials/", body, **headers)
    second = call(key, "POST", "/credentials/", body, **headers)
    other = call(key, "POST", "/credentials/", {**body, "label": "work"}, **headers)

    assert (first.status_code, second.status_code, other.status_code) == (201, 201, 409)
    assert first.json()["id"] == second.json()["id"]
    assert AuditEvent.objects.filter(action__startswith="credential.").count() == 1


def test_an_inactive_or_unknown_user_gets_no_credential(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()
    alice.is_active = False
    alice.save()

    for body, status in (({"user": "alice"}, 404), ({"user": "nobody"}, 404), ({}, 400)):
        answer = call(key, "POST", "/credentials/", {"host": "github", "token": "ghp_x", **body})
        assert answer.status_code == status
    assert not Credential.objects.exists()


@pytest.mark.parametrize("field", ["label", "username"])
def test_a_token_pasted_beside_its_field_is_not_stored_in_clear(alice: User, call: Call, field: str) -> None:
    builders.host()
    _, key = builders.client()
    token = "ghp_" + "q" * 36

    answer = call(
        key, "POST", "/credentials/", {"user": "alice", "host": "github", "token": token, field: token}
    )

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Credential.objects.exists()
