"""The OpenAPI description: as committed, complete, and with a secret in one answer only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "docs" / "openapi.yaml"

# Contract, section 3, without what later versions add.
OPERATIONS = {
    "/api/v1/hosts/": {"get"},
    "/api/v1/credentials/": {"get", "post"},
    "/api/v1/credentials/{credential_id}/": {"get", "patch", "delete"},
    "/api/v1/credentials/{credential_id}/replace/": {"post"},
    "/api/v1/credentials/{credential_id}/verify/": {"post"},
    "/api/v1/credentials/{credential_id}/organizations/": {"get"},
    "/api/v1/credentials/{credential_id}/organizations/refresh/": {"post"},
    "/api/v1/credentials/{credential_id}/repositories/": {"get"},
    "/api/v1/diagnoses/": {"post"},
    "/api/v1/leases/": {"post"},
    "/api/v1/leases/{lease_id}/": {"get", "delete"},
    "/api/v1/leases/{lease_id}/report/": {"post"},
    "/api/v1/imports/": {"get", "post"},
    "/api/v1/imports/{import_id}/": {"get"},
    "/api/v1/imports/{import_id}/cancel/": {"post"},
    "/api/v1/imports/{import_id}/retry/": {"post"},
    "/api/v1/libraries/": {"get"},
    "/api/v1/libraries/{library_id}/": {"get", "patch", "delete"},
    "/api/v1/libraries/{library_id}/update/": {"post"},
    "/api/v1/libraries/{library_id}/snapshots/": {"get"},
    "/api/v1/libraries/{library_id}/difference/": {"get"},
    "/api/v1/snapshots/{snapshot_id}/": {"get"},
    "/api/v1/snapshots/{snapshot_id}/files/": {"get"},
    "/api/v1/snapshots/{snapshot_id}/archive/": {"get"},
    "/api/v1/users/{user}/offboard/": {"post"},
}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        generator: Any = SchemaGenerator
        schema: dict[str, Any] = generator().get_schema(request=None, public=True)
    return schema


def names_of(schema: Any, components: Any, seen: frozenset[str] = frozenset()) -> set[str]:
    """Every property name a schema can hold, references followed."""
    if isinstance(schema, list):
        return {name for part in schema for name in names_of(part, components, seen)}
    if not isinstance(schema, dict):
        return set()
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[1]
        return set() if name in seen else names_of(components[name], components, seen | {name})
    return set(schema.get("properties", {})) | names_of(list(schema.values()), components, seen)


def test_the_committed_description_is_the_present_one(described: dict[str, Any]) -> None:
    """Bring it up to date with: python manage.py spectacular --file docs/openapi.yaml"""
    renderer: Any = OpenApiYamlRenderer()
    present = renderer.render(described, renderer_context={}).decode()
    assert yaml.safe_load(present) == yaml.safe_load(COMMITTED.read_text("utf-8"))


def test_it_is_openapi_3_1_and_valid_without_a_warning(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    validate: Any = validate_schema
    validate(described)
    assert not GENERATOR_STATS


def test_it_tells_exactly_what_there_is(described: dict[str, Any]) -> None:
    told = {path: set(operations) for path, operations in described["paths"].items()}
    assert told == OPERATIONS


def test_every_operation_tells_its_problems_and_who_may_call_it(described: dict[str, Any]) -> None:
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert {"4XX", "5XX"} <= set(operation["responses"])
            assert operation["summary"]
            ways_in = {name for way in operation["security"] for name in way}
            people_too = not path.startswith(("/api/v1/leases/", "/api/v1/users/"))
            assert ways_in == {"serviceKey"} | ({"browserSession"} if people_too else set())


def test_creating_calls_take_an_idempotency_key(described: dict[str, Any]) -> None:
    taking = {
        path
        for path, operations in described["paths"].items()
        for operation in operations.values()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    assert taking == {
        "/api/v1/credentials/",
        "/api/v1/imports/",
        "/api/v1/leases/",
        "/api/v1/users/{user}/offboard/",
    }


def test_no_answer_but_a_lease_can_hold_a_secret(described: dict[str, Any]) -> None:
    secret = {"password", "token", "secret", "access_token", "refresh_token", "client_secret", "key_hash"}
    holding = {
        (path, method, status)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        if secret & names_of(response.get("content", {}), described["components"]["schemas"])
    }
    assert holding == {("/api/v1/leases/", "post", "201")}


def test_a_body_is_closed_and_a_token_is_only_written(described: dict[str, Any]) -> None:
    bodies = {
        name: schema
        for name, schema in described["components"]["schemas"].items()
        if name.endswith("InputRequest")
    }
    assert len(bodies) == 11
    for schema in bodies.values():
        assert schema["additionalProperties"] is False
        assert schema["properties"].get("token", {"writeOnly": True})["writeOnly"] is True
