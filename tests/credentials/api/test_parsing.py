"""Bodies: JSON only, small, and nothing a database or a header could not carry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.api.parsing import BODY_LIMIT
from credentials.crypto.secret import Secret
from tests import builders

pytestmark = pytest.mark.django_db

# One goes past DRF's rounds, the other through them; they must not differ.
ADDRESSES = ("/api/v1/leases/", "/api/v1/credentials/")


@pytest.fixture
def key(alice: User) -> Secret:
    builders.host()
    return builders.client()[1]


def post(key: Secret, address: str, body: bytes, content_type: str = "application/json") -> Any:
    headers = {"Authorization": f"Bearer {key.reveal()}"}
    return Client(raise_request_exception=False).generic(
        "POST", address, body, content_type=content_type, headers=headers
    )


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 30_000,
        b'{"user": NaN}',
        b'{"user": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"user": "a\\u0000b"}',
        b'{"user": [[["\\u0000"]]]}',
        b'{"user": ' + b"9" * 5000 + b"}",
    ],
    ids=[
        "cut off",
        "not utf-8",
        "deep",
        "nan",
        "surrogate",
        "surrogate name",
        "nul",
        "deep nul",
        "huge number",
    ],
)
def test_what_is_no_json_a_database_could_take_is_refused(key: Secret, address: str, body: bytes) -> None:
    response = post(key, address, body)

    assert response.status_code == 400
    assert response.json()["code"] == "malformed"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"7", b""])
def test_a_body_that_is_no_object_is_refused(key: Secret, address: str, body: bytes) -> None:
    assert post(key, address, body).status_code == 400


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_large_body_is_refused_and_the_largest_is_read(key: Secret, address: str) -> None:
    def sized(size: int) -> bytes:
        body = json.dumps({"user": ""}).encode()
        return body + b" " * (size - len(body))

    assert post(key, address, sized(BODY_LIMIT)).json()["code"] == "input_invalid"
    too_large = post(key, address, sized(BODY_LIMIT + 1))
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
)
def test_anything_but_json_is_refused(key: Secret, address: str, content_type: str) -> None:
    response = post(key, address, b"user=alice", content_type)

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_charset_beside_the_type_changes_nothing(key: Secret, address: str) -> None:
    response = post(key, address, b"{}", "application/json; charset=utf-8")

    assert response.json()["code"] == "input_invalid"
