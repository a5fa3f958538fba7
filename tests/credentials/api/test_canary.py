"""A token pasted where it does not belong: no answer repeats it, and no log keeps it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

from credentials.models import AuditEvent, Credential, IdempotencyRecord, Import, Lease, Library
from tests import builders
from tests.credentials.api import shelf
from tests.credentials.api.conftest import Call

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("waiting")]

CANARY = "ghp_" + "C4n4ry" * 6
# As some hosts write theirs: nothing tells it from any other word, so only its place can.
OPAQUE = "c4na4y0f" * 5
NUMBER = 918_273_645_546_372_819
SHAPES: tuple[Any, ...] = (CANARY, CANARY * 400, [CANARY], {CANARY: CANARY}, {"a": [CANARY]}, [[CANARY]])
SCHEMA = yaml.safe_load((Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml").read_text("utf-8"))

# A request of each kind that would do, so that only the spoiled field is wrong.
GOOD: dict[str, dict[str, Any]] = {
    "credentials_create": {"user": "alice", "host": "github", "token": "ghp_x"},
    "credentials_rename": {"label": "work"},
    "credentials_replace": {"token": "ghp_x"},
    "diagnoses_create": {"user": "alice", "repository_url": "http://127.0.0.1:9/acme/cases"},
    "leases_create": {"user": "alice", "host": "github", "purpose": "import 42"},
    "leases_report": {"outcome": "accepted"},
    "users_offboard": {"reason": "left"},
    "imports_create": {"user": "alice", "library": "cases", "repository_url": shelf.REPOSITORY},
    "libraries_rename": {"name": "cases"},
}

# Where people write what they like, and read it again.
WORDS = {
    "library",
    "name",
    "ref",
    "subdirectory",
    "label",
    "username",
    "purpose",
    "reference",
    "detail",
    "reason",
}


def fields() -> Iterator[tuple[str, str, str, str]]:
    """Operation, method, path and field, for every field of every body the description tells of."""
    for path, operations in SCHEMA["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                properties = SCHEMA["components"]["schemas"][reference.rsplit("/", 1)[1]]["properties"]
                for field in (*properties, CANARY):
                    yield operation["operationId"], method.upper(), path, field


def written(written_log: StringIO) -> str:
    """Everything the process has logged, the access line among it."""
    text = written_log.getvalue()
    assert '"event": "request"' in text
    return text


def kept() -> str:
    """Everything people read of what the request left in the database."""
    rows: list[Any] = [
        *AuditEvent.objects.values(),
        *Lease.objects.values(),
        *IdempotencyRecord.objects.values(),
        *Import.objects.values(),
        *Library.objects.values(),
        *Credential.objects.values("label", "email", "username", "account_name", "status_detail"),
    ]
    return "\n".join(map(str, rows))


@pytest.mark.parametrize(
    ("operation", "method", "path", "field"), [*fields()], ids=lambda value: str(value)[:30]
)
def test_no_field_of_any_body_is_repeated_logged_or_kept(
    alice: User,
    call: Call,
    written_log: StringIO,
    operation: str,
    method: str,
    path: str,
    field: str,
) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    lease = call(key, "POST", "/leases/", GOOD["leases_create"]).json()["id"]
    address = path.removeprefix("/api/v1").format(
        credential_id=credential.pk, lease_id=lease, user="alice", library_id=shelf.library(alice).pk
    )

    for shape in SHAPES:
        response = call(key, method, address, {**GOOD[operation], field: shape})
        assert response.status_code < 500, (shape, response.content)
        assert "C4n4ry" not in response.content.decode()
        assert "C4n4ry" not in str(response.headers)

    assert "C4n4ry" not in written(written_log)
    assert "C4n4ry" not in kept()


def spoiled(operation: str, field: str) -> list[bytes]:
    """Bodies with the opaque token, or a number, where it has no place: as this field, or as the whole."""
    good = GOOD[operation]
    if field != CANARY:
        shapes: list[Any] = [[OPAQUE], {OPAQUE: OPAQUE}, [[OPAQUE, NUMBER]], {"a": [NUMBER]}]
        if field not in WORDS:
            shapes += [OPAQUE, OPAQUE * 500, NUMBER, -NUMBER, NUMBER / 7]
        return [json.dumps({**good, field: shape}).encode() for shape in shapes]
    whole = json.dumps(good).encode()
    twice = f', "user": "a", "user": "{OPAQUE}"}}'.encode()
    return [
        *(json.dumps({**good, OPAQUE: value}).encode() for value in (OPAQUE, NUMBER)),
        *(json.dumps(value).encode() for value in (OPAQUE, NUMBER, [good, OPAQUE])),
        *(raw + OPAQUE.encode() for raw in (b"", b"\xff", b"token=", b'{"token": "', b'{"token": NaN, ')),
        whole[:-1] + twice,
    ]


@pytest.mark.parametrize("by", ["key", "session"])
@pytest.mark.parametrize(
    ("operation", "method", "path", "field"), [*fields()], ids=lambda value: str(value)[:30]
)
def test_what_is_of_a_wrong_type_is_not_repeated_even_where_nobody_would_know_it_for_a_token(
    alice: User,
    call: Call,
    written_log: StringIO,
    by: str,
    operation: str,
    method: str,
    path: str,
    field: str,
) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    lease = call(key, "POST", "/leases/", GOOD["leases_create"]).json()["id"]
    library = shelf.library(alice)
    address = path.format(credential_id=credential.pk, lease_id=lease, user="alice", library_id=library.pk)
    browser = Client(raise_request_exception=False)
    browser.force_login(alice)
    headers = {"Authorization": f"Bearer {key.reveal()}"} if by == "key" else {}
    for body in spoiled(operation, field):
        answer = browser.generic(method, address, body, content_type="application/json", headers=headers)
        assert answer.status_code < 500, (body, answer.content)
        text = f"{answer.content.decode()} {answer.headers}"
        assert OPAQUE not in text, body
        assert str(NUMBER) not in text, body

    for place in (written(written_log), kept()):
        assert OPAQUE not in place
        assert str(NUMBER) not in place


def test_no_address_query_or_header_is_repeated_or_logged(
    alice: User, call: Call, written_log: StringIO
) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()

    snapshot = shelf.snapshot(shelf.library(alice))

    for response in (
        *(
            call(key, "GET", f"/credentials/?{name}={CANARY}")
            for name in ("user", "host", "provider", "status", "cursor", CANARY)
        ),
        *(
            call(key, "GET", f"/credentials/{credential.pk}/{listing}/?{name}={CANARY}")
            for listing, name in (
                ("repositories", "q"),
                ("repositories", "cursor"),
                ("repositories", CANARY),
                ("organizations", "all"),
                ("organizations", CANARY),
            )
        ),
        *(
            call(key, "GET", f"{address}?{name}={CANARY}")
            for address, name in (
                *(("/imports/", name) for name in ("user", "library", "state", "cursor", CANARY)),
                *(("/libraries/", name) for name in ("user", "cursor")),
                (f"/libraries/{snapshot.library_id}/difference/", "from"),
                (f"/libraries/{snapshot.library_id}/difference/", "to"),
                *((f"/snapshots/{snapshot.pk}/files/", name) for name in ("prefix", "limit", "cursor")),
            )
        ),
        call(key, "GET", f"/snapshots/{snapshot.pk}/", **{"If-None-Match": CANARY}),
        call(key, "GET", f"/snapshots/{CANARY}/archive/"),
        call(key, "POST", "/imports/", CANARY.encode(), **{"Content-Type": f"multipart/form-data; {CANARY}"}),
        call(key, "GET", f"/credentials/{CANARY}/"),
        call(key, "GET", f"/{CANARY}/"),
        call(None, "GET", "/hosts/", Authorization=f"Bearer {CANARY}"),
        call(None, "GET", "/hosts/", Authorization=f"Basic {CANARY}"),
        call(None, "POST", "/leases/", GOOD["leases_create"], Authorization=f"Bearer {CANARY}"),
        call(key, "POST", "/leases/", GOOD["leases_create"], **{"Idempotency-Key": f"{CANARY} {CANARY}"}),
        call(key, "POST", "/leases/", GOOD["leases_create"], **{"Content-Type": CANARY}),
        call(key, "POST", "/leases/", CANARY.encode()),
        call(key, "POST", "/credentials/", json.dumps(CANARY).encode()),
        Client().generic(CANARY, "/api/v1/hosts/"),
    ):
        assert response.status_code < 500 or response.json()["code"] == "host_unreachable"
        assert "C4n4ry" not in response.content.decode()
        assert "C4n4ry" not in str(response.headers)

    assert "C4n4ry" not in written(written_log)
    assert "C4n4ry" not in kept()


def test_the_sweep_finds_a_planted_canary(alice: User, call: Call, written_log: StringIO) -> None:
    builders.credential(alice, builders.host(), label=CANARY)
    _, key = builders.client()

    response = call(key, "GET", "/credentials/")
    logging.getLogger("django.request").warning("C4n4ry")

    assert "C4n4ry" in response.content.decode()
    assert "C4n4ry" in kept()
    assert "C4n4ry" in written(written_log)
