"""The environment is read strictly: what is wrong is named, and what stands there is never repeated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from project.env import Environment, key_source

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(**names: str) -> Environment:
    env = Environment()
    env.ENVIRON = FileAwareMapping(env=dict(names))
    return env


@pytest.mark.parametrize(
    ("text", "meant"), [("true", True), ("Yes", True), ("1", True), ("off", False), ("0", False), ("", False)]
)
def test_a_boolean_says_what_it_means(text: str, meant: bool) -> None:
    assert environment(SECURE=text).bool("SECURE", default=not meant) is meant


def test_a_misspelled_boolean_is_refused_instead_of_taken_for_false() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^SECURE must be true or false\.$"):
        environment(SECURE="ture").bool("SECURE", default=True)


def test_a_number_that_is_none_is_refused_by_name_and_without_its_value() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"^CREDENTIALS_LEASE_SECONDS must be a whole number"
    ) as said:
        environment(CREDENTIALS_LEASE_SECONDS="1h").int("CREDENTIALS_LEASE_SECONDS", default=None)
    assert "1h" not in str(said.value)


def test_what_is_not_set_keeps_its_default() -> None:
    env = environment()
    assert env.int("A", default=None) is None
    assert env.bool("B", default=True) is True
    assert env.list("C", default=["x"]) == ["x"]
    assert env.cache("D", default="locmemcache://forgekey")["LOCATION"] == "forgekey"


def test_a_list_may_have_spaces_behind_its_commas() -> None:
    assert environment(ALLOWED_HOSTS="a.example, b.example,").list("ALLOWED_HOSTS") == [
        "a.example",
        "b.example",
    ]


def test_a_value_may_come_from_a_file_and_its_last_line_feed_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "database-url"
    path.write_text("postgres://u:p@db.internal/forgekey\n")
    assert environment(DATABASE_URL_FILE=str(path)).db("DATABASE_URL")["NAME"] == "forgekey"


def test_a_file_that_cannot_be_read_is_told_by_the_name_that_leads_there(tmp_path: Path) -> None:
    env = environment(SECRET_KEY_FILE=str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY_FILE must name a text file"):
        env.str("SECRET_KEY", default="")


def test_a_value_that_begins_with_a_dollar_sign_is_a_value() -> None:
    env = environment(SECRET_KEY="$HOME", HOME="/root")
    assert env.str("SECRET_KEY", default="") == "$HOME"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hidden@db/forgekey",  # another database
        "postgres://u:hidden/word@db/forgekey",  # a slash that should be %2F
        "forgekey",
        "sqlite://forgekey.sqlite3",  # two slashes short
    ],
)
def test_a_wrong_database_address_is_refused_without_a_part_of_the_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL must read") as said:
        environment(DATABASE_URL=url).db("DATABASE_URL")
    assert "hidden" not in str(said.value)
    assert said.value.__context__ is None


@pytest.mark.parametrize(("name", "kind"), [("CACHE_URL", "cache"), ("EMAIL_URL", "email")])
def test_wrong_addresses_of_cache_and_mail_are_refused_by_name(name: str, kind: str) -> None:
    reader: Any = getattr(environment(**{name: "nonsense://u:hidden@h"}), kind)
    with pytest.raises(ImproperlyConfigured, match=f"^{name} must read") as said:
        reader(name)
    assert "hidden" not in str(said.value)


def test_the_key_ring_is_looked_for_where_its_name_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CREDENTIALS_KEY_RING", "CREDENTIALS_KEY_RING_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert key_source(tmp_path) == f"file:{tmp_path}/key-ring"
    monkeypatch.setenv("CREDENTIALS_KEY_RING", "id:key")
    assert key_source(tmp_path) == "env:CREDENTIALS_KEY_RING"
    monkeypatch.setenv("CREDENTIALS_KEY_RING_FILE", "/etc/forgekey/key-ring")
    assert key_source(tmp_path) == "file:/etc/forgekey/key-ring"


@pytest.mark.parametrize("module", ["project.wsgi", "project.asgi"])
def test_a_server_does_not_start_with_a_wrong_setting(module: str, tmp_path: Path) -> None:
    environ = {**os.environ, "DATA_DIR": str(tmp_path), "CREDENTIALS_LEASE_SECOND": "60"}
    environ |= {"DJANGO_SETTINGS_MODULE": "project.settings"}
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "credentials.E005" in done.stderr
    assert "Did you mean CREDENTIALS_LEASE_SECONDS?" in done.stderr


@pytest.mark.parametrize(
    "address",
    [
        "redis://:p%40ss@broker:6379/2",
        "rediss://broker/0?ssl_cert_reqs=required",
        "amqp://u:p@broker:5672/forgekey",
        "amqps://broker",
    ],
)
def test_a_task_queue_is_celerys_broker_or_the_database(address: str) -> None:
    assert environment(Q=f"celery+{address}").task_queue("Q") == address
    assert environment().task_queue("Q") == environment(Q="").task_queue("Q") == ""


@pytest.mark.parametrize(
    "address",
    [
        "redis://u:hidden@broker/2",  # which engine?
        "celery+sqs://u:hidden@broker",
        "celery+redis://u:hidden/word@broker",
        "celery+redis://",
        "celery+redis://u:hidden@broker:port/2",
        "rq+redis://u:hidden@broker/2",
    ],
)
def test_a_wrong_task_queue_is_refused_by_name_and_without_a_part_of_the_password(address: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^Q must read celery\+redis://") as said:
        environment(Q=address).task_queue("Q")
    assert "hidden" not in str(said.value)
    assert said.value.__context__ is None


def test_the_storage_is_a_folder_or_a_bucket() -> None:
    plain = environment().storage("STORAGE_URL", default=Path("/data/storage"))
    shared = environment(STORAGE_URL="file:///srv/shared").storage("STORAGE_URL", default=Path("/data"))
    assert [one["OPTIONS"]["location"] for one in (plain, shared)] == ["/data/storage", "/srv/shared"]
    assert plain["OPTIONS"]["file_permissions_mode"] == 0o600
    amazon = environment(STORAGE_URL="s3://cases/a/b/?region=eu-central-1").storage(
        "STORAGE_URL", default=Path("/")
    )
    assert amazon["OPTIONS"] == {
        "bucket_name": "cases",
        "location": "a/b",
        "region_name": "eu-central-1",
        "endpoint_url": None,
        "addressing_style": "virtual",
    }
    other = environment(STORAGE_URL="s3://cases?endpoint_url=https://s3.example.com/").storage(
        "STORAGE_URL", default=Path("/")
    )
    assert (other["OPTIONS"]["endpoint_url"], other["OPTIONS"]["addressing_style"]) == (
        "https://s3.example.com",
        "path",
    )


@pytest.mark.parametrize(
    "url",
    [
        "/srv/storage",
        "file://srv/storage",
        "file:///",
        "file:///srv/storage?region=x",
        "s3://",
        "s3://Cases",
        "s3://key:marked@cases",
        "s3://cases/../other",
        "s3://cases?secret_key=marked",
        "s3://cases?region=a&region=b",
        "s3://cases?endpoint_url=https://key:marked@s3.example.com",
        "s3://cases?endpoint_url=file:///etc",
        "s3://cases?region",
        "s3://cases#marked",
        "https://cases.s3.example.com",
        "s3://[marked",
    ],
)
def test_any_other_storage_is_refused_with_what_to_write_and_without_its_value(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^STORAGE_URL must read file:///") as said:
        environment(STORAGE_URL=url).storage("STORAGE_URL", default=Path("/data"))
    assert "marked" not in str(said.value)
    assert said.value.__cause__ is said.value.__context__ is None
