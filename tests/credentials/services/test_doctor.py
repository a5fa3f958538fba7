"""The doctor: well where all is well, and for each way to be ill one remark that says what mends it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import (
    AuditEvent,
    Credential,
    Host,
    PendingConnection,
    PurposeKey,
    RingKey,
    ServiceClient,
)
from credentials.services import audit_proof, doctor, hosts, vault
from credentials.services.remarks import Level, Remark
from tests import builders
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db


def examined(**options: Any) -> list[Remark]:
    return list(doctor.examine(now=timezone.now(), **{"offline": True, **options}))


def bad(remarks: list[Remark]) -> dict[str, Remark]:
    return {remark.check: remark for remark in remarks if remark.level is not Level.OK}


@pytest.fixture
def installation(own_key_file: Path, alice: User) -> Host:
    """One host with a client secret and one credential, sealed as it should be."""
    host = builders.host(client_id="c", client_secret=Secret("client-secret-canary"))
    builders.credential(alice, host)
    audit_proof.seal(now=timezone.now())
    return host


def test_a_healthy_installation_has_no_problem_and_every_part_was_looked_at(installation: Host) -> None:
    remarks = examined()

    assert bad(remarks) == {}
    assert [remark.check for remark in remarks] == [
        "settings",
        "database",
        "migrations",
        "audit guards",
        "key ring",
        "keys in use",
        "nonce budget",
        "purpose keys",
        "canary",
        "audit trail",
        "worker",
        "duties",
        "refresher",
        "queues",
        "archives",
        "clocks",
        "disk",
        "files",
        "storage",
        "git",
    ]


def test_examining_leaves_nothing_behind(installation: Host) -> None:
    def rows() -> list[Any]:
        models = (User, Host, Credential, AuditEvent, PurposeKey, RingKey, PendingConnection, ServiceClient)
        return [list(model._default_manager.order_by("pk").values()) for model in models]

    before = rows()
    examined()
    assert rows() == before
    assert audit_proof.verify().holds


@pytest.mark.django_db(transaction=True)
def test_examining_a_new_installation_makes_neither_key_nor_row(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'key-ring'}"
    vault.forget()

    found = bad(examined())

    assert {check: remark.level for check, remark in found.items()} == {"key ring": Level.WARNING}
    assert not (tmp_path / "key-ring").exists()
    assert not PurposeKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_trail_holds_when_the_doctor_came_before_the_first_event(own_key_file: Path) -> None:
    assert bad(examined()) == {}
    assert not PurposeKey.objects.exists()
    builders.host()
    vault.forget()
    assert audit_proof.verify().holds


def test_no_finding_holds_a_secret(installation: Host, own_key_file: Path) -> None:
    key = own_key_file.read_text("ascii").splitlines()[-1].partition(":")[2]
    own_key_file.write_text(own_key_file.read_text("ascii")[:-20], "ascii")
    vault.forget()
    told = repr(examined())
    assert "ghp_" not in told
    assert "client-secret-canary" not in told
    assert key[:12] not in told


def test_a_wrong_setting_is_a_problem_and_the_rest_is_still_looked_at(
    installation: Host, settings: Any
) -> None:
    hosts.set_enabled(actor=builders.SYSTEM, host=installation, enabled=True)
    settings.CREDENTIALS_SEAL_SECONDS = 0
    found = bad(examined())
    assert "E001" in found["settings"].text
    assert found["settings"].remedy
    assert "SEAL_SECONDS" in found["worker"].text


@pytest.mark.django_db(transaction=True)
def test_a_database_that_forgets_in_a_power_cut_is_a_problem(installation: Host) -> None:
    on_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=NORMAL" if on_sqlite else "SET synchronous_commit = off")
    try:
        found = bad(examined())
    finally:
        connection.close()
    assert found["database"].level is Level.PROBLEM
    assert "power cut" in found["database"].text
    assert bad(examined()) == {}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_the_only_finding(
    installation: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    name = "/nonexistent/folder/db" if connection.vendor == "sqlite" else "no_such_database"
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    remarks = examined()
    connection.close()
    assert remarks[-1].check == "database"
    assert remarks[-1].level is Level.PROBLEM
    assert "DATABASE_URL" in remarks[-1].remedy
    assert len(remarks) == 2


def test_pending_migrations_are_named_and_tables_are_not_looked_at(installation: Host) -> None:
    applied = MigrationRecorder.Migration.objects.filter(app="credentials")
    newest = applied.latest("name")
    newest.delete()
    remarks = examined()
    assert f"credentials.{newest.name} first" in bad(remarks)["migrations"].text
    assert "canary" not in {remark.check for remark in remarks}
    assert remarks[-1].check == "git"


@pytest.mark.django_db(transaction=True)
def test_a_trigger_that_is_gone_is_named(installation: Host) -> None:
    on_sqlite = connection.vendor == "sqlite"
    name = "credentials_auditevent_no_delete" if on_sqlite else "credentials_auditevent_append_only"
    with connection.cursor() as cursor:
        if on_sqlite:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [name])
            again = cursor.fetchone()[0]
            cursor.execute(f"DROP TRIGGER {name}")
        else:
            again = f"ALTER TABLE credentials_auditevent ENABLE TRIGGER {name}"
            cursor.execute(f"ALTER TABLE credentials_auditevent DISABLE TRIGGER {name}")
    try:
        found = bad(examined())
    finally:
        with connection.cursor() as cursor:
            cursor.execute(again)
    assert found["audit guards"].text.endswith(f": {name}.")
    assert bad(examined()) == {}


def test_a_lost_key_file_is_a_problem_and_the_rows_per_key_are_counted(
    installation: Host, own_key_file: Path
) -> None:
    key_id = vault.primary_key_id()
    own_key_file.unlink()
    vault.forget()

    remarks = examined()

    assert "Restore the file from your backup" in bad(remarks)["key ring"].text
    (counted,) = [remark for remark in remarks if remark.check == "keys in use"]
    assert counted.text == f"Key {key_id} is needed by 1 credential, 1 host, 2 purpose keys."
    assert "canary" not in {remark.check for remark in remarks}


def test_rows_under_a_key_that_the_ring_lacks_are_counted_and_the_key_is_named(
    installation: Host, own_key_file: Path, alice: User
) -> None:
    stays = vault.primary_key_id()
    lost = builders.new_first_key(own_key_file)
    builders.credential(alice, installation, token="ghp_" + "b" * 36)
    builders.lose_all_keys_but(own_key_file, stays)

    found = bad(examined())["keys in use"]

    assert found.level is Level.PROBLEM
    assert found.text == f"The key ring lacks key {lost}, which 1 credential need."
    assert "Restore the entry" in found.remedy


def test_a_rotation_that_was_not_finished_is_a_warning(installation: Host, own_key_file: Path) -> None:
    builders.new_first_key(own_key_file)
    found = bad(examined())
    assert {check: remark.level for check, remark in found.items()} == {"keys in use": Level.WARNING}
    assert "rotate_keys" in found["keys in use"].remedy


def test_an_altered_row_of_ring_keys_is_a_problem(installation: Host) -> None:
    RingKey.objects.update(check_value=bytes(16))
    assert "was altered" in bad(examined())["key ring"].text


@pytest.mark.parametrize(
    ("wraps", "level"),
    [(2**30 - 2, Level.OK), (2**30, Level.WARNING), (2**31 - 2, Level.WARNING), (2**31, Level.PROBLEM)],
)
def test_a_worn_key_is_a_warning_and_at_its_end_a_problem(
    installation: Host, wraps: int, level: Level
) -> None:
    RingKey.objects.update(wraps=wraps)
    (found,) = [remark for remark in examined() if remark.check == "nonce budget"]
    assert found.level is level
    assert (found.remedy != "") == (level is not Level.OK)


def test_a_purpose_key_that_does_not_open_is_named(installation: Host) -> None:
    PurposeKey.objects.filter(purpose=vault.FINGERPRINT).update(envelope=bytes(200))
    assert "for fingerprint does not open" in bad(examined())["purpose keys"].text


@pytest.mark.django_db(transaction=True)
def test_a_trail_that_cannot_be_written_is_a_problem(installation: Host) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_audithead RENAME TO set_aside")
    try:
        found = bad(examined())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_audithead")
    assert found["audit trail"].level is Level.PROBLEM


def test_events_that_nobody_seals_mean_that_no_worker_runs(installation: Host) -> None:
    later = timezone.now() + timedelta(hours=1)
    assert bad(list(doctor.examine(now=later, offline=True))) == {}, "everything is sealed"
    hosts.set_enabled(actor=builders.SYSTEM, host=installation, enabled=True)
    assert bad(examined()) == {}, "a moment is no delay"

    found = bad(list(doctor.examine(now=later, offline=True)))

    assert found["worker"].level is Level.PROBLEM
    assert "manage.py worker" in found["worker"].remedy


def test_hosts_are_asked_unless_told_otherwise(installation: Host, sandbox: RunningSandbox) -> None:
    builders.sandbox_host(sandbox, "gitea")
    found = {remark.check: remark for remark in examined(offline=False)}
    assert found["host gitea"].level is Level.OK
    assert found["host github"].level is Level.PROBLEM
    assert "connection failed" in found["host github"].text
    assert not any(remark.check.startswith("host") for remark in examined())


def test_a_canary_that_comes_back_as_something_else_is_a_problem(
    installation: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "open_credential", lambda *_args, **_options: Secret("something else"))
    assert bad(examined())["canary"].level is Level.PROBLEM


def test_a_canary_that_does_not_open_is_a_problem(
    installation: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if something between us and the table swapped two columns' bytes.
    seal = vault.seal_secret
    monkeypatch.setattr(vault, "seal_secret", lambda secret, binding: seal(secret, binding)[::-1])
    assert "altered" in bad(examined())["canary"].text
