"""Borrowing over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tasks_db.models import DBTaskResult

from credentials.models import AuditEvent, Lease, Scope, Status
from credentials.services import queue
from tests import builders
from tests.credentials.api.conftest import Call
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

WANTED = {"user": "alice", "repository_url": "http://127.0.0.1:9/acme/cases.git", "purpose": "import 42"}


def test_a_lease_answers_as_the_contract_says_and_no_cache_may_keep_it(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host(), token="ghp_secret", account_name="octo-alice")
    _, key = builders.client()

    response = call(key, "POST", "/leases/", WANTED)

    assert response.status_code == 201
    body = response.json()
    assert body["password"] == "ghp_secret"
    assert body["username"] == "x-access-token"
    assert body["credential"]["id"] == str(credential.pk)
    assert body["credential"]["account"] == {"id": "", "name": "octo-alice"}
    assert body["chosen_because"] == "only_one"
    assert body["candidates"] == [{"credential": str(credential.pk), "kept": True, "reason": "only_one"}]
    assert body["lease_expires_at"].endswith("Z")
    assert "no-store" in response["Cache-Control"]
    assert response["X-Request-ID"]


def test_a_lease_over_http_takes_at_most_three_statements(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    call(key, "POST", "/leases/", WANTED)

    with CaptureQueriesContext(connection) as captured:
        assert call(key, "POST", "/leases/", WANTED).status_code == 201

    sent = [query["sql"] for query in captured.captured_queries]
    counted = [sql for sql in sent if not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    assert len(counted) <= 3, counted


def test_a_dry_run_explains_and_lends_nothing(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    response = call(key, "POST", "/leases/", {**WANTED, "dry_run": True})

    assert response.status_code == 200
    assert "password" not in response.json()
    assert "username" not in response.json()
    assert not Lease.objects.exists()


def test_no_usable_credential_is_a_422_with_the_verdict(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()

    response = call(key, "POST", "/leases/", WANTED)

    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == "no_credential"
    assert body["type"] == "/help/no-credential/"
    assert body["verdict"]["who_can_fix"] == "user"
    assert body["verdict"]["offer_zip"] is True
    assert body["request_id"] == response["X-Request-ID"]


def test_people_and_strangers_borrow_nothing(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    browser = Client()
    browser.force_login(alice)

    for response in (
        call(None, "POST", "/leases/", WANTED),
        browser.post("/api/v1/leases/", WANTED, content_type="application/json"),
        call(None, "POST", "/leases/", WANTED, Authorization="Bearer fk_nonsense"),
        call(None, "POST", "/leases/", WANTED, Authorization="Basic YWxpY2U6eA=="),
    ):
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert response.json()["code"] == "not_authenticated"


def test_a_key_without_the_scope_is_told_which_one(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client(scopes=[Scope.CREDENTIALS_READ])

    response = call(key, "POST", "/leases/", WANTED)

    assert response.status_code == 403
    assert "credentials:lend" in response.json()["detail"]


def test_the_same_idempotency_key_gets_the_same_lease(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host(), token="ghp_once")
    _, key = builders.client()
    headers = {"Idempotency-Key": "job-7"}

    first = call(key, "POST", "/leases/", WANTED, **headers).json()
    second = call(key, "POST", "/leases/", WANTED, **headers).json()
    other = call(key, "POST", "/leases/", {**WANTED, "purpose": "another"}, **headers)

    assert (second["id"], second["password"]) == (first["id"], "ghp_once")
    assert Lease.objects.count() == 1
    assert other.status_code == 409


def test_a_lease_is_looked_up_ended_and_another_clients_is_not_there(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    _, others = builders.client("other")
    lease = call(key, "POST", "/leases/", WANTED).json()["id"]

    assert "password" not in call(key, "GET", f"/leases/{lease}/").json()
    assert call(others, "GET", f"/leases/{lease}/").status_code == 404
    assert call(others, "DELETE", f"/leases/{lease}/").status_code == 404
    assert call(key, "DELETE", f"/leases/{lease}/").json()["ended_at"]


def test_a_reported_rejection_has_the_credential_verified(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    credential = builders.credential(alice, host, token=minted.token + "x")
    _, key = builders.client()
    lease = call(key, "POST", "/leases/", {**WANTED, "repository_url": f"{host.web_url}/acme/cases"}).json()

    response = call(key, "POST", f"/leases/{lease['id']}/report/", {"outcome": "rejected"})

    assert response.status_code == 200
    queued = DBTaskResult.objects.get()
    assert queued.args_kwargs == {"args": [str(credential.pk)], "kwargs": {}}
    queue.verify_credential.func(*queued.args_kwargs["args"])  # as the worker does
    credential.refresh_from_db()
    assert credential.status == Status.REJECTED
    assert AuditEvent.objects.filter(action="credential.opened", actor_name="worker").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b"[]",
        b'"ghp_canary"',
        {},
        {**WANTED, "purpose": ""},
        {**WANTED, "repository_url": "ext::sh -c ghp_canary"},
        {**WANTED, "repository_url": "https://ghp_canary@github.com/a/b"},
        {**WANTED, "min_valid_seconds": "ghp_canary"},
        {**WANTED, "credential": "ghp_canary"},
        {**WANTED, "host": "github"},
    ],
)
def test_bad_input_gets_a_problem_that_repeats_nothing_of_it(alice: User, call: Call, wrong: Any) -> None:
    _, key = builders.client()

    response = call(key, "POST", "/leases/", wrong)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert b"ghp_canary" not in response.content
