"""The borrower's request: read without DRF, yet exactly as the schema declares it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from credentials.api import lease_request
from credentials.api.inputs import LeaseInput
from credentials.api.lease_request import is_dry_run, read_request
from credentials.errors import InputInvalid

WANTED: dict[str, Any] = {"user": "alice", "purpose": "import 42", "host": "github"}
SOME_ID = "3f1c9a52-6f0e-4f6b-9a57-0c7d8a1e2b34"


def test_it_reads_the_fields_the_schema_declares_and_no_other() -> None:
    assert set(LeaseInput().fields) == lease_request._FIELDS


def test_a_request_is_read_with_the_declared_defaults() -> None:
    wanted = read_request(WANTED)

    assert (wanted.user, wanted.purpose, wanted.host) == ("alice", "import 42", "github")
    assert (wanted.repository_url, wanted.credential, wanted.reference) == ("", None, "")
    assert wanted.min_valid_seconds == LeaseInput().fields["min_valid_seconds"].default
    assert is_dry_run(WANTED) is LeaseInput().fields["dry_run"].default
    assert read_request({**WANTED, "credential": SOME_ID}).credential == UUID(SOME_ID)


NO_TEXTS: tuple[Any, ...] = (7, None, [], {})


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *((name, wrong) for name in ("user", "purpose", "reference", "host") for wrong in NO_TEXTS),
        *((name, wrong) for name in ("user", "purpose") for wrong in ("", "   ")),
        ("user", "x" * 255),
        ("purpose", "x" * 201),
        ("reference", "x" * 201),
        ("host", "x" * 51),
        ("repository_url", "x" * 2049),
        ("repository_url", ["https://github.com/acme/cases"]),
        ("credential", "not-a-uuid"),
        ("credential", 7),
        ("credential", None),
        ("credential", ["3f1c9a52"]),
        ("min_valid_seconds", "300"),
        ("min_valid_seconds", 1.5),
        ("min_valid_seconds", True),
        ("min_valid_seconds", None),
        ("purpose", "import with ghp_" + "a" * 36),
        ("reference", "glpat-" + "x" * 20),
    ],
)
def test_a_wrong_value_names_its_field_and_is_not_repeated(field: str, wrong: Any) -> None:
    with pytest.raises(InputInvalid) as error:
        read_request({**WANTED, field: wrong})

    assert error.value.field == field
    assert not wrong or str(wrong) not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("wrong", ["true", 1, 0, None, []])
def test_a_dry_run_is_asked_for_by_a_truth_value_only(wrong: Any) -> None:
    with pytest.raises(InputInvalid):
        is_dry_run({**WANTED, "dry_run": wrong})
