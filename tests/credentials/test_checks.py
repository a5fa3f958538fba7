"""A wrong installation is named, with a code and what to do."""

from __future__ import annotations

import pytest

from credentials import checks


def test_a_misspelled_name_in_the_environment_is_an_error_that_names_the_nearest() -> None:
    (found,) = checks.environment_has_no_unknown_names({"CREDENTIALS_LEASE_SECOND": "60", "PATH": "/bin"})
    assert found.id == "credentials.E005"
    assert "CREDENTIALS_LEASE_SECOND is set" in found.msg
    assert found.hint == "Did you mean CREDENTIALS_LEASE_SECONDS? docs/configure.md lists every name."


def test_a_name_like_no_other_is_an_error_without_a_guess() -> None:
    (found,) = checks.environment_has_no_unknown_names({"CREDENTIALS_XYZZY": ""})
    assert found.hint == "docs/configure.md lists every name."


@pytest.mark.parametrize(
    "name",
    [
        "CREDENTIALS_KEY_SOURCE",
        "CREDENTIALS_KEY_RING",
        "CREDENTIALS_KEY_RING_FILE",
        "CREDENTIALS_PRODUCT_NAME_FILE",
        "CREDENTIALS_DIRECTORY",  # systemd's
        "DATABASE_URL",
    ],
)
def test_names_that_somebody_reads_are_fine(name: str) -> None:
    assert checks.environment_has_no_unknown_names({name: "x"}) == []


def test_the_variable_that_the_key_source_names_is_fine(settings: object) -> None:
    settings.CREDENTIALS_KEY_SOURCE = "env:CREDENTIALS_RING_OF_MINE"  # type: ignore[attr-defined]  # pytest-django's
    assert checks.environment_has_no_unknown_names({"CREDENTIALS_RING_OF_MINE": "x"}) == []
