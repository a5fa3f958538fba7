"""A wrong installation is named, with a code and what to do."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from credentials import checks
from credentials.crypto.secret import Secret
from credentials.models import RingKey
from credentials.services import demo_people, vault
from project.env import env
from tests import builders


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


def found(*arguments: str) -> str:
    """What ``manage.py check`` says; an error makes it fail, a warning does not."""
    said = io.StringIO()
    try:
        call_command("check", *arguments, stdout=said, stderr=said)
    except SystemCheckError as error:
        return str(error)
    return said.getvalue()


def test_an_installation_as_it_should_be_passes() -> None:
    assert "credentials." not in found()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("CREDENTIALS_LEASE_SECONDS", 1, "E001"),
        ("CREDENTIALS_LEASE_SECONDS", "3600", "E001"),
        ("CREDENTIALS_KEY_SOURCE", "", "E001"),
        ("CREDENTIALS_TRUSTED_PROXY_COUNT", 99, "E001"),
        ("CREDENTIALS_KEY_RING", "anything", "E002"),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies", "E003"),
        ("SOCIALACCOUNT_STORE_TOKENS", True, "E004"),
    ],
)
def test_a_wrong_setting_is_an_error_with_its_code_and_without_its_value(
    settings: Any, name: str, value: object, code: str
) -> None:
    setattr(settings, name, value)
    said = found()
    assert f"credentials.{code}" in said
    assert "HINT" in said
    assert "anything" not in said


@pytest.mark.django_db
def test_a_ring_in_the_environment_is_a_warning_for_a_deployment(settings: Any) -> None:
    settings.CREDENTIALS_KEY_SOURCE = "env:CREDENTIALS_KEY_RING"
    assert "credentials.W001" not in found()
    with pytest.raises(CommandError, match=r"credentials\.W001"):
        call_command("check", "--deploy", "--fail-level", "WARNING", stdout=io.StringIO())


@pytest.mark.django_db
def test_a_deployment_with_the_demos_people_and_passwords_is_refused() -> None:
    demo_people.create()
    assert "credentials.E010" not in found()
    with pytest.raises(SystemCheckError, match=r"credentials\.E010"):
        call_command("check", "--deploy", stdout=io.StringIO(), stderr=io.StringIO())
    said = found("--deploy")
    assert all(name in said for name in ("alice", "bob", "charlie", "audrey", "olivia", "admin"))


@pytest.mark.django_db
def test_people_who_share_only_the_name_or_are_deactivated_are_no_demo_people() -> None:
    demo_people.create()
    for person in User.objects.exclude(username="bob"):
        person.set_password("a long and private one")
        person.save()
    User.objects.filter(username="bob").update(is_active=False)
    assert "credentials.E010" not in found("--deploy")


ON_THE_DATABASE = [("--database", "default"), ("--deploy",), ("--deploy", "--database", "default")]


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", ON_THE_DATABASE)
def test_rows_under_a_key_that_the_ring_lacks_are_an_error_once_the_database_is_asked(
    own_key_file: Path, alice: User, arguments: tuple[str, ...]
) -> None:
    stays = vault.primary_key_id()
    host = builders.host()
    assert "credentials.E011" not in found(*arguments)
    lost = builders.new_first_key(own_key_file)
    builders.credential(alice, host)
    builders.lose_all_keys_but(own_key_file, stays)

    assert "credentials." not in found()
    said = found(*arguments)
    assert said.count("credentials.E011") == 1
    assert f"lacks: {lost}." in said


@pytest.mark.django_db
def test_a_ring_that_does_not_load_warns_but_lets_the_database_be_migrated(
    own_key_file: Path, alice: User
) -> None:
    builders.credential(alice, builders.host())
    own_key_file.chmod(0o644)
    vault.forget()
    assert "credentials.W003" in found("--database", "default")
    call_command("migrate", verbosity=0, skip_checks=False)


@pytest.mark.django_db
def test_a_new_installation_gets_no_key_file_from_being_checked(settings: Any, tmp_path: Path) -> None:
    settings.CREDENTIALS_KEY_SOURCE = f"file:{tmp_path / 'key-ring'}"
    vault.forget()
    assert "credentials." not in found("--database", "default")
    assert not (tmp_path / "key-ring").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", ON_THE_DATABASE)
def test_a_key_that_has_wrapped_much_is_a_warning_until_another_is_first(
    own_key_file: Path, alice: User, arguments: tuple[str, ...]
) -> None:
    builders.host(client_id="c", client_secret=Secret("s"))
    RingKey.objects.update(wraps=vault.WRAP_WARNING - 1)
    assert "credentials.W002" not in found(*arguments)
    RingKey.objects.update(wraps=vault.WRAP_WARNING)

    assert "credentials." not in found()
    assert found(*arguments).count("credentials.W002") == 1
    builders.new_first_key(own_key_file)
    assert "credentials.W002" not in found(*arguments)


@pytest.mark.django_db(transaction=True)
def test_a_database_without_tables_is_not_the_checks_concern() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_ringkey RENAME TO set_aside")
        cursor.execute("ALTER TABLE credentials_purposekey RENAME TO also_set_aside")
    try:
        assert "credentials." not in found("--database", "default")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE set_aside RENAME TO credentials_ringkey")
            cursor.execute("ALTER TABLE also_set_aside RENAME TO credentials_purposekey")


def test_a_storage_that_cannot_be_made_is_an_error(settings: Any) -> None:
    assert checks.the_storage_can_be_used() == []
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "nowhere.Storage"}}
    (wrong,) = checks.the_storage_can_be_used()
    assert (wrong.id, "nowhere" in wrong.msg) == ("credentials.E012", True)


def test_s3_without_its_package_is_an_error_that_says_what_to_install(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "storages", None)
    monkeypatch.delitem(sys.modules, "project.s3", raising=False)
    monkeypatch.setenv("STORAGE_URL", "s3://cases")
    described = env.storage("STORAGE_URL", default=Path("/data"))
    settings.STORAGES = {**settings.STORAGES, "default": described}
    (wrong,) = checks.the_storage_can_be_used()
    assert (wrong.id, "pip install" in str(wrong.hint)) == ("credentials.E012", True)
