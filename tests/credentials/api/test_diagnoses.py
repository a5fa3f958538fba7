"""A diagnosis over HTTP: the verdict, its links, and whom it is for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import AuditEvent, Credential, Host, Lease
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.api.conftest import Call
from tests.credentials.api.test_outputs import check
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def host(sandbox: RunningSandbox) -> Host:
    return builders.sandbox_host(sandbox, "github")


@pytest.fixture
def credential(sandbox: RunningSandbox, host: Host, alice: User) -> Credential:
    """Alice's OAuth connection as octo-alice."""
    token = sandbox.mint("github", "octo-alice", "oauth", ["repo", "read:org"]).token
    return builders.credential(
        alice,
        host,
        token=token,
        kind=Kind.OAUTH,
        oauth_client_id=host.client_id,
        account_name="octo-alice",
        scopes=["read:org", "repo"],
    )


def diagnosed(call: Call, key: Any, repository_url: str, **more: str) -> Any:
    body = {"user": "alice", "repository_url": repository_url, **more}
    return check(call(key, "POST", "/diagnoses/", body), "diagnoses_create", 200)["verdict"]


def test_what_can_be_read_is_ok_and_nothing_is_lent(host: Host, credential: Credential, call: Call) -> None:
    _, key = builders.client()

    verdict = diagnosed(call, key, f"{host.web_url}/acme/cases.git")

    assert (verdict["code"], verdict["credential"]) == ("ok", str(credential.pk))
    assert verdict["checked"]
    assert not Lease.objects.exists()
    assert AuditEvent.objects.filter(action="repository.diagnosed", actor_kind="client").count() == 1


def test_an_organization_that_has_not_approved_the_app_is_named_with_its_pages_and_a_message(
    host: Host, credential: Credential, call: Call
) -> None:
    _, key = builders.client()

    verdict = diagnosed(call, key, f"{host.web_url}/assxxx/ABC")

    assert (verdict["code"], verdict["who_can_fix"]) == ("organization_not_approved", "organization_owner")
    assert (verdict["host"], verdict["organization"]) == ("github", "assxxx")
    approve = f"{host.web_url}/organizations/assxxx/settings/oauth_application_policy"
    assert [step["url"] for step in verdict["steps"]] == [
        f"{host.web_url}/settings/connections/applications/{host.client_id}",
        approve,
    ]
    assert approve in verdict["message_to_owner"]
    assert host.client_id in verdict["message_to_owner"]


def test_without_an_account_the_step_leads_to_the_page_of_this_product_that_connects_one(
    host: Host, alice: User, call: Call
) -> None:
    _, key = builders.client()

    verdict = diagnosed(call, key, f"{host.web_url}/acme/cases")

    assert verdict["code"] == "no_credential"
    assert verdict["steps"][0]["url"] == "/connect/github/"
    assert verdict["offer_zip"] is True
    wanted = {"user": "alice", "repository_url": f"{host.web_url}/acme/cases", "purpose": "import 42"}
    refused = check(call(key, "POST", "/leases/", wanted), "leases_create", 422)["verdict"]
    assert refused["steps"] == verdict["steps"]


def test_a_public_repository_needs_nothing(host: Host, alice: User, call: Call) -> None:
    _, key = builders.client()

    assert diagnosed(call, key, f"{host.web_url}/acme/public-cases")["code"] == "ok_public"


def test_a_lease_that_is_refused_tells_the_same_verdict(
    host: Host, credential: Credential, call: Call
) -> None:
    _, key = builders.client()
    repository = f"{host.web_url}/assxxx/ABC"
    told = diagnosed(call, key, repository)

    wanted = {"user": "alice", "repository_url": repository, "purpose": "import 42"}
    refused = check(call(key, "POST", "/leases/", wanted), "leases_create", 422)["verdict"]

    for member in (
        "code",
        "who_can_fix",
        "summary",
        "steps",
        "organization",
        "credential",
        "message_to_owner",
    ):
        assert refused[member] == told[member], member


def test_an_outage_and_a_host_that_nobody_set_up_are_verdicts_and_no_errors(
    sandbox: RunningSandbox, host: Host, credential: Credential, call: Call
) -> None:
    _, key = builders.client()
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, "status": 503})

    assert diagnosed(call, key, f"{host.web_url}/acme/cases")["code"] == "host_unreachable"
    unknown = diagnosed(call, key, "https://git.example.org/acme/cases")
    assert (unknown["code"], unknown["who_can_fix"]) == ("host_unknown", "administrator")


def test_a_client_confined_to_other_hosts_learns_nothing_and_nobody_is_asked(
    sandbox: RunningSandbox, host: Host, credential: Credential, call: Call
) -> None:
    builders.host("gitlab")
    _, key = builders.client(hosts=["gitlab"])
    sandbox.control("github", "DELETE", "calls")
    body = {"user": "alice", "repository_url": f"{host.web_url}/acme/cases"}

    refused = call(key, "POST", "/diagnoses/", body)

    assert (refused.status_code, refused.json()["code"]) == (403, "permission_refused")
    assert sandbox.calls("github") == []
    assert diagnosed(call, key, "https://git.example.org/acme/cases")["code"] == "host_unknown"
    _, own = builders.client("own", hosts=["github"])
    assert diagnosed(call, own, body["repository_url"])["code"] == "ok"


def test_a_signed_in_person_asks_for_themselves_only(host: Host, credential: Credential, bob: User) -> None:
    address = f"{host.web_url}/acme/cases"
    answers = {}
    for person, body in (
        (credential.owner, {}),
        (credential.owner, {"user": "alice"}),
        (bob, {"user": "alice"}),
    ):
        browser = Client()
        browser.force_login(person)
        answer = browser.post(
            "/api/v1/diagnoses/", {"repository_url": address, **body}, content_type="application/json"
        )
        answers[person.username, *body] = answer

    assert answers["alice",].json()["verdict"]["code"] == "ok"
    assert answers["alice", "user"].status_code == 200
    assert answers["bob", "user"].status_code == 403


def test_a_signed_in_person_needs_the_csrf_token(host: Host, alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    body = {"repository_url": f"{host.web_url}/acme/cases"}

    answer = browser.post("/api/v1/diagnoses/", body, content_type="application/json")

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "repository_url"),
        ({"repository_url": "no address"}, 400, "repository_url"),
        ({"repository_url": "https://alice:secret@github.com/acme/cases"}, 400, "repository_url"),
        ({"repository_url": "http://127.0.0.1:9"}, 400, "repository_url"),
        ({"user": "nobody", "repository_url": "http://127.0.0.1:9/acme/cases"}, 404, None),
        ({"user": "", "repository_url": "http://127.0.0.1:9/acme/cases"}, 400, "user"),
        ({"repository_url": "http://127.0.0.1:9/acme/cases", "host": "github"}, 400, ""),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_not_repeated(
    alice: User, call: Call, body: dict[str, str], status: int, field: str | None
) -> None:
    builders.host()
    _, key = builders.client()

    answer = call(key, "POST", "/diagnoses/", {"user": "alice", **body})

    assert answer.status_code == status
    assert answer.json().get("field") == field
    assert "secret" not in answer.content.decode()
    assert not AuditEvent.objects.filter(action="repository.diagnosed").exists()


def test_a_client_says_for_whom_it_asks(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()

    answer = call(key, "POST", "/diagnoses/", {"repository_url": "http://127.0.0.1:9/acme/cases"})

    assert (answer.status_code, answer.json()["field"]) == (400, "user")
