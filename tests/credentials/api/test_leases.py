"""Borrowing over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tasks_db.models import DBTaskResult

from credentials.models import AuditEvent, IdempotencyRecord, Lease, Scope, Status
from credentials.services import clients
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


@pytest.mark.parametrize("crowd", [1, 300])
def test_a_lease_over_http_takes_at_most_three_statements_whatever_the_crowd(
    alice: User, call: Call, crowd: int
) -> None:
    host = builders.host()
    for number in range(crowd):
        held = builders.credential(alice, host, token=f"ghp_{number:036}")
        builders.access(held, "acme", state="accessible")
        _, key = builders.client(f"client {number}")
        call(key, "POST", "/leases/", WANTED)
    assert AuditEvent.objects.filter(action="lease.created").count() == Lease.objects.count() == crowd

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
    _, others = builders.client("other")
    headers = {"Idempotency-Key": "job-7"}

    first = call(key, "POST", "/leases/", WANTED, **headers).json()
    second = call(key, "POST", "/leases/", dict(reversed(WANTED.items())), **headers)
    other = call(key, "POST", "/leases/", {**WANTED, "purpose": "another"}, **headers)

    assert second.status_code == 201
    assert (second.json()["id"], second.json()["password"]) == (first["id"], "ghp_once")
    assert Lease.objects.count() == 1
    assert AuditEvent.objects.filter(action="lease.repeated").count() == 1
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert call(others, "POST", "/leases/", WANTED, **headers).json()["id"] != first["id"]


def test_the_lease_of_an_idempotency_key_is_not_given_again_once_it_ended(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    headers = {"Idempotency-Key": "job-7"}
    lease = call(key, "POST", "/leases/", WANTED, **headers).json()["id"]
    call(key, "DELETE", f"/leases/{lease}/")

    assert call(key, "POST", "/leases/", WANTED, **headers).status_code == 409


def test_a_refused_request_does_not_use_up_its_idempotency_key(alice: User, call: Call) -> None:
    host = builders.host()
    _, key = builders.client()
    headers = {"Idempotency-Key": "job-7"}

    assert call(key, "POST", "/leases/", WANTED, **headers).status_code == 422
    builders.credential(alice, host)
    assert call(key, "POST", "/leases/", WANTED, **headers).status_code == 201


def test_a_stranger_cannot_use_up_a_clients_idempotency_keys(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    client, key = builders.client()
    _, narrow = builders.client("narrow", scopes=[Scope.CREDENTIALS_READ])
    clients.renew_key(actor=builders.SYSTEM, client=client)

    assert call(key, "POST", "/leases/", WANTED, **{"Idempotency-Key": "job-7"}).status_code == 401
    assert call(narrow, "POST", "/leases/", WANTED, **{"Idempotency-Key": "job-7"}).status_code == 403
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize("wrong", ["x" * 201, "job 7", "j\xf6b"])
def test_an_idempotency_key_that_cannot_be_kept_is_refused(alice: User, call: Call, wrong: str) -> None:
    _, key = builders.client()

    response = call(key, "POST", "/leases/", WANTED, **{"Idempotency-Key": wrong})

    assert response.status_code == 400
    assert response.json()["field"] == "Idempotency-Key"


def test_a_preview_needs_no_idempotency_and_leaves_no_record(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    headers = {"Idempotency-Key": "job-7"}
    assert call(key, "POST", "/leases/", {**WANTED, "dry_run": True}, **headers).status_code == 200
    assert not IdempotencyRecord.objects.exists()


def test_a_user_nobody_knows_is_neither_repeated_nor_kept(alice: User, call: Call) -> None:
    builders.host()
    _, key = builders.client()
    pasted = "ghp_" + "q" * 36

    response = call(key, "POST", "/leases/", {**WANTED, "user": pasted})

    assert response.status_code == 422
    assert response.json()["verdict"]["summary"].startswith("This person has not connected an account")
    assert pasted not in response.content.decode()
    assert AuditEvent.objects.get(action="lease.refused").subject_name == ""


def test_a_lease_is_looked_up_ended_and_another_clients_is_not_there(alice: User, call: Call) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    _, others = builders.client("other")
    lease = call(key, "POST", "/leases/", WANTED).json()["id"]

    assert "password" not in call(key, "GET", f"/leases/{lease}/").json()
    assert call(others, "GET", f"/leases/{lease}/").status_code == 404
    assert call(others, "DELETE", f"/leases/{lease}/").status_code == 404
    assert call(key, "DELETE", f"/leases/{lease}/").json()["ended_at"]


@pytest.fixture
def queued(settings: Any) -> None:
    """Work waits in the database, as in a deployment."""
    settings.TASKS = {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
    }


@pytest.mark.usefixtures("queued")
def test_a_reported_rejection_has_the_credential_verified(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    credential = builders.credential(alice, host, token=minted.token)
    _, key = builders.client()
    lease = call(key, "POST", "/leases/", {**WANTED, "repository_url": f"{host.web_url}/acme/cases"}).json()
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})

    response = call(key, "POST", f"/leases/{lease['id']}/report/", {"outcome": "rejected", "detail": "401"})

    assert (response.status_code, response.json()["outcome"]) == (200, "rejected")
    work = DBTaskResult.objects.get()
    assert work.args_kwargs == {"args": [str(credential.pk)], "kwargs": {}}
    work.task.call(*work.args_kwargs["args"])
    credential.refresh_from_db()
    assert credential.status == Status.REJECTED
    assert AuditEvent.objects.filter(action="credential.opened", actor_name="worker").exists()


@pytest.mark.usefixtures("queued")
def test_an_accepted_report_and_a_rejection_told_twice_ask_for_no_further_work(
    alice: User, call: Call
) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    lease = call(key, "POST", "/leases/", WANTED).json()["id"]

    for outcome, work in (("accepted", 0), ("rejected", 1), ("rejected", 1)):
        assert call(key, "POST", f"/leases/{lease}/report/", {"outcome": outcome}).status_code == 200
        assert DBTaskResult.objects.count() == work


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
