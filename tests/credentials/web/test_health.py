from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from credentials.crypto.sources import create_key_file
from credentials.models import Host
from credentials.services import vault
from tests import builders

NO_KEY = {"status": "unavailable", "code": "key_unavailable"}


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
    assert (response.status_code, response.json()) == (503, NO_KEY)
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
    assert (response.status_code, response.json()) == (503, NO_KEY)
    assert "The key ring has no key" in caplog.text


@pytest.mark.django_db
def test_a_row_under_a_key_that_the_ring_lacks_makes_it_not_ready_until_the_key_is_back(
    own_key_file: Path, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    builders.host()  # the audit key is under the first key, which stays
    old = vault.primary_key_id()
    lost = builders.new_first_key(own_key_file)
    stored = builders.credential(alice, Host.objects.get())
    before = bytes(stored.access_envelope or b"")
    whole = own_key_file.read_text("ascii")
    builders.lose_all_keys_but(own_key_file, old)

    response = Client().get("/readyz")

    assert (response.status_code, response.json()) == (503, NO_KEY)
    assert f"Rows need keys that the key ring lacks: {lost}" in caplog.text
    stored.refresh_from_db()
    assert (bytes(stored.access_envelope or b""), stored.status) == (before, "valid")
    own_key_file.write_text(whole, "ascii")
    vault.forget()
    assert Client().get("/readyz").status_code == 200


@pytest.mark.django_db
def test_asking_often_asks_the_database_for_keys_every_few_seconds_only(
    own_key_file: Path, alice: User, django_assert_num_queries: Any
) -> None:
    builders.credential(alice, builders.host())
    Client().get("/readyz")
    with django_assert_num_queries(1):
        Client().get("/readyz")


def test_without_its_database_the_process_lives_but_is_not_ready() -> None:
    # pytest-django forbids the database here, with an error of its own kind.
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Client().get("/readyz")
    assert Client().get("/livez").status_code == 200
