from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from credentials.crypto.sources import create_key_file
from credentials.services import vault


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/livez", "/readyz"])
def test_a_healthy_process_says_so_to_anybody(address: str) -> None:
    response = Client().get(address)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_without_its_key_ring_the_process_lives_but_is_not_ready(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'elsewhere' / 'lost'}"
    vault.forget()
    response = Client().get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    assert Client().get("/livez").status_code == 200


@pytest.mark.django_db
def test_with_somebody_elses_key_ring_it_is_not_ready_and_the_log_says_what_to_do(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vault.purpose_key(vault.AUDIT)  # the database holds something wrapped by the right key
    tmp_path.chmod(0o700)
    create_key_file(tmp_path / "another")
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'another'}"
    vault.forget()
    try:
        response = Client().get("/readyz")
    finally:
        vault.forget()
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    assert "The key ring has no key" in caplog.text


def test_without_its_database_the_process_lives_but_is_not_ready() -> None:
    # pytest-django forbids the database here, with an error of its own kind.
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Client().get("/readyz")
    assert Client().get("/livez").status_code == 200
