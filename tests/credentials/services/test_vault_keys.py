"""The nonce budget of the first key, and the purpose keys that outlive every key of the ring."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from credentials.crypto.secret import Secret
from credentials.errors import ConfigurationError, EnvelopeInvalid
from credentials.models import Credential, PurposeKey, RingKey
from credentials.services import audit_proof, vault
from tests import builders

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "v" * 36


# --- The nonce budget ---------------------------------------------------------------------------------


def test_every_seal_is_counted_on_the_first_key(alice: User) -> None:
    before = vault.wraps_booked()
    builders.credential(alice, builders.host(client_secret=Secret("s"), client_id="c"))
    # Two purpose keys, the client secret and the token.
    assert vault.wraps_booked() == before + 4
    assert bytes(RingKey.objects.get().check_value) == vault.ring().primary.kcv


def test_a_seal_that_is_rolled_back_is_not_counted(alice: User) -> None:
    builders.credential(alice, builders.host())
    before = vault.wraps_booked()
    with transaction.atomic():
        vault.seal_secret(Secret("x"), Credential.objects.get().binding("access"))
        transaction.set_rollback(True)
    assert vault.wraps_booked() == before


def test_at_the_end_of_its_budget_a_key_seals_no_more_and_still_opens(
    own_key_file: Path, alice: User
) -> None:
    stored = builders.credential(alice, builders.host(), token=TOKEN)
    RingKey.objects.update(wraps=vault.WRAP_LIMIT - 1)
    vault.seal_secret(Secret("the last"), stored.binding("access"))

    with pytest.raises(ConfigurationError, match="generate_key --prepend"):
        vault.seal_secret(Secret("one more"), stored.binding("access"))

    assert vault.wraps_booked() == vault.WRAP_LIMIT
    assert vault.open_credential(stored, record=lambda: None).reveal() == TOKEN
    builders.new_first_key(own_key_file)
    vault.seal_secret(Secret("under another"), stored.binding("access"))


@pytest.mark.django_db(transaction=True)
def test_many_that_use_a_new_key_first_at_once_all_succeed_and_are_counted(
    own_key_file: Path, alice: User
) -> None:
    stored = builders.credential(alice, builders.host())
    first = builders.new_first_key(own_key_file)
    failures: list[BaseException] = []
    together = threading.Barrier(6)

    def seal() -> None:
        try:
            with transaction.atomic():
                together.wait(timeout=5) if connection.vendor == "postgresql" else None
                vault.seal_secret(Secret("x"), stored.binding("access"))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=seal) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert RingKey.objects.get(key_id=first).wraps == 6


# --- Purpose keys -------------------------------------------------------------------------------------


def test_a_purpose_key_is_made_once_and_read_once() -> None:
    key = vault.purpose_key("test")
    assert len(key) == 32
    assert vault.purpose_key("test") == key
    vault.forget()
    assert vault.purpose_key("test") == key
    assert vault.purpose_key("another") != key
    assert PurposeKey.objects.filter(purpose="test").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_purpose_key_that_is_rolled_back_is_not_held() -> None:
    with transaction.atomic():
        gone = vault.purpose_key("test")
        assert vault.purpose_key("test") == gone, "within its transaction it is the one"
        transaction.set_rollback(True)

    kept = vault.purpose_key("test")

    assert kept != gone
    vault.forget()
    assert vault.purpose_key("test") == kept


@pytest.mark.django_db(transaction=True)
def test_a_trail_whose_very_first_event_was_rolled_back_holds() -> None:
    with transaction.atomic():
        builders.host()
        transaction.set_rollback(True)
    builders.host()
    vault.forget()
    assert audit_proof.verify().holds


def test_an_altered_purpose_key_does_not_open(alice: User) -> None:
    vault.purpose_key("test")
    row = PurposeKey.objects.get(purpose="test")
    PurposeKey.objects.filter(pk=row.pk).update(purpose="another")
    vault.forget()
    with pytest.raises(EnvelopeInvalid):
        vault.purpose_key("another")
