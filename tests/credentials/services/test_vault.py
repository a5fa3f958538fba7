"""The ring of a process, in every state a key source can be in, and the door to what is stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.crypto.keyring import generate_entry
from credentials.crypto.secret import Secret
from credentials.crypto.sources import create_key_file
from credentials.errors import (
    AuditUnavailable,
    ConfigurationError,
    CryptoError,
    EnvelopeInvalid,
    KeyRingInvalid,
    KeySourceUnsafe,
    KeyUnavailable,
)
from credentials.models import AuditEvent, Credential, Host
from credentials.models.credential import EnvelopeName
from credentials.services import audit, clients, disconnect, lend, vault, verify
from credentials.services.lend import LeaseRequest
from tests import builders

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "v" * 36


@pytest.fixture
def embedded(settings: Any, tmp_path: Path) -> Path:
    """A new installation: the key file lies in the data folder, once there is one."""
    path = tmp_path / "key-ring"
    settings.CREDENTIALS_KEY_SOURCE = f"file:{path}"
    vault.forget()
    return path


def opened(credential: Credential) -> str:
    fresh = Credential.objects.select_related("host").get(pk=credential.pk)
    return vault.open_credential(fresh, record=lambda: None).reveal()


# --- The states of a key source -----------------------------------------------------------------------


def test_the_first_use_of_a_new_installation_makes_its_key_file(embedded: Path) -> None:
    assert vault.awaits_first_run()

    made = vault.ring()

    assert embedded.stat().st_mode & 0o777 == 0o600
    assert not vault.awaits_first_run()
    vault.forget()
    assert vault.ring().ids == made.ids


def test_a_lost_key_file_is_never_replaced_by_a_new_one(embedded: Path, alice: User) -> None:
    stored = builders.credential(alice, builders.host(), token=TOKEN)
    kept = embedded.read_bytes()
    embedded.unlink()
    vault.forget()

    with pytest.raises(KeyUnavailable, match="Restore the file from your backup; nothing was changed"):
        vault.ring()

    assert not embedded.exists()
    assert not vault.is_unlocked()
    assert not vault.awaits_first_run()
    embedded.write_bytes(kept)
    embedded.chmod(0o600)
    assert vault.is_unlocked()
    assert opened(stored) == TOKEN


def test_a_key_file_elsewhere_is_never_made_by_itself(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'elsewhere' / 'key-ring'}"
    vault.forget()
    assert not vault.awaits_first_run()
    with pytest.raises(KeyUnavailable, match="generate_key --file"):
        vault.ring()
    assert not (tmp_path / "elsewhere").exists()


def test_of_two_processes_that_start_first_at_once_both_have_the_same_key(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other process is faster between our look and our making the file.
    def too_late(path: Path) -> Any:
        create_key_file(path)
        return create_key_file(path)

    monkeypatch.setattr(vault, "create_key_file", too_late)
    ring = vault.ring()
    vault.forget()
    assert vault.ring().ids == ring.ids


def damaged_last_letter(path: Path) -> None:
    text = path.read_text("ascii").rstrip()
    path.write_text(text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1], "ascii")


def link_instead(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("the-file-itself")))


def directory_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


BAD_STATES: list[tuple[Callable[[Path], object], type[CryptoError]]] = [
    (lambda path: path.chmod(0o640), KeySourceUnsafe),
    (lambda path: path.chmod(0o604), KeySourceUnsafe),
    (lambda path: path.parent.chmod(0o777), KeySourceUnsafe),
    (lambda path: path.with_name("second").hardlink_to(path), KeySourceUnsafe),
    (link_instead, KeySourceUnsafe),
    (lambda path: path.write_bytes(b""), KeyRingInvalid),
    (lambda path: path.write_bytes(path.read_bytes()[:-12]), KeyRingInvalid),
    (damaged_last_letter, KeyRingInvalid),
    (lambda path: path.write_bytes(path.read_bytes() * 2), KeyRingInvalid),
    (lambda path: path.write_text("f" * 16 + path.read_text().splitlines()[-1][16:]), KeyRingInvalid),
    (lambda path: path.write_bytes(b"\xff" * 100), KeyRingInvalid),
    (lambda path: path.unlink(), KeyUnavailable),
    (directory_instead, KeySourceUnsafe),
]


@pytest.mark.parametrize(("spoil", "expected"), BAD_STATES)
def test_a_bad_key_file_stops_every_opening_and_touches_no_row(
    own_key_file: Path, alice: User, spoil: Callable[[Path], object], expected: type[CryptoError]
) -> None:
    stored = builders.credential(alice, builders.host(), token=TOKEN)
    before = Credential.objects.values().get()
    spoil(own_key_file)
    vault.forget()

    with pytest.raises(expected) as refusal:
        opened(stored)

    assert "Restore" in str(refusal.value) or any(
        word in str(refusal.value)
        for word in ("chmod", "generate_key", "Remove", "Name ", "Copy it", "not UTF-8")
    ), "the message says what to do"
    assert Credential.objects.values().get() == before
    with pytest.raises(CryptoError):
        vault.seal_secret(Secret("x"), stored.binding("access"))


def test_a_row_under_a_key_that_the_ring_lacks_is_not_lent_and_not_marked(
    own_key_file: Path, alice: User
) -> None:
    host = builders.host()
    _, key = builders.client()
    stays = vault.primary_key_id()
    lost = builders.new_first_key(own_key_file)
    stored = builders.credential(alice, host, token=TOKEN)
    whole = own_key_file.read_text("ascii")
    builders.lose_all_keys_but(own_key_file, stays)
    before = Credential.objects.values().get()
    request = LeaseRequest(user="alice", purpose="import", repository_url="http://127.0.0.1:9/acme/cases")

    with pytest.raises(KeyUnavailable, match=f"no key {lost}.*untouched"):
        lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1", request_id="r")
    with pytest.raises(KeyUnavailable):
        verify.verify(actor=builders.SYSTEM, credential=stored, purpose="test")

    assert Credential.objects.values().get() == before
    own_key_file.write_text(whole, "ascii")
    vault.forget()
    assert opened(stored) == TOKEN


def test_what_cannot_be_opened_can_still_be_disconnected(own_key_file: Path, alice: User) -> None:
    stays = vault.primary_key_id()
    host = builders.host()
    builders.new_first_key(own_key_file)
    stored = builders.credential(alice, host)
    builders.lose_all_keys_but(own_key_file, stays)

    disconnect.disconnect(actor=builders.SYSTEM, credential=stored)

    stored.refresh_from_db()
    assert (stored.status, stored.access_envelope, stored.key_id) == ("disconnected", None, "")


def test_another_ring_altogether_opens_nothing_and_seals_no_event(
    own_key_file: Path, alice: User, settings: Any, tmp_path: Path
) -> None:
    stored = builders.credential(alice, builders.host())
    events = AuditEvent.objects.count()
    create_key_file(tmp_path / "another")
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'another'}"
    vault.forget()

    with pytest.raises(KeyUnavailable):
        opened(stored)
    with pytest.raises(KeyUnavailable):
        audit.record("host.changed", actor=builders.SYSTEM, subject=audit.Subject(kind="x", id="1", name="x"))

    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("text", ["", "ring.txt", "file:relative", "vault:x"])
def test_a_key_source_that_names_nothing_is_a_wrong_setting(settings: Any, text: str) -> None:
    settings.CREDENTIALS_KEY_SOURCE = text
    vault.forget()
    with pytest.raises(ConfigurationError):
        vault.ring()
    assert not vault.is_unlocked()


def test_a_ring_from_the_environment_is_taken_out_of_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = generate_entry()
    monkeypatch.setenv("RING_OF_THIS_TEST", entry)
    settings.CREDENTIALS_KEY_SOURCE = "env:RING_OF_THIS_TEST"
    vault.forget()

    assert vault.primary_key_id() == entry.partition(":")[0]
    assert "RING_OF_THIS_TEST" not in os.environ


# --- The door -----------------------------------------------------------------------------------------


def test_nothing_is_opened_before_its_event_is_recorded(alice: User) -> None:
    stored = builders.credential(alice, builders.host())

    def refuse() -> None:
        raise AuditUnavailable("no")

    with pytest.raises(AuditUnavailable):
        vault.open_credential(stored, record=refuse)


def test_a_disconnected_credential_has_nothing_to_open(alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    stored.access_envelope = None
    fields: tuple[EnvelopeName, ...] = ("access", "refresh")
    for field in fields:
        with pytest.raises(CryptoError, match="holds no secret"):
            vault.open_credential(stored, field=field, record=lambda: None)


@pytest.mark.parametrize(
    "move",
    [
        {"owner": "bob"},
        {"host": "gitlab"},
        {"generation": 2},
        {"copied": True},
    ],
)
def test_an_envelope_opens_in_its_own_row_for_its_own_owner_host_and_generation_only(
    alice: User, bob: User, move: dict[str, Any]
) -> None:
    stored = builders.credential(alice, builders.host())
    other = builders.credential(alice, builders.host("gitlab"), token=TOKEN)
    if "owner" in move:
        Credential.objects.filter(pk=stored.pk).update(owner=bob)
    elif "host" in move:
        Credential.objects.filter(pk=stored.pk).update(host=other.host)
    elif "generation" in move:
        Credential.objects.filter(pk=stored.pk).update(generation=2)
    else:
        Credential.objects.filter(pk=stored.pk).update(access_envelope=other.access_envelope)

    with pytest.raises(EnvelopeInvalid):
        opened(stored)


def test_a_host_that_moved_does_not_get_the_client_secret_of_its_old_address() -> None:
    host = builders.host(client_secret=Secret("s"), client_id="c")
    assert vault.open_client_secret(host, record=lambda: None).reveal() == "s"
    Host.objects.update(api_url="http://127.0.0.1:9/evil")
    with pytest.raises(EnvelopeInvalid):
        vault.open_client_secret(Host.objects.get(), record=lambda: None)


def test_a_host_without_a_client_secret_says_how_to_set_one() -> None:
    with pytest.raises(ConfigurationError, match="add_host"):
        vault.open_client_secret(builders.host(), record=lambda: None)


def test_the_digest_of_a_row_changes_with_either_envelope(alice: User) -> None:
    stored = builders.credential(alice, builders.host())
    seen = {vault.envelope_mac(stored)}
    stored.refresh_envelope = stored.access_envelope
    seen.add(vault.envelope_mac(stored))
    stored.access_envelope = vault.seal_secret(Secret("x"), stored.binding("access"))
    seen.add(vault.envelope_mac(stored))
    assert len(seen) == 3
