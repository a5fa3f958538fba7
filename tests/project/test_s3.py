"""Content in S3: a real server of its protocol, started for these tests, and the same services as with files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.utils import timezone

from credentials.errors import StorageUnavailable
from credentials.models import ImportState, StoredTree
from credentials.services import doctor_storage
from credentials.services.libraries import snapshots, trees
from credentials.services.remarks import Level
from project.env import env
from tests import builders, storages
from tests.credentials.services.imports.asked import by_zip, ran
from tests.processes import free_ports

pytestmark = pytest.mark.django_db(transaction=True)

BUCKET = "forgekey-tests"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
_SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty bucket."""
    port, log = free_ports(1), tmp_path_factory.mktemp("s3") / "server.log"
    program = Path(sys.executable).with_name("moto_server")
    with log.open("wb") as said:
        running = subprocess.Popen(
            [str(program), "-H", "127.0.0.1", "-p", str(port)],
            stdout=said,
            stderr=said,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent)},
        )
    try:
        deadline = time.monotonic() + _SECONDS
        while not _answers(port):
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(timeout=_SECONDS)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def bucket(server: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The deployment's own storage, as ``STORAGE_URL`` describes it; the secret lies in a file."""
    secret = tmp_path / "secret"
    secret.write_text("testing\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(secret))
    store = boto3.resource(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    made = store.create_bucket(Bucket=BUCKET)
    use(settings, monkeypatch, f"s3://{BUCKET}/imports?region=us-east-1&endpoint_url={server}")
    yield made
    made.objects.all().delete()


def use(settings: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    storages.use_folder(settings, Path("/nowhere"))
    monkeypatch.setenv("STORAGE_URL", url)
    described = env.storage("STORAGE_URL", default=Path("/nowhere"))
    settings.STORAGES = {**settings.STORAGES, "default": described}


def keys(bucket: Any) -> list[str]:
    return [found.key for found in bucket.objects.all()]


def test_content_comes_is_read_and_goes(alice: User, bob: User, bucket: Any, tmp_path: Path) -> None:
    brought = storages.put(tmp_path, {"a": "1"}, size=9 << 20)  # more than one part of an upload
    made = storages.add(storages.library(alice), brought).snapshot
    assert not storages.put(tmp_path, {"a": "1"}).is_new
    storages.snapshot(storages.library(bob), tmp_path, {"a": "1"})
    assert keys(bucket) == [f"imports/{brought.archive}"]
    with snapshots.open_archive(actor=builders.SYSTEM, snapshot=made) as opened:
        assert opened.read() == b"z" * (9 << 20)
    made.library.delete()
    assert trees.drop_unused(now=timezone.now()) == 0
    StoredTree.objects.get().snapshots.all().delete()
    assert trees.drop_unused(now=timezone.now()) == 1
    assert keys(bucket) == []


def test_a_whole_import_leaves_the_archive_and_nothing_else(alice: User, bucket: Any) -> None:
    job = ran(by_zip(alice))
    assert (job.state, job.error) == (ImportState.SUCCEEDED, None)
    assert job.snapshot is not None
    assert keys(bucket) == [f"imports/{job.snapshot.tree.archive}"]


def test_what_a_killed_process_left_is_found_after_a_day(bucket: Any, tmp_path: Path) -> None:
    storages.put(tmp_path, {"a": "1"})
    assert trees.sweep(now=timezone.now() + timedelta(hours=1)) == 0
    assert trees.sweep(now=timezone.now() + trees.LEFT_BEHIND + timedelta(hours=1)) == 1
    assert keys(bucket) == []


def test_an_archive_that_is_gone_or_cut_short_is_not_given(alice: User, bucket: Any, tmp_path: Path) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {"a": "1"})
    place = bucket.Object(f"imports/{made.tree.archive}")
    place.put(Body=b"z")
    with pytest.raises(StorageUnavailable, match="damaged"):
        snapshots.open_archive(actor=builders.SYSTEM, snapshot=made)
    place.delete()
    with pytest.raises(StorageUnavailable, match="at present"):
        snapshots.open_archive(actor=builders.SYSTEM, snapshot=made)


def test_a_file_is_never_put_in_the_place_of_another(bucket: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    trees.save("uploads/a.zip", one)
    with pytest.raises(StorageUnavailable, match="already"):
        trees.save("uploads/a.zip", other)
    assert keys(bucket) == ["imports/uploads/a.zip"]
    with default_storage.open("uploads/a.zip") as opened:
        assert opened.read() == b"one"


def test_the_doctor_tries_the_bucket_and_misses_what_is_not_there(
    alice: User, bucket: Any, tmp_path: Path
) -> None:
    made = storages.snapshot(storages.library(alice), tmp_path, {"a": "1"})
    assert [one.level for one in (*doctor_storage.storage(), *doctor_storage.archives())] == [Level.OK] * 2
    bucket.Object(f"imports/{made.tree.archive}").delete()
    assert [one.level for one in doctor_storage.archives()] == [Level.PROBLEM]


def test_a_store_that_does_not_answer_is_a_typed_error_that_names_neither_key_nor_bucket(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    use(settings, monkeypatch, f"s3://{BUCKET}?region=us-east-1&endpoint_url=http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable) as said:
        storages.put(tmp_path, {"a": "1"})
    assert BUCKET not in str(said.value) + caplog.text
    assert [one.level for one in doctor_storage.storage()] == [Level.PROBLEM]


def test_keys_are_no_settings(bucket: Any, settings: Any) -> None:
    assert "testing" not in repr(settings.STORAGES["default"]["OPTIONS"]).replace(BUCKET, "")
