"""Made-up requests after the description: no 5xx but an outage that is said, and answers as described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase
from hypothesis import settings as how
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from credentials.models import ImportState, Lease
from tests import builders
from tests.credentials.api import shelf
from tests.storages import use_folder

pytestmark = pytest.mark.django_db

DESCRIPTION = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The product's own application; the description comes from its file, as no caller is known yet."""
    if environ["PATH_INFO"] == "/openapi.yaml":
        start_response("200 OK", [("Content-Type", "application/yaml")])
        return [DESCRIPTION.read_bytes()]
    answer = WSGIHandler()(environ, start_response)
    try:
        return [b"".join(answer)]
    finally:
        # As every server does (PEP 3333), and the test client does not: what was uploaded ends with it.
        answer.close()


schema = schemathesis.openapi.from_wsgi("/openapi.yaml", application, config=SchemathesisConfig())


@pytest.fixture
def scene(alice: User, settings: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A key of every scope, and one of everything the addresses name."""
    use_folder(settings, tmp_path)
    credential = builders.credential(alice, builders.host())
    client, key = builders.client()
    builders.user("bob")
    lease = Lease.objects.create(
        client=client,
        credential=credential,
        purpose="import 42",
        chosen_because="only_one",
        created_at=timezone.now(),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    # As Django's own test client does it: the end of a request must not end the test's transaction.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    library = shelf.library(alice)
    shelf.snapshot(library, {"a": b"1"})
    yield {
        "key": key.reveal(),
        "credential_id": str(credential.pk),
        "lease_id": str(lease.pk),
        "user": "bob",
        "library_id": str(library.pk),
        "snapshot_id": str(shelf.snapshot(library).pk),
        "import_id": str(shelf.job(library, state=ImportState.FAILED).pk),
    }
    for signal in signals:
        signal.connect(close_old_connections)


def aim(body: Any) -> None:
    """Let made-up bodies name the one user and host there are; nothing would ever succeed otherwise."""
    if isinstance(body, dict) and isinstance(body.get("user"), str):
        body["user"] = "alice"
    if isinstance(body, dict) and isinstance(body.get("host"), str):
        body["host"] = "github"
        body.pop("repository_url", None)
        body.pop("credential", None)
        if len(str(body.get("token"))) % 2:  # most made-up times are past, and would be the only mistake
            body.pop("expires_at", None)


@schema.parametrize()
@how(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_as_described(case: Any, scene: dict[str, str]) -> None:
    for name in case.path_parameters or {}:
        case.path_parameters[name] = scene[name]
    aim(case.body)
    response = case.call(headers={"Authorization": f"Bearer {scene['key']}"})
    # The host there is answers nobody: what asks it says so, and says nothing else.
    outage = response.status_code == 503 and response.json()["code"] == "host_unreachable"
    case.validate_response(
        response,
        checks=[
            *([] if outage else [not_a_server_error]),
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            unsupported_method,
        ],
    )
