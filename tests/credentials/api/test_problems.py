"""Errors as problems: the right status, stable members, and nothing of what was sent or broke."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InternalError, OperationalError
from django.http import Http404
from django.test import Client
from rest_framework import exceptions as drf

from credentials import errors
from credentials.api.bodies import verdict_body
from credentials.api.parsing import FormMalformed
from credentials.api.problems import problem_response
from credentials.services import audit, hosts, vault
from credentials.verdicts import Check, VerdictCode
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.wording import verdict
from credentials.web.help import REQUEST_TOPICS
from tests import builders
from tests.credentials.api.conftest import Call

CANARY = "ghp_" + "c4n4ry" * 6

REFUSED = verdict(
    VerdictCode.TOKEN_EXPIRED,
    checked=(Check(step="verify", result="401", at=datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)),),
    host="github",
)


def database_error(state: str) -> InternalError:
    """An error as Django passes it on, of a driver that gives the database's code."""
    error, cause = InternalError(CANARY), RuntimeError(CANARY)
    cause.sqlstate = state  # type: ignore[attr-defined]  # as psycopg's have
    error.__cause__ = cause
    return error


# Error, status, code, whether the same request may succeed later.
TABLE: tuple[tuple[Exception, int, str, bool], ...] = (
    (errors.NotAuthenticated("Who?"), 401, "not_authenticated", False),
    (errors.PermissionRefused("No."), 403, "permission_refused", False),
    (errors.NotFound("Gone."), 404, "not_found", False),
    (errors.InputInvalid("Wrong.", field="user"), 400, "input_invalid", False),
    (errors.AddressInvalid("Wrong."), 400, "address_invalid", False),
    (errors.AddressForbidden("No."), 400, "address_forbidden", False),
    (errors.Conflict("Changed."), 409, "conflict", True),
    (errors.IdempotencyKeyReused("Used."), 409, "idempotency_key_reused", False),
    (errors.TokenNotAccepted(REFUSED), 422, "token_expired", False),
    (errors.NoUsableCredential(REFUSED), 422, "token_expired", False),
    (errors.AuditUnavailable("Full."), 503, "audit_unavailable", True),
    (errors.KeyUnavailable("/etc/ring"), 503, "key_unavailable", True),
    (errors.KeySourceUnsafe("/etc/ring"), 503, "key_source_unsafe", False),
    (errors.EnvelopeInvalid(CANARY), 500, "envelope_invalid", False),
    (errors.ConfigurationError("/etc/ring"), 500, "internal_error", False),
    (errors.UploadTooLarge("Too large.", limit=1), 413, "upload_too_large", False),
    (errors.QuotaExceeded("Used up.", whose="user", limit=1), 429, "quota_exceeded", True),
    (errors.QuotaExceeded("Used up.", whose="everybody", limit=1), 507, "quota_exceeded", True),
    (errors.StorageUnavailable("Full."), 503, "storage_unavailable", True),
    (errors.ImportProblem("No."), 422, "import_problem", False),
    (FormMalformed(CANARY), 400, "malformed", False),
    (RequestDataTooBig(CANARY), 413, "body_too_large", False),
    (errors.ProviderUnreachable("Away."), 503, "host_unreachable", True),
    (errors.ProviderAnswerUnexpected("Odd."), 503, "unknown", True),
    (errors.ProviderRateLimited("Wait.", retry_after=timedelta(seconds=7)), 503, "rate_limited", True),
    (drf.ValidationError({"user": [CANARY]}), 400, "input_invalid", False),
    (drf.ValidationError([CANARY]), 400, "input_invalid", False),
    (drf.ParseError(CANARY), 400, "malformed", False),
    (drf.NotAuthenticated(CANARY), 401, "not_authenticated", False),
    (drf.AuthenticationFailed(CANARY), 401, "not_authenticated", False),
    (drf.PermissionDenied(CANARY), 403, "permission_refused", False),
    (PermissionDenied(CANARY), 403, "permission_refused", False),
    (drf.NotFound(CANARY), 404, "not_found", False),
    (Http404(CANARY), 404, "not_found", False),
    (drf.MethodNotAllowed("GET", CANARY), 405, "method_not_allowed", False),
    (drf.UnsupportedMediaType(CANARY), 415, "unsupported_media_type", False),
    (drf.Throttled(wait=9), 429, "rate_limited", True),
    (OperationalError(CANARY), 503, "unavailable", True),
    (database_error("25006"), 503, "unavailable", True),  # PostgreSQL: read_only_sql_transaction
    (database_error("25P02"), 500, "internal_error", False),  # a transaction that had failed before
    (RuntimeError(CANARY), 500, "internal_error", False),
)


def told(error: Exception) -> Any:
    return problem_response(error, {"request": SimpleNamespace(META={"forgekey.request_id": "r-1"})})


@pytest.mark.parametrize(
    ("error", "status", "code", "retryable"), TABLE, ids=lambda value: type(value).__name__
)
def test_an_error_becomes_the_problem_the_table_says(
    error: Exception, status: int, code: str, retryable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    response = told(error)

    body = json.loads(response.content)
    assert (response.status_code, body["status"]) == (status, status)
    assert (body["code"], body["retryable"], body["request_id"]) == (code, retryable, "r-1")
    assert body["title"]
    assert body["detail"]
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    assert response.has_header("WWW-Authenticate") is (status == 401)
    assert response.has_header("Retry-After") is (status in {429, 503})
    assert CANARY not in response.content.decode() + caplog.text
    assert "/etc/ring" not in response.content.decode() + caplog.text


def test_every_type_is_the_address_of_a_help_entry() -> None:
    topics = {*REQUEST_TOPICS, *(code.replace("_", "-") for code in CATALOG)}
    for error, *_rest in TABLE:
        address = json.loads(told(error).content)["type"]
        assert address.startswith("/help/")
        assert address.removeprefix("/help/").removesuffix("/") in topics, (error, address)


def test_a_wait_the_host_asked_for_is_passed_on() -> None:
    error = errors.ProviderRateLimited("Wait.", retry_after=timedelta(seconds=7))
    assert told(error)["Retry-After"] == "7"


def test_a_verdict_is_told_as_the_contract_says_and_leaves_out_what_does_not_apply() -> None:
    assert verdict_body(REFUSED) == {
        "code": "token_expired",
        "severity": "action",
        "who_can_fix": "user",
        "summary": "The token was valid once, but its time is over.",
        "checked": [{"step": "verify", "result": "401", "at": "2026-11-24T01:02:03.000Z"}],
        "steps": [{"text": "Create a new token."}, {"text": "Put it in the place of this one."}],
        "host": "github",
        "offer_zip": False,
    }


def test_an_unexpected_error_is_logged_by_class_and_place_only(caplog: pytest.LogCaptureFixture) -> None:
    try:
        try:
            int(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError as error:
        told(error)

    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "RuntimeError from ValueError in request r-1" in line
    assert "test_problems.py:" in line
    assert CANARY not in caplog.text


@pytest.mark.django_db
def test_several_wrong_fields_are_all_named(alice: User, call: Call) -> None:
    _, key = builders.client()

    body = call(
        key, "POST", "/credentials/", {"host": "git hub", "expires_at": "2001-01-01T00:00:00Z"}
    ).json()

    assert {mistake["field"]: mistake["detail"] for mistake in body["errors"]} == {
        "token": "This field is required.",
        "host": "This is not valid.",
        "expires_at": "This is not in the future.",
    }
    assert body["field"] in {"token", "host", "expires_at"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/leases/", "/credentials/"])
def test_a_field_nobody_knows_is_refused_rather_than_ignored(alice: User, call: Call, path: str) -> None:
    _, key = builders.client()

    response = call(key, "POST", path, {"user": "alice", "host": "github", "dryrun": True})

    assert response.status_code == 400
    assert "no such field" in response.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_problem_says_when_the_key_ring_is_gone(
    alice: User, call: Call, settings: Any, language: str
) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()
    settings.CREDENTIALS_KEY_SOURCE = "file:/nonexistent/forgekey/ring"
    vault.forget()

    response = call(
        key,
        "POST",
        "/leases/",
        {"user": "alice", "host": "github", "purpose": "import"},
        **{"Accept-Language": language},
    )

    assert response.status_code == 503
    assert response["Retry-After"]
    assert "nonexistent" not in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/leases/", "/credentials/"])
def test_what_breaks_inside_a_view_is_a_500_without_details(
    alice: User, call: Call, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    builders.credential(alice, builders.host())
    _, key = builders.client()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(audit, "build", broken)
    monkeypatch.setattr(hosts, "get", broken)
    body = {"user": "alice", "host": "github"}
    body |= {"purpose": "import"} if address == "/leases/" else {"token": "ghp_x"}
    response = call(key, "POST", address, body)

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert CANARY not in response.content.decode()


@pytest.mark.django_db
def test_a_browser_gets_json_too(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)

    response = browser.get("/api/v1/hosts/?format=api", headers={"Accept": "text/html"})

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
