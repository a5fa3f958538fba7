"""What is answered has exactly the members, and the types, that the description tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from tests import builders
from tests.credentials.api.conftest import Call
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

SCHEMA = yaml.safe_load((Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml").read_text("utf-8"))
WANTED = {"user": "alice", "host": "github", "purpose": "import 42"}


def closed(schema: Any) -> Any:
    """The same schema without room for members it does not tell of."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    room = {} if "properties" not in schema else {"additionalProperties": False}
    return {name: closed(part) for name, part in schema.items()} | room


COMPONENTS = closed(SCHEMA["components"])


def check(response: Any, operation: str, status: int) -> Any:
    """Assert that an answer is what the description says of this operation; its body."""
    assert response.status_code == status, response.content
    (described,) = [
        told
        for operations in SCHEMA["paths"].values()
        for told in operations.values()
        if told["operationId"] == operation
    ]
    content = described["responses"].get(str(status), described["responses"]["4XX"])["content"]
    schema = content[response["Content-Type"]]["schema"]
    validator = Draft202012Validator(
        {**closed(schema), "components": COMPONENTS}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    body = response.json()
    assert [error.message for error in validator.iter_errors(body)] == []
    return body


def test_every_answer_is_as_described(sandbox: RunningSandbox, alice: User, call: Call) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
    _, key = builders.client()

    check(call(key, "GET", "/hosts/"), "hosts_list", 200)
    body = {"user": "alice", "host": "github", "token": minted.token}
    repeated = {"Idempotency-Key": "job-7"}
    made = check(call(key, "POST", "/credentials/", body, **repeated), "credentials_create", 201)
    again = check(call(key, "POST", "/credentials/", body, **repeated), "credentials_create", 201)
    assert "verdict" in made
    assert "verdict" not in again
    one = f"/credentials/{made['id']}/"
    preview = check(call(key, "POST", "/leases/", {**WANTED, "dry_run": True}), "leases_create", 200)
    lent = check(call(key, "POST", "/leases/", WANTED), "leases_create", 201)
    assert set(lent) - set(preview) == {"id", "username", "password", "lease_expires_at"}
    lease = f"/leases/{lent['id']}/"
    check(call(key, "GET", lease), "leases_retrieve", 200)
    check(call(key, "POST", f"{lease}report/", {"outcome": "accepted"}), "leases_report", 200)
    check(call(key, "DELETE", lease), "leases_end", 200)
    check(call(key, "GET", "/credentials/"), "credentials_list", 200)
    check(call(key, "GET", one), "credentials_retrieve", 200)
    check(call(key, "PATCH", one, {"label": "work"}), "credentials_rename", 200)
    check(call(key, "POST", f"{one}verify/"), "credentials_verify", 200)
    assert check(call(key, "GET", f"{one}organizations/"), "credentials_organizations", 200)
    check(call(key, "POST", f"{one}organizations/refresh/"), "credentials_organizations_refresh", 200)
    assert check(call(key, "GET", f"{one}repositories/"), "credentials_repositories", 200)["results"]
    check(call(key, "POST", f"{one}replace/", {"token": minted.token}), "credentials_replace", 200)
    check(call(key, "POST", f"{one}replace/", {"token": "ghp_x"}), "credentials_replace", 422)
    check(call(key, "DELETE", one), "credentials_disconnect", 200)
    check(call(key, "POST", "/leases/", WANTED), "leases_create", 422)
    check(call(key, "POST", "/leases/", {}), "leases_create", 400)
    asked = {"user": "alice", "repository_url": f"{host.web_url}/acme/cases"}
    check(call(key, "POST", "/diagnoses/", asked), "diagnoses_create", 200)
    check(call(key, "POST", "/diagnoses/", {}), "diagnoses_create", 400)
    assert host.slug == lent["credential"]["host"]


def test_times_are_in_utc_whatever_the_deployments_time_zone(alice: User, call: Call, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()

    told = call(key, "GET", f"/credentials/{credential.pk}/").json()

    assert told["created_at"].endswith("Z")
    assert told["created_at"][:19] == credential.created_at.isoformat()[:19]


def test_a_person_is_told_of_their_own_use(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    address = f"/credentials/{credential.pk}/"

    assert call(key, "GET", address).json()["last_used_at"] is None
    assert call(key, "GET", address).json()["account"] is None
    call(key, "POST", "/leases/", WANTED)
    assert call(key, "GET", address).json()["last_used_at"].endswith("Z")
